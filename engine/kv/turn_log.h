// What a turn took away from the cache, in host memory, so that the turn can be undone without a prefill: the slots
// that left (position, K, V), and each head's order, scores and policy as they stood when the turn began.
#pragma once

#include <cstdint>
#include <optional>
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
  explicit TurnLog(int32_t head_dim) : head_dim_(head_dim) {}

  /// Starts a turn: n_tokens in the conversation, each head's slots and policy as in `caches`.
  /// scores: for each head the scores of its slots, in slot order.
  void begin(const HeadCaches& caches, int32_t n_tokens, std::vector<std::vector<float>> scores);
  /// One slot that was held when the turn began has left its head.  row: (2 * head_dim) f16, K then V
  void add(int32_t head, int32_t position, std::span<const uint16_t> row);
  void clear();

  bool active() const { return active_; }
  int32_t n_tokens() const { return n_tokens_; }  // at the turn's start
  int64_t bytes() const;                          // turn_log_bytes

  /// The head as it stood, slot by slot in the same order. Asserts that every slot is still held or logged.
  std::vector<RestoredSlot> plan_undo(int32_t head, const HeadCache& now) const;
  std::span<const uint16_t> rows(int32_t head) const;  // (n, 2 * head_dim)
  Policy policy(int32_t head) const;
  const HeadProfile& profile(int32_t head) const;

 private:
  struct HeadLog {
    std::vector<SlotTag> tags;  // at the turn's start, in slot order
    std::vector<float> scores;
    Policy policy;
    HeadProfile profile;
    std::vector<int32_t> evicted_positions;
    std::vector<uint16_t> rows;
  };
  int32_t head_dim_;
  int32_t n_tokens_ = 0;
  bool active_ = false;
  std::vector<HeadLog> heads_;
};

}  // namespace headroom
