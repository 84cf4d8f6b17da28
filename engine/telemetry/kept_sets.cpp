// Bits of positions by head, and their counts both ways. See kept_sets.h.
#include "engine/telemetry/kept_sets.h"

#include <bit>
#include <cassert>
#include <cstring>

namespace headroom {

int32_t count_bits(std::span<const uint8_t> bytes) {
  int32_t count = 0;
  size_t at = 0;
  for (; at + sizeof(uint64_t) <= bytes.size(); at += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, sizeof(word));
    count += std::popcount(word);
  }
  for (; at < bytes.size(); ++at) count += std::popcount(bytes[at]);
  return count;
}

void KeptSets::reset(int32_t n_heads) {
  bits_.assign(static_cast<size_t>(n_heads), {});
  n_kept_.assign(static_cast<size_t>(n_heads), 0);
  n_holding_.clear();
}

void KeptSets::assign(int32_t n_tokens, std::span<const uint8_t> kept) {
  const size_t row_bytes = (static_cast<size_t>(n_tokens) + 7) / 8;
  assert(kept.size() == bits_.size() * row_bytes);
  n_holding_.assign(row_bytes * 8, 0);
  for (size_t head = 0; head < bits_.size(); ++head) {
    const std::span<const uint8_t> row = kept.subspan(head * row_bytes, row_bytes);
    bits_[head].assign(row.begin(), row.end());
    n_kept_[head] = count_bits(row);
    int32_t* holding = n_holding_.data();
    for (const uint8_t byte : row)
      for (int bit = 0; bit < 8; ++bit) *holding++ += byte >> bit & 1;
  }
  n_holding_.resize(static_cast<size_t>(n_tokens));
}

void KeptSets::append() {
  const int32_t position = n_tokens();
  const auto mask = static_cast<uint8_t>(1 << position % 8);
  for (size_t head = 0; head < bits_.size(); ++head) {
    if (position % 8 == 0) bits_[head].push_back(0);
    bits_[head].back() |= mask;
    ++n_kept_[head];
  }
  n_holding_.push_back(static_cast<int32_t>(bits_.size()));
}

void KeptSets::evict(int32_t head, int32_t position) {
  assert(holds(head, position));
  bits_[static_cast<size_t>(head)][static_cast<size_t>(position) / 8] ^= static_cast<uint8_t>(1 << position % 8);
  --n_kept_[static_cast<size_t>(head)];
  --n_holding_[static_cast<size_t>(position)];
}

void KeptSets::cut(int32_t n_tokens) {
  if (n_tokens >= this->n_tokens()) return;
  const auto whole_bytes = static_cast<size_t>(n_tokens) / 8;
  const auto last_mask = static_cast<uint8_t>((1 << n_tokens % 8) - 1);
  for (size_t head = 0; head < bits_.size(); ++head) {
    bits_[head].resize(whole_bytes + (last_mask != 0 ? 1 : 0));
    if (last_mask != 0) bits_[head].back() &= last_mask;
    n_kept_[head] = count_bits(bits_[head]);
  }
  n_holding_.resize(static_cast<size_t>(n_tokens));
}

}  // namespace headroom
