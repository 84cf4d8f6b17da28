// What a Session's cache holds, as values for whoever shows or checks it. See session.h.
#include <algorithm>

#include "engine/run/session_impl.h"

namespace headroom {

CacheState Session::cache_state() const {
  const KvStore& store = impl_->store;
  const HeadCaches& caches = store.caches();
  const std::vector<Policy>& set = store.config().policy_set;
  CacheState state;
  state.n_tokens = store.n_tokens();
  state.config = store.config();
  state.has_profile = store.n_tokens() > 0 && has_profiles(store.config());
  state.policy_counts.assign(set.size() + 1, 0);
  for (int32_t index = 0; index < caches.n_heads(); ++index) {
    const HeadCache& cache = caches.head(index);
    HeadState head{.layer = index / caches.n_kv_heads(),
                   .kv_head = index % caches.n_kv_heads(),
                   .recovery = {},
                   .profile = cache.profile,
                   .policy = cache.policy,
                   .budget = cache.budget,
                   .kept_tokens = cache.length(),
                   .pages = static_cast<int32_t>(cache.pages.size()),
                   .bytes = static_cast<int64_t>(cache.pages.size() * caches.pool().layout().page_bytes())};
    for (const Policy policy : set) head.recovery.push_back(cache.profile.recovery(policy));
    ++state.policy_counts[static_cast<size_t>(std::find(set.begin(), set.end(), cache.policy) - set.begin())];
    state.heads.push_back(std::move(head));
  }
  if (state.policy_counts.back() == 0) state.policy_counts.pop_back();
  state.kv_live_bytes = caches.pool().live_bytes();
  state.kv_full_bytes = full_kv_bytes(impl_->model.config(), store.n_tokens());
  state.kv_pool_bytes = caches.pool().pool_bytes();
  state.kv_peak_bytes = store.peak_bytes();
  state.turn_log_bytes = store.turn_log_bytes();
  state.least_budget_bytes = store.least_budget_bytes(store.config().cache_type);
  return state;
}

std::vector<uint8_t> Session::kept_bits() const {
  const HeadCaches& caches = impl_->store.caches();
  const size_t row_bytes = (static_cast<size_t>(impl_->store.n_tokens()) + 7) / 8;
  std::vector<uint8_t> bits(static_cast<size_t>(caches.n_heads()) * row_bytes);
  for (int32_t head = 0; head < caches.n_heads(); ++head)
    for (const SlotTag tag : caches.head(head).tags) {
      const auto position = static_cast<size_t>(tag_position(tag));
      bits[static_cast<size_t>(head) * row_bytes + position / 8] |= static_cast<uint8_t>(1 << position % 8);
    }
  return bits;
}

std::vector<int32_t> Session::kept_positions(int32_t layer, int32_t kv_head) const {
  std::vector<int32_t> positions;
  for (const SlotTag tag : impl_->store.caches().head(impl_->store.head_index(layer, kv_head)).tags)
    positions.push_back(tag_position(tag));
  std::sort(positions.begin(), positions.end());
  return positions;
}

}  // namespace headroom
