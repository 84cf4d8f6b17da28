// What turns took away from the cache, in host memory, so that it can go back without a prefill: the slots that left
// (position, K, V), and each head's order, scores, policy and budget at marks: where a turn began, before its
// generation prompt, and where its answer began. Older turns stay within a bound of bytes and are given up first.
#pragma once

#include <cstdint>
#include <limits>
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

struct UndoLimits {
  /// Of host memory for what makes turns before the last one undoable, as they stand when a turn begins.
  int64_t old_turns_bytes = int64_t{32} << 20;
  /// For all of it: more is refused like memory that the system does not have.
  int64_t all_bytes = std::numeric_limits<int64_t>::max();
};

/// What the conversation had come to at a mark.
enum class MarkKind : uint8_t {
  turn,        // before anything of a turn was read
  generation,  // the messages were read, the generation prompt was not
  answer,      // the whole prompt was read
};

class UndoLog {
 public:
  /// row_u16s: of one slot's K and V (PageLayout::slot_row_u16s()); what they mean is not looked at.
  explicit UndoLog(size_t row_u16s, UndoLimits limits = {}) : row_units_(row_u16s), limits_(limits) {}

  /// Remembers the cache as it stands: n_tokens in the conversation, each head's slots, scores and policy.
  /// scores: for each head the scores of its slots, in slot order. logits: that follow the last token, or none.
  /// Marks are numbered from 0, oldest first. Throws std::bad_alloc; the log is as it was then.
  void mark(MarkKind kind, const HeadCaches& caches, int32_t n_tokens, std::vector<std::vector<float>> scores,
            std::vector<float> logits = {});
  /// The cache stands at the newest mark, and a turn begins there.
  void begin_turn_at_newest() { marks_.back().kind = MarkKind::turn; }
  /// One slot that was held at the newest mark has left its head. Throws std::bad_alloc; the log is as it was then, but
  /// can no longer undo: clear it, or make room and add the slot again.  row: (row_u16s)
  void add(int32_t head, int32_t position, std::span<const uint16_t> row);
  void clear();  // gives its memory back
  /// The cache stands at the mark again: newer marks, and the rows that were added after it, are forgotten.
  void returned_to(size_t mark, const HeadCaches& now);
  /// Gives up the oldest turn's marks, and the rows that only they need. False where the last turn is the only one.
  bool drop_oldest_turn();
  /// Gives up turns before the last one, oldest first, until they are within their bound.
  void hold_old_turns();

  const UndoLimits& limits() const { return limits_; }
  size_t n_marks() const { return marks_.size(); }
  MarkKind kind(size_t mark) const { return marks_[mark].kind; }
  int32_t n_tokens(size_t mark) const { return marks_[mark].n_tokens; }
  /// Empty where none were given.  (n_vocab)
  std::span<const float> logits(size_t mark) const { return marks_[mark].logits; }
  /// The newest mark of a kind; n_marks() where there is none.
  size_t newest(MarkKind kind) const;
  int64_t bytes() const;  // turn_log_bytes: what its lists hold of host memory

  /// The head as it stood at the mark, slot by slot in the same order. Asserts that every slot is held or logged.
  std::vector<RestoredSlot> plan_undo(size_t mark, int32_t head, const HeadCache& now) const;
  std::span<const uint16_t> rows(int32_t head) const;  // (n, row_u16s)
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
    size_t n_rows = 0;  // of the head's log: a slot that leaves later has a later row
  };
  struct Mark {
    MarkKind kind = MarkKind::turn;
    int32_t n_tokens = 0;
    std::vector<HeadMark> heads{};
    std::vector<float> logits{};
    int64_t bytes = 0;
  };
  struct Evicted {
    std::vector<int32_t> positions;
    std::vector<uint16_t> rows;
  };

  const HeadMark& head_mark(size_t mark, int32_t head) const { return marks_[mark].heads[static_cast<size_t>(head)]; }
  /// The second of the marks where a turn begins; n_marks() where there is none.
  size_t second_turn() const;
  void check_room(int64_t more_bytes) const;

  size_t row_units_;
  UndoLimits limits_;
  std::vector<Mark> marks_;
  std::vector<Evicted> evicted_;  // by head, in the order in which slots left
};

}  // namespace headroom
