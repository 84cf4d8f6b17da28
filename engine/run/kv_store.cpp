// Keeps bookkeeping and pages in step. See kv_store.h.
#include "engine/run/kv_store.h"

#include <algorithm>
#include <new>

#include "engine/base/error.h"

namespace headroom {
namespace {

std::vector<int32_t> layer_windows(const ModelConfig& model) {
  std::vector<int32_t> windows;
  for (const LayerConfig& layer : model.layers) windows.push_back(layer.window);
  return windows;
}

}  // namespace

KvStore::KvStore(const ModelConfig& model, Backend& backend, const CacheConfig& config, UndoLimits limits)
    : model_(model),
      backend_(backend),
      config_(config),
      caches_(model.n_layers, model.n_kv_heads, PageLayout{model.head_dim, config.cache_type},
              static_cast<SlabOwner&>(*this)),
      shape_{.n_kv_heads = model.n_kv_heads,
             .n_group = model.group(),
             .windows = layer_windows(model),
             .page_bytes = static_cast<int64_t>(layout().page_bytes())},
      log_(layout().slot_row_u16s(), limits),
      limits_(limits) {
  backend.set_page_layout(layout());
}

void KvStore::set_config(const CacheConfig& config) {
  if (config.cache_type != config_.cache_type) {
    clear();
    caches_.pool().set_layout({model_.head_dim, config.cache_type});
    backend_.set_page_layout(layout());
    shape_.page_bytes = static_cast<int64_t>(layout().page_bytes());
    log_ = UndoLog(layout().slot_row_u16s(), limits_);
  }
  config_ = config;
}

HeadView KvStore::view(int32_t head) const {
  const HeadCache& cache = caches_.head(head);
  return {cache.pages, cache.length()};
}

std::vector<HeadView> KvStore::head_views(int32_t layer) const {
  std::vector<HeadView> views;
  for (int32_t h = 0; h < model_.n_kv_heads; ++h) views.push_back(view(head_index(layer, h)));
  return views;
}

int32_t KvStore::longest_head(int32_t layer) const {
  int32_t longest = 0;
  for (int32_t h = 0; h < model_.n_kv_heads; ++h)
    longest = std::max(longest, caches_.head(head_index(layer, h)).length());
  return longest;
}

void KvStore::clear() {
  caches_.clear();
  log_.clear();
  prefill_ = {};
  n_tokens_ = 0;
  scratch_bytes_ = 0;
  is_step_open_ = false;
  is_at_newest_mark_ = false;
  byte_bound_.forget();
}

/// Where the device has no more memory, what older turns hold in host memory is given up before the turn is.
void KvStore::add_slab(int32_t slab) {
  while (true) {
    try {
      return backend_.add_slab(slab);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::out_of_memory || is_going_back_ || !log_.drop_oldest_turn()) throw;
    }
  }
}

std::vector<std::vector<float>> KvStore::scores(int32_t first_head, int32_t n_heads) const {
  std::vector<HeadView> heads;
  size_t n_slots = 0;
  for (int32_t head = first_head; head < first_head + n_heads; ++head) {
    heads.push_back(view(head));
    n_slots += static_cast<size_t>(heads.back().length);
  }
  std::vector<float> all(n_slots);
  backend_.read_scores(heads, all);
  std::vector<std::vector<float>> by_head;
  auto next = all.begin();
  for (const HeadView& head : heads) {
    by_head.emplace_back(next, next + head.length);
    next += head.length;
  }
  return by_head;
}

std::vector<uint16_t> KvStore::rows(int32_t head, std::span<const int32_t> slots) const {
  std::vector<uint16_t> rows(slots.size() * layout().slot_row_u16s());
  backend_.read_rows(view(head), slots, rows);
  return rows;
}

// --- undo log ---

void KvStore::begin_turn() {
  if (is_at_newest_mark_ && log_.n_marks() > 0 && log_.kind(log_.n_marks() - 1) != MarkKind::answer)
    log_.begin_turn_at_newest();
  else
    mark(MarkKind::turn, {});
  log_.hold_old_turns();
}

/// Where memory runs out, older turns are given up, and in the end this mark too: the turn goes on without it.
void KvStore::mark(MarkKind kind, std::span<const float> logits) {
  while (true) {
    try {
      log_.mark(kind, caches_, n_tokens_, scores(0, caches_.n_heads()), {logits.begin(), logits.end()});
      is_at_newest_mark_ = true;
      return;
    } catch (const std::bad_alloc&) {
      if (log_.drop_oldest_turn()) continue;
      log_.clear();
      is_at_newest_mark_ = false;
      return;
    }
  }
}

/// A slot that left its head. Undo is given up rather than the turn: the device has evicted already.
void KvStore::log_row(int32_t head, int32_t position, std::span<const uint16_t> row) {
  while (log_.n_marks() > 0) {
    try {
      return log_.add(head, position, row);
    } catch (const std::bad_alloc&) {
      if (!log_.drop_oldest_turn()) log_.clear();
    }
  }
}

bool KvStore::undo(size_t mark) {
  scratch_bytes_ = 0;
  prefill_ = {};
  is_going_back_ = true;
  try {
    for (int32_t first = 0; first < caches_.n_heads(); first += model_.n_kv_heads) {
      std::vector<NewSlots> heads;
      for (int32_t head = first; head < first + model_.n_kv_heads; ++head) {
        heads.push_back({.head = head, .slots = {}, .log_rows = log_.rows(head)});
        for (const RestoredSlot& slot : log_.plan_undo(mark, head, caches_.head(head)))
          heads.back().slots.push_back(
              {slot.from_log ? SlotSource::Kind::log : SlotSource::Kind::held, slot.index, slot.tag, slot.score});
      }
      rebuild(heads, {});
    }
    for (int32_t head = 0; head < caches_.n_heads(); ++head) {
      caches_.head(head).policy = log_.policy(mark, head);
      caches_.head(head).profile = log_.profile(mark, head);
      caches_.head(head).budget = log_.budget(mark, head);
    }
  } catch (const std::exception&) {  // Error or std::bad_alloc
    is_going_back_ = false;
    clear();
    return false;
  }
  is_going_back_ = false;
  n_tokens_ = log_.n_tokens(mark);
  log_.returned_to(mark, caches_);
  is_at_newest_mark_ = true;
  byte_bound_.forget();
  move_pages();
  return true;
}

// --- prefill ---

std::vector<HeadContents> KvStore::contents() const {
  std::vector<HeadContents> heads;
  for (int32_t head = 0; head < caches_.n_heads(); ++head)
    heads.push_back({.tags = caches_.head(head).tags, .scores = {}, .choice = &caches_.head(head)});
  return heads;
}

void KvStore::set_budgets(std::span<const HeadBudget> budgets) {
  for (int32_t head = 0; head < caches_.n_heads(); ++head)
    caches_.head(head).budget = budgets[static_cast<size_t>(head)];
  byte_bound_.forget();
}

PrefillMeasures KvStore::begin_prefill(std::span<const SlotTag> new_tags, PrefillRows rows) {
  is_at_newest_mark_ = false;
  prefill_ = {.tags = {new_tags.begin(), new_tags.end()},
              .rows = rows,
              .held_scores = scores(0, caches_.n_heads()),
              .by_share = {}};
  if (config_.budget == BudgetKind::shared)
    set_budgets(plan_budgets(shape_, config_, running_prefill(), contents(), n_last_of_budgets(config_)));
  return needed_measures(config_, running_prefill());
}

LayerMeasurements KvStore::compact_layer(const LayerPrefill& layer) {
  LayerMeasurements measured{.measures = layer.measures, .n_held_keys = layer.n_held_keys};
  const auto fetch = [&](const Matrix& from, std::vector<float>& to) {
    if (from.buffer == nullptr) return;
    measured.stride = from.stride;
    to.resize(static_cast<size_t>(from.n_rows) * static_cast<size_t>(from.stride));
    backend_.download(*from.buffer, static_cast<size_t>(from.offset) * sizeof(float),
                      std::as_writable_bytes(std::span(to)));
  };
  fetch(layer.attention_mass, measured.attention_mass);
  fetch(layer.windowed_mass, measured.windowed_mass);
  fetch(layer.recent_mass, measured.recent_mass);
  fetch(layer.expected_scores_raw, measured.expected_scores_raw);
  fetch(layer.value_norms, measured.value_norms);

  const int32_t first_head = head_index(layer.layer, 0);
  std::vector<HeadContents> heads;
  for (int32_t head = first_head; head < first_head + model_.n_kv_heads; ++head)
    heads.push_back({.tags = caches_.head(head).tags,
                     .scores = prefill_.held_scores[static_cast<size_t>(head)],
                     .choice = &caches_.head(head)});
  std::vector<HeadPlan> plans = plan_layer(shape_, config_, running_prefill(), layer.layer, measured, heads);
  std::vector<NewSlots> kept;
  for (HeadPlan& plan : plans) {
    kept.push_back(planned(first_head + static_cast<int32_t>(kept.size()), plan, 0));
    prefill_.by_share.push_back(std::move(plan.by_share));
  }
  log_lost(kept);
  rebuild(kept, layer.kv);
  return measured;
}

void KvStore::end_prefill() {
  const bool is_solving = running_prefill().is_first() && solves_threshold(config_);
  n_tokens_ = running_prefill().n_tokens();
  scratch_bytes_ = 0;
  if (is_solving) {
    SolvedPlan solved = solve_for_keep(shape_, config_, n_tokens_, contents(), prefill_.by_share);
    config_ = std::move(solved.config);
    for (int32_t head = 0; head < caches_.n_heads(); ++head)
      static_cast<HeadChoice&>(caches_.head(head)) = solved.choices[static_cast<size_t>(head)];
    for (int32_t head = 0; head < caches_.n_heads(); head += model_.n_kv_heads) keep_held(head, model_.n_kv_heads);
  }
  prefill_ = {};
  move_pages();
}

void KvStore::choose_under(const CacheConfig& config, const PrefillMeasurements& measured) {
  PrefillPlan plan = plan_prefill(shape_, config, measured);
  config_ = std::move(plan.config);
  is_at_newest_mark_ = false;
  byte_bound_.forget();
  for (int32_t first = 0; first < caches_.n_heads(); first += model_.n_kv_heads) {
    std::vector<NewSlots> kept;
    for (int32_t head = first; head < first + model_.n_kv_heads; ++head)
      kept.push_back(planned(head, plan.heads[static_cast<size_t>(head)], n_tokens_ - caches_.head(head).length()));
    log_lost(kept);
    rebuild(kept, {});
  }
  move_pages();
}

/// Takes a head's choice over and says where the keys of its plan lie.
/// n_gone: keys of the plan before the head's first slot, which left the window and have no slot any more
KvStore::NewSlots KvStore::planned(int32_t head, const HeadPlan& plan, int32_t n_gone) {
  HeadCache& cache = caches_.head(head);
  static_cast<HeadChoice&>(cache) = plan.choice;
  NewSlots of{.head = head, .slots = {}};
  of.slots.reserve(plan.kept.size());
  for (size_t i = 0; i < plan.kept.size(); ++i) {
    const int32_t key = plan.kept[i] - n_gone;
    const bool is_held = key < cache.length();
    of.slots.push_back({is_held ? SlotSource::Kind::held : SlotSource::Kind::scratch,
                        is_held ? key : key - cache.length(), plan.tags[i], plan.scores[i]});
  }
  return of;
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

/// Evicts what the choices of neighbouring heads do not keep of their slots.
void KvStore::keep_held(int32_t first_head, int32_t n_heads) {
  const std::vector<std::vector<float>> held_scores = scores(first_head, n_heads);
  std::vector<NewSlots> heads;
  for (int32_t head = first_head; head < first_head + n_heads; ++head) {
    const HeadCache& cache = caches_.head(head);
    const HeadPlan plan = plan_held(
        shape_, config_, head, n_tokens_,
        {.tags = cache.tags, .scores = held_scores[static_cast<size_t>(head - first_head)], .choice = &cache});
    if (plan.kept.size() < cache.tags.size()) heads.push_back(planned(head, plan, 0));
  }
  log_lost(heads);
  rebuild(heads, {});
}

/// Writes some heads' slots into new pages, by one call of the backend; then the old pages go.
void KvStore::rebuild(std::span<const NewSlots> heads, KvScratch kv) {
  std::vector<std::vector<PageId>> pages;
  try {
    std::vector<GatherHead> gathered;
    for (const NewSlots& of : heads) {
      pages.push_back(caches_.allocate_pages(of.head, static_cast<int32_t>(of.slots.size())));
      gathered.push_back({.kv_head = of.head % model_.n_kv_heads,
                          .from = view(of.head),
                          .kv = kv,
                          .log_rows = of.log_rows,
                          .slots = of.slots,
                          .pages = pages.back()});
    }
    note_peak();
    backend_.gather_slots(gathered);
  } catch (...) {
    for (const std::vector<PageId>& of_head : pages) caches_.free_pages(of_head);
    throw;
  }
  for (size_t i = 0; i < heads.size(); ++i) {
    std::vector<SlotTag> tags;
    tags.reserve(heads[i].slots.size());
    for (const SlotSource& slot : heads[i].slots) tags.push_back(slot.tag);
    caches_.replace(heads[i].head, std::move(pages[i]), std::move(tags));
  }
}

void KvStore::count_scratch(int64_t bytes) {
  scratch_bytes_ = bytes;
  note_peak();
}

void KvStore::note_peak() {
  peak_bytes_ = std::max(peak_bytes_, caches_.pool().live_bytes() + scratch_bytes_);
}

void KvStore::move_pages() {
  const std::vector<PageMove> moves = caches_.pool().plan_moves();
  for (const PageMove& move : moves) backend_.copy_page(move.from, move.to);
  caches_.finish_moves(moves);
}

// --- budgets ---

int64_t KvStore::least_budget_bytes(CacheType type) const {
  return headroom::least_budget_bytes(shape_.windows, shape_.n_kv_heads,
                                      static_cast<int64_t>(PageLayout{model_.head_dim, type}.page_bytes()));
}

void KvStore::check_budget_bytes(const CacheConfig& config) const {
  headroom::check_budget_bytes(config, least_budget_bytes(config.cache_type));
}

std::vector<int32_t> KvStore::budgets_under(const CacheConfig& config) const {
  std::vector<int32_t> tokens;
  for (const HeadBudget& budget : plan_budgets(shape_, config, no_prefill(), contents(), n_last_of_prompt))
    tokens.push_back(budget.tokens);
  return tokens;
}

void KvStore::cut_head(int32_t head, int32_t n_tokens) {
  caches_.head(head).budget = {
      .tokens = n_tokens, .of_tokens = reachable_tokens(n_tokens_, shape_.window_of(head)), .grows = true};
  is_at_newest_mark_ = false;
  byte_bound_.forget();
  keep_held(head, 1);
}

bool KvStore::trim(const CacheConfig& config) {
  CacheConfig same_bounds = config;
  same_bounds.keep = config_.keep;
  same_bounds.kv_budget_bytes = config_.kv_budget_bytes;
  if (config_.budget != BudgetKind::shared || n_tokens_ == 0 || same_bounds != config_) return false;
  const std::vector<HeadBudget> budgets =
      plan_budgets(shape_, config, no_prefill(), contents(), n_last_of_budgets(config));
  for (int32_t head = 0; head < caches_.n_heads(); ++head) {
    const HeadCache& cache = caches_.head(head);
    const int32_t n_reach = reachable_tokens(n_tokens_, shape_.window_of(head));
    // Rounding can raise a head's budget by one although the share shrank.
    if (budgets[static_cast<size_t>(head)].tokens > std::min(cache.budget.at(n_reach), cache.length()) + 1)
      return false;
  }
  log_.clear();
  is_at_newest_mark_ = false;
  set_budgets(budgets);
  try {
    for (int32_t head = 0; head < caches_.n_heads(); head += model_.n_kv_heads) keep_held(head, model_.n_kv_heads);
  } catch (const Error&) {
    return false;  // some heads are cut, each whole in itself: the caller builds the cache anew
  }
  config_ = config;
  move_pages();
  return true;
}

/// Sets other budgets once the next token would take the pages beyond the bound in bytes.
void KvStore::hold_budget_bytes(TokenClass next_class) {
  if (config_.budget != BudgetKind::shared || config_.kv_budget_bytes == 0 || caches_.head(0).budget.tokens < 0) return;
  const auto budgets = byte_bound_.budgets_for(shape_, config_, n_tokens_, make_tag(n_tokens_, next_class), contents());
  if (budgets) set_budgets(*budgets);
}

// --- one token ---

void KvStore::begin_step(StepProgram& program, TokenId id, TokenClass token_class) {
  hold_budget_bytes(token_class);
  is_at_newest_mark_ = false;
  caches_.reserve_slot();
  note_peak();
  step_tag_ = make_tag(n_tokens_, token_class);
  step_views_.clear();
  step_rules_.clear();
  for (int32_t head = 0; head < caches_.n_heads(); ++head) {
    step_views_.push_back(view(head));
    step_rules_.push_back(
        rule_of(caches_.head(head), config_, n_tokens_ + 1, shape_.window_of(head), n_last_of_answer));
  }
  backend_.prepare_step(program, {.position = n_tokens_,
                                  .token_id = id,
                                  .token_class = token_class,
                                  .n_kv_heads = model_.n_kv_heads,
                                  .heads = step_views_,
                                  .rules = step_rules_,
                                  .log_before = log_.n_marks() > 0 ? log_.n_tokens(log_.n_marks() - 1) : 0});
  is_step_open_ = true;
}

StepReport KvStore::finish_step(std::span<float> result) {
  StepReport report = backend_.run_step(result);
  const size_t row_values = layout().slot_row_u16s();
  caches_.append(step_tag_);
  for (const Eviction& eviction : report.evictions) {
    if (eviction.row >= 0)
      log_row(eviction.head, eviction.position,
              std::span(report.rows).subspan(static_cast<size_t>(eviction.row) * row_values, row_values));
    caches_.evict(eviction.head, eviction.slot);
  }
  ++n_tokens_;
  is_step_open_ = false;
  return report;
}

}  // namespace headroom
