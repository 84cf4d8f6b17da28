// Keeps bookkeeping and pages in step. See kv_store.h.
#include "engine/run/kv_store.h"

#include <algorithm>
#include <new>

#include "engine/base/error.h"

namespace headroom {

KvStore::KvStore(const ModelConfig& model, Backend& backend, const CacheConfig& config, UndoLimits limits)
    : model_(model),
      backend_(backend),
      config_(config),
      caches_(model.n_layers, model.n_kv_heads, PageLayout{model.head_dim, config.cache_type},
              static_cast<SlabOwner&>(*this)),
      log_(layout().slot_row_u16s(), limits),
      limits_(limits) {
  backend.set_page_layout(layout());
}

void KvStore::set_config(const CacheConfig& config) {
  if (config.cache_type != config_.cache_type) {
    clear();
    caches_.pool().set_layout({model_.head_dim, config.cache_type});
    backend_.set_page_layout(layout());
    log_ = UndoLog(layout().slot_row_u16s(), limits_);
  }
  config_ = config;
}

bool KvStore::has_profiles() const {
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
  solving_.clear();
  held_scores_.clear();
  measured_.clear();
  keeps_measurements_ = false;
  n_tokens_ = 0;
  scratch_bytes_ = 0;
  is_step_open_ = false;
  is_at_newest_mark_ = false;
  budgets_changed();
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
  measured_.clear();
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
  solving_.clear();
  if (log_.n_tokens(mark) == 0) {  // before the prefill whose measurements these are
    measured_.clear();
    keeps_measurements_ = false;
  }
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
  budgets_changed();
  move_pages();
  return true;
}

// --- prefill ---

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

// --- one token ---

void KvStore::begin_step(TokenClass token_class) {
  hold_budget_bytes(token_class);
  is_at_newest_mark_ = false;
  caches_.reserve_slot();
  note_peak();
  step_tag_ = make_tag(n_tokens_, token_class);
  step_views_.clear();
  step_rules_.clear();
  for (int32_t head = 0; head < caches_.n_heads(); ++head) {
    step_views_.push_back(view(head));
    step_rules_.push_back(rule_of(head, n_tokens_ + 1, n_last_of_answer));
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
