// Which positions of the cache each head holds, as bits, and how many heads hold each position. Part of the Mirror;
// plain numbers, which the caller has checked.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace headroom {

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

  int32_t n_tokens() const { return static_cast<int32_t>(n_holding_.size()); }
  bool holds(int32_t head, int32_t position) const {
    return (bits_[static_cast<size_t>(head)][static_cast<size_t>(position) / 8] >> (position % 8) & 1) != 0;
  }
  int32_t n_kept(int32_t head) const { return n_kept_[static_cast<size_t>(head)]; }
  int32_t n_holding(int32_t position) const { return n_holding_[static_cast<size_t>(position)]; }

 private:
  std::vector<std::vector<uint8_t>> bits_;  // (n_heads) of (ceil(n_tokens / 8))
  std::vector<int32_t> n_kept_;             // (n_heads)
  std::vector<int32_t> n_holding_;          // (n_tokens)
};

/// Set bits of a row of kept sets.
int32_t count_bits(std::span<const uint8_t> bytes);

}  // namespace headroom
