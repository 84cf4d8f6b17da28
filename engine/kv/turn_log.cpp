// The heads as they stand at a mark, and the slots that leave after it ─► a plan that restores each head slot by slot.
// Stands beside the head caches; must not know pages or where K and V came from.
#include "engine/kv/turn_log.h"

#include <algorithm>
#include <cassert>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace headroom {
namespace {

template <typename T>
int64_t held_bytes(const std::vector<T>& list) {
  return static_cast<int64_t>(list.capacity() * sizeof(T));
}

}  // namespace

void TurnLog::mark(const HeadCaches& caches, int32_t n_tokens, std::vector<std::vector<float>> scores) {
  assert(scores.size() == static_cast<size_t>(caches.n_heads()));
  assert(marks_.empty() || (n_tokens >= marks_.back().n_tokens && evicted_.size() == scores.size()));
  Mark mark{.n_tokens = n_tokens, .heads = std::vector<HeadMark>(scores.size())};
  for (size_t index = 0; index < scores.size(); ++index) {
    const HeadCache& cache = caches.head(static_cast<int32_t>(index));
    assert(scores[index].size() == cache.tags.size());
    mark.heads[index] = {cache.tags, std::move(scores[index]), cache.policy, cache.profile, cache.budget};
  }
  evicted_.resize(mark.heads.size());
  marks_.push_back(std::move(mark));
}

void TurnLog::add(int32_t head, int32_t position, std::span<const uint16_t> row) {
  assert(!marks_.empty() && position < marks_.back().n_tokens);
  assert(row.size() == row_units_);
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
  std::vector<Mark>().swap(marks_);
  std::vector<Evicted>().swap(evicted_);
}

void TurnLog::returned_to(size_t mark, const HeadCaches& now) {
  assert(mark < marks_.size());
  for (size_t head = 0; head < evicted_.size(); ++head) {
    const std::vector<SlotTag>& tags = now.head(static_cast<int32_t>(head)).tags;
    assert(tags == marks_[mark].heads[head].tags);
    std::unordered_set<int32_t> held_positions;
    for (const SlotTag tag : tags) held_positions.insert(tag_position(tag));

    Evicted& evicted = evicted_[head];
    size_t n_left = 0;  // rows that stay move up over those that go
    for (size_t row = 0; row < evicted.positions.size(); ++row) {
      // A token that came after the mark is no more; its position will be another token's.
      if (evicted.positions[row] >= marks_[mark].n_tokens) continue;
      if (held_positions.count(evicted.positions[row]) == 1) continue;
      evicted.positions[n_left] = evicted.positions[row];
      const uint16_t* from = evicted.rows.data() + row * row_units_;
      std::copy(from, from + row_units_, evicted.rows.data() + n_left * row_units_);
      ++n_left;
    }
    if (n_left == 0) {
      evicted = Evicted{};  // memory too
      continue;
    }
    evicted.positions.resize(n_left);
    evicted.rows.resize(n_left * row_units_);
  }
  marks_.erase(marks_.begin() + static_cast<std::ptrdiff_t>(mark) + 1, marks_.end());
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
  const HeadMark& then = head_mark(mark, head);
  const Evicted& evicted = evicted_[static_cast<size_t>(head)];
  std::unordered_map<int32_t, int32_t> held, logged;  // by position
  for (size_t slot = 0; slot < now.tags.size(); ++slot)
    held.emplace(tag_position(now.tags[slot]), static_cast<int32_t>(slot));
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

std::span<const uint16_t> TurnLog::rows(int32_t head) const {
  return evicted_[static_cast<size_t>(head)].rows;
}
Policy TurnLog::policy(size_t mark, int32_t head) const {
  return head_mark(mark, head).policy;
}
const HeadProfile& TurnLog::profile(size_t mark, int32_t head) const {
  return head_mark(mark, head).profile;
}
HeadBudget TurnLog::budget(size_t mark, int32_t head) const {
  return head_mark(mark, head).budget;
}

}  // namespace headroom
