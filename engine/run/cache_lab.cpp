// Steps, marks, cuts and choices on a session's cache. See cache_lab.h.
#include "engine/run/cache_lab.h"

#include <cassert>

#include "engine/base/error.h"
#include "engine/run/session_impl.h"

namespace headroom {

std::span<const float> CacheLab::feed(TokenId id) {
  TurnObserver nobody;
  impl_->feed(id, nobody);
  impl_->generated.push_back(id);
  return impl_->logits;
}

std::span<const float> CacheLab::prefill(std::span<const TokenId> ids, TurnObserver& observer) {
  std::vector<TokenId> wanted = impl_->ids;
  wanted.insert(wanted.end(), ids.begin(), ids.end());
  try {
    if (!impl_->measured.layers.empty())
      impl_->prefill_after_mark(wanted, wanted.size(), observer);  // the mark of prefill_for_all stays
    else
      impl_->prefill_turn(wanted, wanted.size(), observer);
  } catch (const Cancelled&) {
    throw Error("the prefill was stopped before its end");
  }
  return impl_->logits;
}

void CacheLab::mark() {
  impl_->store.begin_answer(impl_->logits);
}

bool CacheLab::return_to_mark() {
  const size_t mark = impl_->store.log().newest(MarkKind::answer);
  if (mark < impl_->store.log().n_marks())
    impl_->undo(mark);
  else
    impl_->clear();  // the log was given up for memory
  return !impl_->ids.empty();
}

std::span<const float> CacheLab::prefill_for_all(std::span<const TokenId> ids, CacheType type, TurnObserver& observer) {
  CacheConfig whole = *find_cache_config("full");
  whole.cache_type = type;
  impl_->clear();
  set_cache_config(whole);
  impl_->store.begin_turn();
  try {
    PrefillMeasurements measured;
    impl_->prefill_after_mark(ids, ids.size(), observer, &measured);
    impl_->measured = std::move(measured);
  } catch (const Cancelled&) {
    throw Error("the prefill was stopped before its end");
  }
  mark();
  return impl_->logits;
}

bool CacheLab::can_choose_under(const CacheConfig& config) {
  return is_covered_by_all_measures(config);
}

bool CacheLab::choose_under(const CacheConfig& config) {
  ResolvedConfig resolved = checked_config(config, impl_->model);
  assert(resolved.config.cache_type == impl_->store.config().cache_type);
  if (resolved.config.budget == BudgetKind::shared) impl_->store.check_budget_bytes(resolved.config);
  if (impl_->measured.layers.empty() || !return_to_mark()) return false;
  impl_->cache_config = std::move(resolved.config);
  impl_->cache_note = std::move(resolved.note);
  impl_->store.choose_under(impl_->cache_config, impl_->measured);
  return true;
}

std::span<const float> CacheLab::logits() const {
  return impl_->logits;
}

std::vector<int32_t> CacheLab::budgets_under(const CacheConfig& config) const {
  return impl_->store.budgets_under(config);
}

void CacheLab::cut_heads(std::span<const int32_t> tokens) {
  for (size_t head = 0; head < tokens.size(); ++head)
    if (tokens[head] >= 0) impl_->store.cut_head(static_cast<int32_t>(head), tokens[head]);
}

std::vector<CacheLab::HeadDump> CacheLab::dump() const {
  std::vector<HeadDump> heads;
  for (int32_t index = 0; index < impl_->store.caches().n_heads(); ++index) {
    const HeadCache& cache = impl_->store.caches().head(index);
    std::vector<int32_t> slots;
    for (int32_t slot = 0; slot < cache.length(); ++slot) slots.push_back(slot);
    heads.push_back({cache.policy, cache.tags, impl_->store.scores(index), impl_->store.rows(index, slots)});
  }
  return heads;
}

}  // namespace headroom
