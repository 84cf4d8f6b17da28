// The heads as they stand at a mark, and the slots that leave after it ─► a plan that restores each head slot by slot.
// Stands beside the head caches; must not know pages or where K and V came from.
#include "engine/kv/undo_log.h"

#include <algorithm>
#include <cassert>
#include <new>
#include <unordered_map>
#include <utility>

namespace headroom {
namespace {

template <typename T>
int64_t held_bytes(const std::vector<T>& list) {
  return static_cast<int64_t>(list.capacity() * sizeof(T));
}

/// Keeps the elements from first on, and no more memory than they need.
template <typename T>
void erase_before(std::vector<T>& list, size_t first) {
  std::vector<T> rest(std::make_move_iterator(list.begin() + static_cast<std::ptrdiff_t>(first)),
                      std::make_move_iterator(list.end()));
  list.swap(rest);
}

}  // namespace

void UndoLog::check_room(int64_t more_bytes) const {
  if (limits_.all_bytes == std::numeric_limits<int64_t>::max()) return;
  if (bytes() + more_bytes > limits_.all_bytes) throw std::bad_alloc();
}

void UndoLog::mark(MarkKind kind, const HeadCaches& caches, int32_t n_tokens, std::vector<std::vector<float>> scores,
                   std::vector<float> logits) {
  assert(scores.size() == static_cast<size_t>(caches.n_heads()));
  assert(marks_.empty() || (n_tokens >= marks_.back().n_tokens && evicted_.size() == scores.size()));
  Mark mark{.kind = kind, .n_tokens = n_tokens};
  mark.heads.resize(scores.size());
  mark.logits = std::move(logits);
  mark.bytes = held_bytes(mark.heads) + held_bytes(mark.logits);
  for (size_t index = 0; index < scores.size(); ++index) {
    const HeadCache& cache = caches.head(static_cast<int32_t>(index));
    assert(scores[index].size() == cache.tags.size());
    HeadMark& head = mark.heads[index];
    head = {cache.tags, std::move(scores[index]), cache.policy, cache.profile, cache.budget, 0};
    if (index < evicted_.size()) head.n_rows = evicted_[index].positions.size();
    mark.bytes += held_bytes(head.tags) + held_bytes(head.scores);
  }
  check_room(mark.bytes);
  evicted_.resize(mark.heads.size());
  marks_.push_back(std::move(mark));
}

void UndoLog::add(int32_t head, int32_t position, std::span<const uint16_t> row) {
  assert(!marks_.empty() && position < marks_.back().n_tokens);
  assert(row.size() == row_units_);
  check_room(static_cast<int64_t>(sizeof position + row.size_bytes()));
  Evicted& evicted = evicted_[static_cast<size_t>(head)];
  evicted.positions.push_back(position);
  try {
    evicted.rows.insert(evicted.rows.end(), row.begin(), row.end());
  } catch (...) {
    evicted.positions.pop_back();
    throw;
  }
}

void UndoLog::clear() {
  std::vector<Mark>().swap(marks_);
  std::vector<Evicted>().swap(evicted_);
}

void UndoLog::returned_to(size_t mark, const HeadCaches& now) {
  assert(mark < marks_.size());
  for (size_t head = 0; head < evicted_.size(); ++head) {
    assert(now.head(static_cast<int32_t>(head)).tags == marks_[mark].heads[head].tags);
    const size_t n_rows = marks_[mark].heads[head].n_rows;
    Evicted& evicted = evicted_[head];
    if (n_rows == 0) {
      evicted = Evicted{};  // memory too
      continue;
    }
    evicted.positions.resize(n_rows);
    evicted.rows.resize(n_rows * row_units_);
  }
  marks_.erase(marks_.begin() + static_cast<std::ptrdiff_t>(mark) + 1, marks_.end());
}

size_t UndoLog::newest(MarkKind kind) const {
  for (size_t mark = marks_.size(); mark-- > 0;)
    if (marks_[mark].kind == kind) return mark;
  return marks_.size();
}

size_t UndoLog::second_turn() const {
  size_t mark = 1;
  while (mark < marks_.size() && marks_[mark].kind != MarkKind::turn) ++mark;
  return std::min(mark, marks_.size());
}

bool UndoLog::drop_oldest_turn() {
  const size_t n_dropped = second_turn();
  if (n_dropped == marks_.size()) return false;
  try {
    // What had left before the oldest mark that stays is held at none of those that stay.
    for (size_t head = 0; head < evicted_.size(); ++head) {
      const size_t n_rows = marks_[n_dropped].heads[head].n_rows;
      if (n_rows == 0) continue;
      erase_before(evicted_[head].rows, n_rows * row_units_);
      erase_before(evicted_[head].positions, n_rows);
      for (size_t mark = 0; mark < marks_.size(); ++mark)
        marks_[mark].heads[head].n_rows -= std::min(marks_[mark].heads[head].n_rows, n_rows);
    }
    erase_before(marks_, n_dropped);
  } catch (const std::bad_alloc&) {
    clear();  // rows and marks may be apart by now
  }
  return true;
}

void UndoLog::hold_old_turns() {
  const auto old_bytes = [&] { return bytes() - marks_.back().bytes; };
  while (!marks_.empty() && old_bytes() > limits_.old_turns_bytes && drop_oldest_turn()) {
  }
}

int64_t UndoLog::bytes() const {
  int64_t sum = held_bytes(marks_) + held_bytes(evicted_);
  for (const Mark& mark : marks_) sum += mark.bytes;
  for (const Evicted& evicted : evicted_) sum += held_bytes(evicted.positions) + held_bytes(evicted.rows);
  return sum;
}

std::vector<RestoredSlot> UndoLog::plan_undo(size_t mark, int32_t head, const HeadCache& now) const {
  const HeadMark& then = head_mark(mark, head);
  const Evicted& evicted = evicted_[static_cast<size_t>(head)];
  std::unordered_map<int32_t, int32_t> held, logged;  // by position
  for (size_t slot = 0; slot < now.tags.size(); ++slot)
    held.emplace(tag_position(now.tags[slot]), static_cast<int32_t>(slot));
  for (size_t row = then.n_rows; row < evicted.positions.size(); ++row)
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

std::span<const uint16_t> UndoLog::rows(int32_t head) const {
  return evicted_[static_cast<size_t>(head)].rows;
}
Policy UndoLog::policy(size_t mark, int32_t head) const {
  return head_mark(mark, head).policy;
}
const HeadProfile& UndoLog::profile(size_t mark, int32_t head) const {
  return head_mark(mark, head).profile;
}
HeadBudget UndoLog::budget(size_t mark, int32_t head) const {
  return head_mark(mark, head).budget;
}

}  // namespace headroom
