// A layer's measurements ─► each head's scores, policy and budget, and what it keeps. The part of KvStore that chooses;
// pages, undo and steps are in kv_store.cpp.
#include <algorithm>
#include <cmath>

#include "engine/base/error.h"
#include "engine/kv/expected_attention.h"
#include "engine/kv/mixed_score.h"
#include "engine/kv/solve_threshold.h"
#include "engine/run/kv_store.h"

namespace headroom {
namespace {

// A later turn chooses policies anew only from this many rows on; fewer say too little about a head.
constexpr int32_t min_rows_to_profile = 64;

}  // namespace

bool KvStore::chooses_anew(int32_t n_new) const {
  return is_first_choice() || (rows_ == PrefillRows::message && n_new >= min_rows_to_profile);
}

bool KvStore::is_solving() const {
  return !solving_.empty();
}

PrefillMeasures KvStore::all_measures() {
  return {.columns = true,
          .n_win = static_cast<int32_t>(solved_shares.size()),
          .win_shares = solved_shares,
          .recent = true,
          .expected = true};
}

/// For the configuration.
PrefillMeasures KvStore::needed(int32_t n_new) const {
  PrefillMeasures measures;
  if (!has_profiles()) return measures;
  if (config_.budget == BudgetKind::fixed) {
    measures.columns = true;
    measures.n_win = is_solving() ? static_cast<int32_t>(solved_shares.size()) : 1;
    measures.win_shares = is_solving() ? solved_shares : std::array<double, max_win_sums>{config_.r_local};
  } else if (config_.score == TokenScore::accumulated || !chooses_anew(n_new)) {
    measures.columns = true;  // few rows tell little: scores grow by the attention received, as with an answer
  } else {
    measures.columns = config_.score == TokenScore::mixed;
    measures.recent = config_.score == TokenScore::recent || config_.score == TokenScore::mixed;
    measures.expected = config_.score == TokenScore::expected || config_.score == TokenScore::mixed;
  }
  return measures;
}

/// What a head could hold, without a gap: the slots that it holds, then the turn's tokens. Where a choice is made
/// again, all tokens of the prefill: those that are out of reach, then the slots.
struct KvStore::Columns {
  std::vector<SlotTag> tags;
  std::vector<float> scores;
  std::vector<float> col{}, win{};  // (group, columns), (n_win, group, columns); empty where no profile is made of them
  int32_t own_window = -1;          // which of win has the configuration's r_local; none
  int32_t n_held = 0;
  int32_t n_gone = 0;  // of the held columns, without a slot: the first ones

  size_t size() const { return tags.size(); }
  ColumnStats stats(int32_t group, int32_t window) const {
    const size_t values = static_cast<size_t>(group) * size();
    return {.n_group = group,
            .stride = static_cast<int64_t>(size()),
            .col = col,
            .win = std::span(win).subspan(static_cast<size_t>(window) * values, values),
            .tags = tags,
            .scores = scores};
  }
};

void KvStore::compact_layer(const LayerPrefill& layer) {
  Statistics statistics;
  statistics.measures = measures(static_cast<int32_t>(layer.new_tags.size()));
  const auto fetch = [&](const Matrix& from, std::vector<float>& to) {
    if (from.buffer == nullptr) return;
    statistics.stride = from.stride;
    to.resize(static_cast<size_t>(from.n_rows) * static_cast<size_t>(from.stride));
    backend_.download(*from.buffer, static_cast<size_t>(from.offset) * sizeof(float),
                      std::as_writable_bytes(std::span(to)));
  };
  fetch(layer.col, statistics.col);
  fetch(layer.win, statistics.win);
  fetch(layer.recent, statistics.recent);
  fetch(layer.logits, statistics.logits);
  fetch(layer.norms, statistics.norms);

  choose_layer(layer, statistics);
  if (!keeps_measurements_) return;
  measured_tags_.assign(layer.new_tags.begin(), layer.new_tags.end());
  measured_.push_back(std::move(statistics));
}

void KvStore::choose_layer(const LayerPrefill& layer, const Statistics& statistics) {
  std::vector<Columns> heads;
  for (int32_t h = 0; h < model_.n_kv_heads; ++h) {
    heads.push_back(gather(layer, statistics, h));
    choose(layer, h, heads.back());
  }
  if (config_.budget == BudgetKind::pooled && chooses_anew(static_cast<int32_t>(layer.new_tags.size())))
    pool_budgets(layer, heads);
  std::vector<NewSlots> kept;
  for (int32_t h = 0; h < model_.n_kv_heads; ++h) kept.push_back(keep(layer, h, heads[static_cast<size_t>(h)]));
  log_lost(kept);
  rebuild(kept, layer.kv);
}

KvStore::Columns KvStore::gather(const LayerPrefill& layer, const Statistics& statistics, int32_t kv_head) const {
  const int32_t head = head_index(layer.layer, kv_head), group = model_.group();
  const int32_t n_new = static_cast<int32_t>(layer.new_tags.size());
  const HeadCache& cache = caches_.head(head);
  Columns columns{.tags = cache.tags, .scores = {}, .n_held = cache.length()};
  if (is_choosing_again_) {
    columns.tags = measured_tags_;
    columns.n_held = static_cast<int32_t>(measured_tags_.size());
    columns.n_gone = columns.n_held - cache.length();
  } else {
    columns.scores = held_scores_[static_cast<size_t>(head)];
  }
  columns.tags.insert(columns.tags.end(), layer.new_tags.begin(), layer.new_tags.end());
  columns.scores.resize(columns.size());

  // Rows of the statistics have a gap behind what this head holds.
  const auto dense = [&](std::span<const float> from, int32_t n_rows) {
    std::vector<float> to(static_cast<size_t>(n_rows) * columns.size());
    for (int32_t r = 0; r < n_rows; ++r) {
      const float* row = from.data() + r * statistics.stride;
      float* out = std::copy(row, row + columns.n_held, to.data() + static_cast<size_t>(r) * columns.size());
      std::copy(row + layer.n_held_columns, row + layer.n_held_columns + n_new, out);
    }
    return to;
  };
  const auto grow_scores = [&](std::span<const float> sums, std::vector<float> scores) {  // sums: (group, columns)
    for (size_t j = 0; j < scores.size(); ++j) {
      double sum = scores[j];
      for (size_t g = 0; g < static_cast<size_t>(group); ++g) sum += sums[g * columns.size() + j];
      scores[j] = static_cast<float>(sum);
    }
    return scores;
  };
  const PrefillMeasures wanted = needed(n_new);
  const std::span<const float> col = statistics.rows(statistics.col, kv_head * group, group);
  if (wanted.expected) {
    const int32_t n_total = n_tokens_ + n_new;
    const int32_t n_reach = reachable_tokens(n_total, model_.layers[static_cast<size_t>(layer.layer)].window);
    const std::vector<float> norms = dense(statistics.rows(statistics.norms, kv_head, 1), 1);
    columns.scores = expected_scores(group, dense(statistics.rows(statistics.logits, kv_head * group, group), group),
                                     static_cast<int64_t>(columns.size()), norms, columns.tags, n_total - n_reach);
    if (wanted.recent) {  // `mixed`
      const KeepRule rule = make_budget_rule(config_.policy_set.front(), {}, n_total,
                                             model_.layers[static_cast<size_t>(layer.layer)].window, n_last_of_prompt);
      std::vector<bool> competes;
      for (const SlotTag tag : columns.tags)
        competes.push_back(tag_position(tag) >= rule.reach_from &&
                           !rule.keeps_always(tag_position(tag), tag_class(tag)));
      columns.scores =
          mixed_scores(group, columns.scores, dense(col, group),
                       dense(statistics.rows(statistics.recent, kv_head * group, group), group), norms, competes);
    }
  } else if (wanted.recent) {
    columns.scores = grow_scores(dense(statistics.rows(statistics.recent, kv_head * group, group), group),
                                 std::vector<float>(columns.size()));
  } else if (wanted.columns) {
    columns.col = dense(col, group);
    columns.scores = grow_scores(columns.col, std::move(columns.scores));
    for (int32_t w = 0; wanted.n_win > 0 && w < statistics.measures.n_win; ++w) {
      const std::vector<float> win =
          dense(statistics.rows(statistics.win, w * model_.n_heads + kv_head * group, group), group);
      columns.win.insert(columns.win.end(), win.begin(), win.end());
      if (statistics.measures.win_shares[static_cast<size_t>(w)] == config_.r_local) columns.own_window = w;
    }
  }
  return columns;
}

/// The head's policy and profile.
void KvStore::choose(const LayerPrefill& layer, int32_t kv_head, const Columns& columns) {
  const int32_t head = head_index(layer.layer, kv_head);
  const int32_t n_new = static_cast<int32_t>(layer.new_tags.size());
  const int32_t window = model_.layers[static_cast<size_t>(layer.layer)].window;
  HeadCache& cache = caches_.head(head);
  if (is_solving()) {
    for (size_t w = 0; w < solved_shares.size(); ++w) {
      CacheConfig with_share = config_;
      with_share.r_local = with_share.r_frequent = solved_shares[w];
      solving_[static_cast<size_t>(head)][w] =
          profile_head(columns.stats(model_.group(), static_cast<int32_t>(w)), n_tokens_ + n_new, window, with_share);
    }
    cache.policy = Policy{Policy::full};  // until all heads are known
    return;
  }
  if (config_.budget != BudgetKind::fixed || columns.own_window < 0) {
    if (is_first_choice() || config_.budget != BudgetKind::fixed) cache.policy = config_.policy_set.front();
    return;
  }
  if (!chooses_anew(n_new)) return;
  cache.profile = profile_head(columns.stats(model_.group(), columns.own_window), n_tokens_ + n_new, window, config_);
  cache.policy = choose_policy(cache.profile, config_);
}

void KvStore::pool_budgets(const LayerPrefill& layer, std::span<const Columns> heads) {
  const int32_t n_total = n_tokens_ + static_cast<int32_t>(layer.new_tags.size());
  const int32_t window = model_.layers[static_cast<size_t>(layer.layer)].window;
  const KeepRule rule = make_budget_rule(config_.policy_set.front(), {}, n_total, window, n_last_of_prompt);
  std::vector<HeadCapacity> rooms;
  std::vector<std::vector<float>> competing;
  for (const Columns& columns : heads) {
    rooms.push_back({.n_reach = n_total - rule.reach_from, .n_protected = 0});
    competing.emplace_back();
    for (size_t j = 0; j < columns.size(); ++j) {
      const int32_t position = tag_position(columns.tags[j]);
      if (position < rule.reach_from) continue;
      if (rule.keeps_always(position, tag_class(columns.tags[j])))
        ++rooms.back().n_protected;
      else
        competing.back().push_back(columns.scores[j] == columns.scores[j] ? columns.scores[j] : -3e38f);  // NaN is last
    }
  }
  const std::vector<int32_t> budgets = pooled_budgets(config_.keep, rooms, competing);
  for (size_t h = 0; h < rooms.size(); ++h) {
    const auto even = static_cast<int32_t>(std::lround(config_.keep * rooms[h].n_reach));
    caches_.head(head_index(layer.layer, static_cast<int32_t>(h))).budget = {
        .tokens = budgets[h] == rooms[h].n_protected ? std::min(budgets[h], even) : budgets[h],
        .of_tokens = rooms[h].n_reach,
        .grows = true};
  }
}

/// Applies the head's rule to its columns.
KvStore::NewSlots KvStore::keep(const LayerPrefill& layer, int32_t kv_head, const Columns& columns) {
  const int32_t head = head_index(layer.layer, kv_head);
  const int32_t n_total = n_tokens_ + static_cast<int32_t>(layer.new_tags.size());
  const std::vector<int32_t> kept = select_kept(columns.tags, columns.scores, rule_of(head, n_total, n_last_of_prompt));
  if (config_.budget != BudgetKind::fixed && rows_ == PrefillRows::message) {
    double all = 0, held = 0;
    for (const float score : columns.scores) all += score;
    for (const int32_t column : kept) held += columns.scores[static_cast<size_t>(column)];
    HeadCache& cache = caches_.head(head);
    cache.profile = {};
    cache.profile.recoveries[cache.policy.parts] = all > 0 ? std::min(held / all, 1.0) : 1;
  }

  NewSlots of{.head = head, .slots = {}};
  of.slots.reserve(kept.size());
  for (const int32_t column : kept) {
    const bool held = column < columns.n_held;
    of.slots.push_back({held ? SlotSource::Kind::held : SlotSource::Kind::scratch,
                        held ? column - columns.n_gone : column - columns.n_held,
                        columns.tags[static_cast<size_t>(column)], columns.scores[static_cast<size_t>(column)]});
  }
  return of;
}

bool KvStore::is_covered_by_measurements(const CacheConfig& config) {
  const bool is_solved = config.budget == BudgetKind::fixed && config.keep > 0;
  return config.budget != BudgetKind::fixed || is_solved || config.policy_set.size() == 1 ||
         std::find(solved_shares.begin(), solved_shares.end(), config.r_local) != solved_shares.end();
}

void KvStore::choose_under(const CacheConfig& config) {
  config_ = config;
  is_choosing_again_ = true;
  try {
    begin_prefill({});
    for (size_t layer = 0; layer < measured_.size(); ++layer)
      choose_layer({.layer = static_cast<int32_t>(layer), .kv = {}, .new_tags = {}, .n_held_columns = n_tokens_},
                   measured_[layer]);
    end_prefill(0);
  } catch (...) {
    is_choosing_again_ = false;
    throw;
  }
  is_choosing_again_ = false;
}

void KvStore::end_prefill(int32_t n_new) {
  n_tokens_ += n_new;
  keeps_measurements_ = false;
  scratch_bytes_ = 0;
  held_scores_.clear();
  if (is_solving()) solve();
  move_pages();
}

/// Every head has its profiles and all of its tokens: finds the threshold and lets each keep what its policy keeps.
void KvStore::solve() {
  std::vector<SolvedHead> heads;
  for (int32_t head = 0; head < caches_.n_heads(); ++head)
    heads.push_back(
        {.profiles = solving_[static_cast<size_t>(head)], .tags = caches_.head(head).tags, .window = window_of(head)});
  const SolvedThreshold solved = solve_threshold(heads, n_tokens_, config_);
  config_.r_local = config_.r_frequent = solved_shares[solved.share];
  config_.threshold = solved.threshold;
  for (int32_t head = 0; head < caches_.n_heads(); ++head) {
    HeadCache& cache = caches_.head(head);
    cache.profile = solving_[static_cast<size_t>(head)][solved.share];
    cache.policy = choose_policy(cache.profile, config_);
  }
  for (int32_t head = 0; head < caches_.n_heads(); head += model_.n_kv_heads) keep_held(head, model_.n_kv_heads);
  solving_.clear();
}

// --- budgets ---

void KvStore::begin_prefill(std::span<const SlotTag> new_tags, PrefillRows rows) {
  is_at_newest_mark_ = false;
  rows_ = rows;
  if (!is_choosing_again_) held_scores_ = scores(0, caches_.n_heads());
  if (config_.budget == BudgetKind::fixed && config_.keep > 0 && config_.policy_set.size() > 1 && is_first_choice())
    solving_.resize(static_cast<size_t>(caches_.n_heads()));
  if (config_.budget != BudgetKind::shared) return;
  const int32_t n_last = config_.kv_budget_bytes > 0 ? n_last_of_answer : n_last_of_prompt;
  const std::vector<HeadBudget> budgets = plan_budgets(new_tags, config_, n_last);
  for (int32_t head = 0; head < caches_.n_heads(); ++head)
    caches_.head(head).budget = budgets[static_cast<size_t>(head)];
  budgets_changed();
}

int64_t KvStore::least_budget_bytes(CacheType type) const {
  std::vector<int32_t> windows;
  for (const LayerConfig& layer : model_.layers) windows.push_back(layer.window);
  return headroom::least_budget_bytes(windows, model_.n_kv_heads,
                                      static_cast<int64_t>(PageLayout{model_.head_dim, type}.page_bytes()));
}

void KvStore::check_budget_bytes(const CacheConfig& config) const {
  headroom::check_budget_bytes(config, least_budget_bytes(config.cache_type));
}

std::vector<HeadCapacity> KvStore::rooms(std::span<const SlotTag> new_tags, const CacheConfig& config,
                                         int32_t n_last) const {
  const int32_t n_total = n_tokens_ + static_cast<int32_t>(new_tags.size());
  std::vector<HeadCapacity> rooms;
  for (int32_t head = 0; head < caches_.n_heads(); ++head) {
    const KeepRule rule = make_budget_rule(config.policy_set.front(), {}, n_total, window_of(head), n_last);
    rooms.push_back({.n_reach = n_total - rule.reach_from, .n_protected = 0});
    const auto count = [&](std::span<const SlotTag> tags) {
      for (const SlotTag tag : tags)
        if (tag_position(tag) >= rule.reach_from && rule.keeps_always(tag_position(tag), tag_class(tag)))
          ++rooms.back().n_protected;
    };
    count(caches_.head(head).tags);
    count(new_tags);
  }
  return rooms;
}

/// What heads could protect under a bound of bytes, by what they hold now and the new tokens.
std::vector<HeadClaims> KvStore::claims(std::span<const SlotTag> new_tags, const CacheConfig& config) const {
  const Policy policy = config.policy_set.front();
  const int32_t n_total = n_tokens_ + static_cast<int32_t>(new_tags.size());
  std::vector<HeadClaims> claims;
  for (int32_t head = 0; head < caches_.n_heads(); ++head) {
    const KeepRule rule = make_budget_rule(policy, {}, n_total, window_of(head), 0);  // but for the last tokens
    HeadClaims& claim = claims.emplace_back();
    claim.n_reach = n_total - rule.reach_from;
    if (!policy.has(Policy::local)) claim.n_last = 0;
    const auto add = [&](std::span<const SlotTag> tags) {
      for (const SlotTag tag : tags) {
        const int32_t position = tag_position(tag);
        if (position < rule.reach_from || !rule.keeps_always(position, tag_class(tag))) continue;
        if (position < n_first_tokens)
          ++claim.n_first;
        else
          claim.by_class.push_back(position);
      }
    };
    add(caches_.head(head).tags);
    add(new_tags);
    std::sort(claim.by_class.begin(), claim.by_class.end());
  }
  return claims;
}

std::vector<HeadBudget> KvStore::plan_budgets(std::span<const SlotTag> new_tags, const CacheConfig& config,
                                              int32_t n_last) const {
  const auto page_bytes = static_cast<int64_t>(layout().page_bytes());
  Protection protection;
  std::vector<HeadCapacity> all_rooms;
  if (config.kv_budget_bytes > 0) {
    const std::vector<HeadClaims> all_claims = claims(new_tags, config);
    protection = protection_in_bytes(all_claims, config.kv_budget_bytes, page_bytes);
    for (const HeadClaims& claim : all_claims) all_rooms.push_back({claim.n_reach, claim.n_protected(protection)});
  } else {
    all_rooms = rooms(new_tags, config, n_last);
  }
  const std::vector<int32_t> wanted = shared_budgets(config, config.keep, all_rooms);
  std::vector<HeadBudget> budgets;
  if (config.kv_budget_bytes > 0) {
    const std::vector<int32_t> bounded = shared_budgets_in_bytes(config, config.keep, all_rooms, page_bytes);
    if (bounded != wanted) {
      for (size_t head = 0; head < bounded.size(); ++head)
        budgets.push_back(
            {.tokens = bounded[head], .of_tokens = all_rooms[head].n_reach, .grows = false, .protection = protection});
      return budgets;
    }
  }
  // A head that holds just what is protected grows by its share from there on, not by all that is protected now.
  std::vector<HeadCapacity> free_rooms = all_rooms;
  for (HeadCapacity& room : free_rooms) room.n_protected = 0;
  const std::vector<int32_t> shares = shared_budgets(config, config.keep, free_rooms);
  for (size_t head = 0; head < wanted.size(); ++head)
    budgets.push_back(
        {.tokens = wanted[head] == all_rooms[head].n_protected ? std::min(wanted[head], shares[head]) : wanted[head],
         .of_tokens = all_rooms[head].n_reach,
         .grows = true,
         .protection = protection});
  return budgets;
}

/// Of the pages, once a token was added and the heads' rules were applied: at most so many, and exactly where that is
/// more than the bound. Between two counts a head protects one token more a step at most.
int64_t KvStore::bytes_after_step(SlotTag next) {
  const auto page_bytes = static_cast<int64_t>(layout().page_bytes());
  std::vector<int32_t> tokens(static_cast<size_t>(caches_.n_heads()));
  const auto bytes = [&] {
    for (int32_t head = 0; head < caches_.n_heads(); ++head)
      tokens[static_cast<size_t>(head)] =
          std::max(caches_.head(head).budget.at(reachable_tokens(n_tokens_ + 1, window_of(head))),
                   n_always_[static_cast<size_t>(head)] + n_steps_since_count_);
    return budget_bytes(tokens, page_bytes);
  };
  ++n_steps_since_count_;
  if (!n_always_.empty()) {
    const int64_t at_most = bytes();
    if (at_most <= config_.kv_budget_bytes) return at_most;
  }
  n_always_.assign(tokens.size(), 0);
  n_steps_since_count_ = 0;
  for (int32_t head = 0; head < caches_.n_heads(); ++head) {
    const KeepRule rule = rule_of(head, n_tokens_ + 1, n_last_of_answer);
    const auto stays = [&](SlotTag tag) {
      return tag_position(tag) >= rule.reach_from && rule.keeps_always(tag_position(tag), tag_class(tag));
    };
    const std::vector<SlotTag>& tags = caches_.head(head).tags;
    n_always_[static_cast<size_t>(head)] =
        static_cast<int32_t>(std::count_if(tags.begin(), tags.end(), stays)) + (stays(next) ? 1 : 0);
  }
  return bytes();
}

/// Where budgets grow they meet the bound in bytes at some token: from there on they are what fits, and stay. Where
/// what is protected grows beyond it, a part of that gives way.
void KvStore::hold_budget_bytes(TokenClass next_class) {
  if (config_.budget != BudgetKind::shared || config_.kv_budget_bytes == 0 || caches_.head(0).budget.tokens < 0) return;
  const SlotTag next = make_tag(n_tokens_, next_class);
  if (bytes_after_step(next) <= config_.kv_budget_bytes) return;
  const std::vector<HeadBudget> budgets = plan_budgets({&next, 1}, config_, n_last_of_answer);
  for (int32_t head = 0; head < caches_.n_heads(); ++head) {
    caches_.head(head).budget = budgets[static_cast<size_t>(head)];
    caches_.head(head).budget.grows = false;
  }
  budgets_changed();
}

KeepRule KvStore::rule_of(int32_t head, int32_t n_tokens, int32_t n_last) const {
  const HeadCache& cache = caches_.head(head);
  if (cache.budget.tokens >= 0) return make_budget_rule(cache.policy, cache.budget, n_tokens, window_of(head), n_last);
  return make_keep_rule(cache.policy, n_tokens, window_of(head), config_.r_local, config_.r_frequent);
}

/// What heads held at the newest mark and are about to lose goes to the log, read from the device at once.
void KvStore::log_lost(std::span<const NewSlots> heads) {
  if (log_.n_marks() == 0) return;
  std::vector<std::vector<int32_t>> lost(heads.size());
  std::vector<HeadSlots> lost_slots;
  size_t n_lost = 0;
  for (size_t i = 0; i < heads.size(); ++i) {
    const std::vector<SlotTag>& tags = caches_.head(heads[i].head).tags;
    auto kept = heads[i].slots.begin();
    for (int32_t slot = 0; slot < static_cast<int32_t>(tags.size()); ++slot) {
      const bool is_kept = kept != heads[i].slots.end() && kept->kind == SlotSource::Kind::held && kept->index == slot;
      if (is_kept)
        ++kept;
      else if (tag_position(tags[static_cast<size_t>(slot)]) < log_.n_tokens(log_.n_marks() - 1))
        lost[i].push_back(slot);
    }
    lost_slots.push_back({view(heads[i].head), lost[i]});
    n_lost += lost[i].size();
  }
  const size_t row_u16s = layout().slot_row_u16s();
  std::vector<uint16_t> lost_rows(n_lost * row_u16s);
  backend_.read_rows(lost_slots, lost_rows);
  auto row = std::span<const uint16_t>(lost_rows);
  for (size_t i = 0; i < heads.size(); ++i)
    for (const int32_t slot : lost[i]) {
      log_row(heads[i].head, tag_position(caches_.head(heads[i].head).tags[static_cast<size_t>(slot)]),
              row.first(row_u16s));
      row = row.subspan(row_u16s);
    }
}

/// Lets neighbouring heads go down to what their rules keep of their slots.
void KvStore::keep_held(int32_t first_head, int32_t n_heads) {
  const std::vector<std::vector<float>> all_scores = scores(first_head, n_heads);
  std::vector<NewSlots> heads;
  for (int32_t head = first_head; head < first_head + n_heads; ++head) {
    const std::vector<SlotTag>& tags = caches_.head(head).tags;
    const std::vector<float>& head_scores = all_scores[static_cast<size_t>(head - first_head)];
    const std::vector<int32_t> kept = select_kept(tags, head_scores, rule_of(head, n_tokens_, n_last_of_prompt));
    if (kept.size() == tags.size()) continue;
    heads.push_back({.head = head, .slots = {}});
    for (const int32_t slot : kept)
      heads.back().slots.push_back(
          {SlotSource::Kind::held, slot, tags[static_cast<size_t>(slot)], head_scores[static_cast<size_t>(slot)]});
  }
  log_lost(heads);
  rebuild(heads, {});
}

std::vector<int32_t> KvStore::budgets_under(const CacheConfig& config) const {
  std::vector<int32_t> tokens;
  for (const HeadBudget& budget : plan_budgets({}, config, n_last_of_prompt)) tokens.push_back(budget.tokens);
  return tokens;
}

void KvStore::cut_head(int32_t head, int32_t n_tokens) {
  HeadCache& cache = caches_.head(head);
  cache.budget = {.tokens = n_tokens, .of_tokens = reachable_tokens(n_tokens_, window_of(head)), .grows = true};
  is_at_newest_mark_ = false;
  budgets_changed();
  keep_held(head, 1);
}

bool KvStore::trim(const CacheConfig& config) {
  CacheConfig same_bounds = config;
  same_bounds.keep = config_.keep;
  same_bounds.kv_budget_bytes = config_.kv_budget_bytes;
  if (config_.budget != BudgetKind::shared || n_tokens_ == 0 || same_bounds != config_) return false;
  const std::vector<HeadBudget> budgets =
      plan_budgets({}, config, config.kv_budget_bytes > 0 ? n_last_of_answer : n_last_of_prompt);
  for (int32_t head = 0; head < caches_.n_heads(); ++head) {
    const HeadCache& cache = caches_.head(head);
    const int32_t n_now = std::min(cache.budget.at(reachable_tokens(n_tokens_, window_of(head))), cache.length());
    // The rounding of a share may give a head one token more under a smaller one; it has none to give.
    if (budgets[static_cast<size_t>(head)].tokens > n_now + 1) return false;
  }
  log_.clear();
  is_at_newest_mark_ = false;
  budgets_changed();
  try {
    for (int32_t first = 0; first < caches_.n_heads(); first += model_.n_kv_heads) {
      for (int32_t head = first; head < first + model_.n_kv_heads; ++head)
        caches_.head(head).budget = budgets[static_cast<size_t>(head)];
      keep_held(first, model_.n_kv_heads);
    }
  } catch (const Error&) {
    return false;  // some heads are cut, each whole in itself: the caller builds the cache anew
  }
  config_ = config;
  move_pages();
  return true;
}

}  // namespace headroom
