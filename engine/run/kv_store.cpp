// Keeps bookkeeping and pages in step. See kv_store.h.
#include "engine/run/kv_store.h"

#include <algorithm>
#include <new>

#include "engine/base/error.h"

namespace headroom {
namespace {

// A later turn chooses policies anew only from this many rows on; fewer say too little about a head.
constexpr int32_t min_rows_to_profile = 64;

}  // namespace

KvStore::KvStore(const ModelConfig& model, Backend& backend, const CacheConfig& config)
    : model_(model),
      backend_(backend),
      config_(config),
      caches_(model.n_layers, model.n_kv_heads, PageLayout{model.head_dim, config.cache_type},
              static_cast<SlabOwner&>(*this)),
      log_(layout().slot_row_units()) {
  backend.set_page_layout(layout());
}

void KvStore::set_config(const CacheConfig& config) {
  if (config.cache_type != config_.cache_type) {
    clear();
    caches_.pool().set_layout({model_.head_dim, config.cache_type});
    backend_.set_page_layout(layout());
    log_ = TurnLog(layout().slot_row_units());
  }
  config_ = config;
}

bool KvStore::needs_statistics() const {
  return config_.policy_set.size() != 1 || config_.policy_set.front() != Policy{Policy::full};
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
  n_tokens_ = 0;
  scratch_bytes_ = 0;
  is_step_open_ = false;
}

std::vector<float> KvStore::scores(int32_t head) const {
  std::vector<float> scores(static_cast<size_t>(caches_.head(head).length()));
  backend_.read_scores(view(head), scores);
  return scores;
}

std::vector<uint16_t> KvStore::rows(int32_t head, std::span<const int32_t> slots) const {
  std::vector<uint16_t> rows(slots.size() * layout().slot_row_units());
  backend_.read_rows(view(head), slots, rows);
  return rows;
}

// --- turn log ---

void KvStore::begin_turn() {
  log_.clear();
  mark();
}

void KvStore::mark() {
  std::vector<std::vector<float>> all_scores;
  for (int32_t head = 0; head < caches_.n_heads(); ++head) all_scores.push_back(scores(head));
  log_.mark(caches_, n_tokens_, std::move(all_scores));
}

bool KvStore::can_undo(Mark to) const {
  return log_.n_marks() > static_cast<size_t>(to);
}

bool KvStore::undo(Mark to) {
  scratch_bytes_ = 0;
  const size_t mark = static_cast<size_t>(to);
  try {
    for (int32_t head = 0; head < caches_.n_heads(); ++head) {
      std::vector<SlotSource> slots;
      for (const RestoredSlot& slot : log_.plan_undo(mark, head, caches_.head(head)))
        slots.push_back(
            {slot.from_log ? SlotSource::Kind::log : SlotSource::Kind::held, slot.index, slot.tag, slot.score});
      rebuild(head, {}, log_.rows(head), slots);
      caches_.head(head).policy = log_.policy(mark, head);
      caches_.head(head).profile = log_.profile(mark, head);
    }
  } catch (const Error&) {
    clear();
    return false;
  }
  n_tokens_ = log_.n_tokens(mark);
  log_.returned_to(mark, caches_);
  move_pages();
  return true;
}

// --- prefill ---

void KvStore::rebuild(int32_t head, KvScratch kv, std::span<const uint16_t> log_rows,
                      const std::vector<SlotSource>& slots) {
  std::vector<PageId> pages = caches_.allocate_pages(head, static_cast<int32_t>(slots.size()));
  note_peak();
  try {
    backend_.assemble({.kv_head = head % model_.n_kv_heads,
                       .from = view(head),
                       .kv = kv,
                       .log_rows = log_rows,
                       .slots = slots,
                       .pages = pages});
  } catch (...) {
    caches_.free_pages(pages);
    throw;
  }
  std::vector<SlotTag> tags;
  tags.reserve(slots.size());
  for (const SlotSource& slot : slots) tags.push_back(slot.tag);
  caches_.replace(head, std::move(pages), std::move(tags));
}

void KvStore::compact_layer(const LayerPrefill& layer) {
  const size_t group_values = static_cast<size_t>(model_.group()) * static_cast<size_t>(layer.col.stride);
  std::vector<float> col, win;
  if (layer.col.buffer != nullptr) {
    col.resize(group_values * static_cast<size_t>(model_.n_kv_heads));
    win.resize(col.size());
    backend_.download(*layer.col.buffer, static_cast<size_t>(layer.col.offset) * sizeof(float),
                      std::as_writable_bytes(std::span(col)));
    backend_.download(*layer.win.buffer, static_cast<size_t>(layer.win.offset) * sizeof(float),
                      std::as_writable_bytes(std::span(win)));
  }
  for (int32_t h = 0; h < model_.n_kv_heads; ++h) {
    const size_t first = static_cast<size_t>(h) * group_values;
    compact_head(layer, h, col.empty() ? std::span<const float>{} : std::span(col).subspan(first, group_values),
                 win.empty() ? std::span<const float>{} : std::span(win).subspan(first, group_values));
  }
}

void KvStore::compact_head(const LayerPrefill& layer, int32_t kv_head, std::span<const float> col,
                           std::span<const float> win) {
  const int32_t head = head_index(layer.layer, kv_head);
  const int32_t n_new = static_cast<int32_t>(layer.new_tags.size());
  const int32_t n_total = n_tokens_ + n_new;
  const int32_t window = model_.layers[static_cast<size_t>(layer.layer)].window;
  HeadCache& cache = caches_.head(head);
  const int32_t n_held = cache.length();

  // Columns without a gap: what the head holds, then the turn's tokens.
  const size_t n_columns = static_cast<size_t>(n_held) + layer.new_tags.size();
  std::vector<SlotTag> tags(cache.tags);
  tags.insert(tags.end(), layer.new_tags.begin(), layer.new_tags.end());
  std::vector<float> column_scores = scores(head);
  column_scores.resize(n_columns);
  if (!col.empty()) {
    const size_t n_group = static_cast<size_t>(model_.group());
    std::vector<float> dense_col(n_group * n_columns), dense_win(n_group * n_columns);
    const auto close_gap = [&](std::span<const float> from, std::vector<float>& to) {
      for (size_t g = 0; g < n_group; ++g) {
        const float* row = from.data() + g * static_cast<size_t>(layer.col.stride);
        float* out = std::copy(row, row + n_held, to.data() + g * n_columns);
        std::copy(row + layer.n_held_columns, row + layer.n_held_columns + n_new, out);
      }
    };
    close_gap(col, dense_col);
    close_gap(win, dense_win);
    for (size_t j = 0; j < n_columns; ++j) {
      double sum = column_scores[j];
      for (size_t g = 0; g < n_group; ++g) sum += dense_col[g * n_columns + j];
      column_scores[j] = static_cast<float>(sum);
    }
    if (n_tokens_ == 0 || n_new >= min_rows_to_profile) {
      const ColumnStats stats{.n_group = model_.group(),
                              .stride = static_cast<int64_t>(n_columns),
                              .col = dense_col,
                              .win = dense_win,
                              .tags = tags,
                              .scores = column_scores};
      cache.profile = profile_head(stats, n_total, window, config_);
      cache.policy = choose_policy(cache.profile, config_);
    }
  } else {
    cache.policy = config_.policy_set.front();
  }

  const KeepRule rule = make_keep_rule(cache.policy, n_total, window, config_.r_local, config_.r_frequent);
  const std::vector<int32_t> kept = select_kept(tags, column_scores, rule);

  // What the head held at the turn's start and loses now goes to the log.
  std::vector<int32_t> lost;
  size_t next_kept = 0;
  for (int32_t slot = 0; slot < n_held; ++slot) {
    if (next_kept < kept.size() && kept[next_kept] == slot)
      ++next_kept;
    else
      lost.push_back(slot);
  }
  const std::vector<uint16_t> lost_rows = rows(head, lost);
  const size_t row_values = layout().slot_row_units();
  for (size_t i = 0; i < lost.size(); ++i)
    log_.add(head, tag_position(tags[static_cast<size_t>(lost[i])]),
             std::span(lost_rows).subspan(i * row_values, row_values));

  std::vector<SlotSource> slots;
  slots.reserve(kept.size());
  for (const int32_t column : kept) {
    const bool held = column < n_held;
    slots.push_back({held ? SlotSource::Kind::held : SlotSource::Kind::scratch, held ? column : column - n_held,
                     tags[static_cast<size_t>(column)], column_scores[static_cast<size_t>(column)]});
  }
  rebuild(head, layer.kv, {}, slots);
}

void KvStore::end_prefill(int32_t n_new) {
  n_tokens_ += n_new;
  scratch_bytes_ = 0;
  move_pages();
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

// --- one token ---

void KvStore::begin_step(TokenClass token_class) {
  caches_.reserve_slot();
  note_peak();
  step_tag_ = make_tag(n_tokens_, token_class);
  step_views_.clear();
  step_rules_.clear();
  for (int32_t head = 0; head < caches_.n_heads(); ++head) {
    step_views_.push_back(view(head));
    const int32_t window = model_.layers[static_cast<size_t>(head / model_.n_kv_heads)].window;
    step_rules_.push_back(
        make_keep_rule(caches_.head(head).policy, n_tokens_ + 1, window, config_.r_local, config_.r_frequent));
  }
  backend_.begin_step({.position = n_tokens_,
                       .token_class = token_class,
                       .n_kv_heads = model_.n_kv_heads,
                       .heads = step_views_,
                       .rules = step_rules_,
                       .log_before = log_.n_marks() > 0 ? log_.n_tokens(log_.n_marks() - 1) : 0});
  is_step_open_ = true;
}

StepReport KvStore::finish_step() {
  StepReport report = backend_.end_step();
  const size_t row_values = layout().slot_row_units();
  caches_.append(step_tag_);
  for (const Eviction& eviction : report.evictions) {
    if (eviction.row >= 0 && log_.n_marks() > 0) {
      try {
        log_.add(eviction.head, eviction.position,
                 std::span(report.rows).subspan(static_cast<size_t>(eviction.row) * row_values, row_values));
      } catch (const std::bad_alloc&) {
        log_.clear();  // undo is given up rather than the turn: the device has evicted already
      }
    }
    caches_.evict(eviction.head, eviction.slot);
  }
  ++n_tokens_;
  is_step_open_ = false;
  return report;
}

}  // namespace headroom
