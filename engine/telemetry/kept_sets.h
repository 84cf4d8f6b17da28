// Which positions of the cache each head holds, how many heads hold each position, and the most that a head held. Part
// of the Mirror; plain numbers, which the caller has checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace headroom {

/// What is remembered is what heads let go: a new position costs nothing a head, and a head that lets nothing go costs
/// no bits, so that a small stream cannot make a large state.
class KeptSets {
 public:
  /// So many heads, no tokens.
  void reset(int32_t n_heads);
  /// Everything anew.  kept: (n_heads, ceil(n_tokens / 8)), bit p % 8 of byte p / 8; bits behind the last token are 0.
  void assign(int32_t n_tokens, std::span<const uint8_t> kept);
  /// Every head takes the next position in.
  void append();
  /// A head lets a position go that it holds.
  void evict(int32_t head, int32_t position);
  /// Positions from n_tokens on are gone.
  void cut(int32_t n_tokens);
  /// What heads held at most is counted from now on.
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
  /// Positions that a head held at one moment since assign or forget_most.
  int32_t most_kept(int32_t head) const;
  /// Those that it holds.  (ceil(n_tokens / 8)), as assign takes them
  std::vector<uint8_t> bits(int32_t head) const;
  int32_t n_holding(int32_t position) const { return n_holding_[static_cast<size_t>(position)]; }
  size_t memory_bytes() const;

 private:
  struct Head {
    std::vector<uint8_t> gone;  // bits by position; those behind the last byte are held
    int32_t n_gone = 0;
    int32_t most_kept = 0;  // before it last let something go
  };
  void tell_apart();

  int32_t n_heads_ = 0;
  std::vector<Head> heads_;         // (n_heads); empty: every head holds every position
  int32_t most_of_all_ = 0;         // most_kept of every head where heads_ is empty
  std::vector<int32_t> n_holding_;  // (n_tokens)
};

/// Set bits of a row of kept sets.
int32_t count_bits(std::span<const uint8_t> bytes);

}  // namespace headroom
