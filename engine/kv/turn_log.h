// What a turn took away from the cache, in host memory, so that it can be undone without a prefill: the slots that left
// (position, K, V), and each head's order, scores, policy and budget at up to two marks: where the turn began (undo,
// edit) and where its answer began (regenerate).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/kv/head_cache.h"

namespace headroom {

/// Where a slot of the restored head comes from: a slot that is still held, or a row of the log.
struct RestoredSlot {
  bool from_log = false;
  int32_t index = 0;  // slot of the head as it stands, or row of the head's log
  SlotTag tag = 0;
  float score = 0;
};

class TurnLog {
 public:
  /// row_units: of one slot's K and V (PageLayout::slot_row_units()); what they mean is not looked at.
  explicit TurnLog(size_t row_units) : row_units_(row_units) {}

  /// Remembers the cache as it stands: n_tokens in the conversation, each head's slots, scores and policy.
  /// scores: for each head the scores of its slots, in slot order. Marks are numbered from 0, oldest first. On a throw
  /// the log is as it was.
  void mark(const HeadCaches& caches, int32_t n_tokens, std::vector<std::vector<float>> scores);
  /// One slot that was held at the newest mark has left its head. On a throw the log is as it was, but can no longer
  /// undo: clear it.  row: (row_units)
  void add(int32_t head, int32_t position, std::span<const uint16_t> row);
  void clear();  // gives its memory back
  /// The cache stands at the mark again: newer marks, and the rows of tokens that are held again or came after the
  /// mark, are forgotten.
  void returned_to(size_t mark, const HeadCaches& now);

  size_t n_marks() const { return marks_.size(); }
  int32_t n_tokens(size_t mark) const { return marks_[mark].n_tokens; }
  int64_t bytes() const;  // turn_log_bytes: what its lists hold of host memory

  /// The head as it stood at the mark, slot by slot in the same order. Asserts that every slot is held or logged.
  std::vector<RestoredSlot> plan_undo(size_t mark, int32_t head, const HeadCache& now) const;
  std::span<const uint16_t> rows(int32_t head) const;  // (n, row_units)
  Policy policy(size_t mark, int32_t head) const;
  const HeadProfile& profile(size_t mark, int32_t head) const;
  HeadBudget budget(size_t mark, int32_t head) const;

 private:
  struct HeadMark {
    std::vector<SlotTag> tags;  // in slot order
    std::vector<float> scores;
    Policy policy;
    HeadProfile profile;
    HeadBudget budget;
  };
  struct Mark {
    int32_t n_tokens = 0;
    std::vector<HeadMark> heads;
  };
  struct Evicted {
    std::vector<int32_t> positions;
    std::vector<uint16_t> rows;
  };

  const HeadMark& head_mark(size_t mark, int32_t head) const { return marks_[mark].heads[static_cast<size_t>(head)]; }

  size_t row_units_;
  std::vector<Mark> marks_;
  std::vector<Evicted> evicted_;  // by head
};

}  // namespace headroom
