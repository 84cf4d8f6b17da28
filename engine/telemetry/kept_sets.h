// Which cache positions each head holds, how many heads hold each position, and the maximum number that each head held.
// Part of the Mirror. The caller has checked all arguments.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace headroom {

/// Stores the evicted positions, not the held ones. A new position needs no memory per head, and a head that evicts
/// nothing needs no bits. So a small stream cannot create a large state.
class KeptSets {
 public:
  /// n_heads heads, no tokens.
  void reset(int32_t n_heads);
  /// Replaces all sets. kept: (n_heads, ceil(n_tokens / 8)), bit p % 8 of byte p / 8; bits after the last token are 0.
  void assign(int32_t n_tokens, std::span<const uint8_t> kept);
  /// Adds the next position to every head.
  void append();
  /// Removes a position from a head, which must hold it.
  void evict(int32_t head, int32_t position);
  /// Removes all positions from n_tokens on.
  void cut(int32_t n_tokens);
  /// Restarts the maximum that most_kept returns.
  void forget_most();

  int32_t n_heads() const { return n_heads_; }
  int32_t n_tokens() const { return static_cast<int32_t>(n_holding_.size()); }
  bool holds(int32_t head, int32_t position) const {
    if (heads_.empty()) return true;
    const std::vector<uint8_t>& gone = heads_[static_cast<size_t>(head)].gone;
    const size_t byte = static_cast<size_t>(position) / 8;
    return byte >= gone.size() || (gone[byte] >> (position % 8) & 1) == 0;
  }
  int32_t n_kept(int32_t head) const {
    return n_tokens() - (heads_.empty() ? 0 : heads_[static_cast<size_t>(head)].n_gone);
  }
  /// Maximum number of positions that a head held at any time since assign or forget_most.
  int32_t most_kept(int32_t head) const;
  /// The positions that a head holds, as bits in the layout of assign. (ceil(n_tokens / 8))
  std::vector<uint8_t> bits(int32_t head) const;
  int32_t n_holding(int32_t position) const { return n_holding_[static_cast<size_t>(position)]; }
  size_t memory_bytes() const;

 private:
  struct Head {
    std::vector<uint8_t> gone;  // one bit per evicted position; positions beyond the last byte are held
    int32_t n_gone = 0;
    int32_t most_kept = 0;  // maximum before the last eviction or cut
  };
  void tell_apart();

  int32_t n_heads_ = 0;
  std::vector<Head> heads_;         // (n_heads); empty: every head holds every position
  int32_t most_of_all_ = 0;         // most_kept of every head while heads_ is empty
  std::vector<int32_t> n_holding_;  // (n_tokens)
};

/// Number of set bits.
int32_t count_bits(std::span<const uint8_t> bytes);

}  // namespace headroom
