// The heads as a turn finds them, and the slots that leave during it ─► a plan that restores each head slot by slot.
// Stands beside the head caches; must not know pages or where K and V came from.
#include "engine/kv/turn_log.h"

#include <algorithm>
#include <cassert>
#include <unordered_map>
#include <utility>

namespace headroom {
namespace {

template <typename T>
int64_t held_bytes(const std::vector<T>& list) {
  return static_cast<int64_t>(list.capacity() * sizeof(T));
}

std::unordered_map<int32_t, int32_t> slots_by_position(const HeadCache& head) {
  std::unordered_map<int32_t, int32_t> slots;
  for (size_t slot = 0; slot < head.tags.size(); ++slot)
    slots.emplace(tag_position(head.tags[slot]), static_cast<int32_t>(slot));
  return slots;
}

}  // namespace

void TurnLog::mark(const HeadCaches& caches, int32_t n_tokens, std::vector<std::vector<float>> scores) {
  assert(scores.size() == static_cast<size_t>(caches.n_heads()));
  Mark mark{.n_tokens = n_tokens, .heads = {}};
  for (size_t index = 0; index < scores.size(); ++index) {
    const HeadCache& cache = caches.head(static_cast<int32_t>(index));
    assert(scores[index].size() == cache.tags.size());
    mark.heads.push_back({cache.tags, std::move(scores[index]), cache.policy, cache.profile});
  }
  evicted_.resize(mark.heads.size());
  marks_.push_back(std::move(mark));
}

void TurnLog::add(int32_t head, int32_t position, std::span<const uint16_t> row) {
  assert(!marks_.empty() && position < marks_.back().n_tokens);
  assert(row.size() == 2 * static_cast<size_t>(head_dim_));
  Evicted& evicted = evicted_[static_cast<size_t>(head)];
  evicted.positions.push_back(position);
  try {
    evicted.rows.insert(evicted.rows.end(), row.begin(), row.end());
  } catch (...) {
    evicted.positions.pop_back();
    throw;
  }
}

void TurnLog::clear() {
  marks_ = {};
  evicted_ = {};
}

void TurnLog::returned_to(size_t mark, const HeadCaches& now) {
  assert(mark < marks_.size());
  marks_.resize(mark + 1);
  const size_t row_values = 2 * static_cast<size_t>(head_dim_);
  for (size_t index = 0; index < evicted_.size(); ++index) {
    const std::unordered_map<int32_t, int32_t> held = slots_by_position(now.head(static_cast<int32_t>(index)));
    Evicted& evicted = evicted_[index];
    size_t n_left = 0;
    for (size_t row = 0; row < evicted.positions.size(); ++row) {
      const int32_t position = evicted.positions[row];
      if (position >= marks_.back().n_tokens || held.count(position) != 0) continue;
      evicted.positions[n_left] = position;
      std::copy_n(evicted.rows.data() + row * row_values, row_values, evicted.rows.data() + n_left * row_values);
      ++n_left;
    }
    evicted.positions.resize(n_left);
    evicted.rows.resize(n_left * row_values);
  }
}

int64_t TurnLog::bytes() const {
  int64_t sum = held_bytes(marks_) + held_bytes(evicted_);
  for (const Mark& mark : marks_) {
    sum += held_bytes(mark.heads);
    for (const HeadMark& head : mark.heads) sum += held_bytes(head.tags) + held_bytes(head.scores);
  }
  for (const Evicted& evicted : evicted_) sum += held_bytes(evicted.positions) + held_bytes(evicted.rows);
  return sum;
}

std::vector<RestoredSlot> TurnLog::plan_undo(size_t mark, int32_t head, const HeadCache& now) const {
  assert(mark < marks_.size());
  const HeadMark& then = marks_[mark].heads[static_cast<size_t>(head)];
  const Evicted& evicted = evicted_[static_cast<size_t>(head)];
  const std::unordered_map<int32_t, int32_t> held = slots_by_position(now);
  std::unordered_map<int32_t, int32_t> logged;
  for (size_t row = 0; row < evicted.positions.size(); ++row)
    logged.emplace(evicted.positions[row], static_cast<int32_t>(row));

  std::vector<RestoredSlot> plan;
  plan.reserve(then.tags.size());
  for (size_t slot = 0; slot < then.tags.size(); ++slot) {
    const int32_t position = tag_position(then.tags[slot]);
    const auto at = held.find(position);
    const bool from_log = at == held.end();
    assert(!from_log || logged.count(position) == 1);
    plan.push_back({.from_log = from_log,
                    .index = from_log ? logged.at(position) : at->second,
                    .tag = then.tags[slot],
                    .score = then.scores[slot]});
  }
  return plan;
}

std::span<const uint16_t> TurnLog::rows(int32_t head) const { return evicted_[static_cast<size_t>(head)].rows; }

Policy TurnLog::policy(size_t mark, int32_t head) const {
  return marks_[mark].heads[static_cast<size_t>(head)].policy;
}

const HeadProfile& TurnLog::profile(size_t mark, int32_t head) const {
  return marks_[mark].heads[static_cast<size_t>(head)].profile;
}

}  // namespace headroom
