// One bit per head and evicted position, with counts per head and per position. See kept_sets.h.
#include "engine/telemetry/kept_sets.h"

#include <algorithm>
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

namespace {

/// Mask of the positions below n_tokens in the last byte, if that byte is not full.
uint8_t last_byte_mask(int32_t n_tokens) {
  return static_cast<uint8_t>((1 << n_tokens % 8) - 1);
}

}  // namespace

void KeptSets::reset(int32_t n_heads) {
  n_heads_ = n_heads;
  heads_.clear();
  most_of_all_ = 0;
  n_holding_.clear();
}

/// Creates a separate state for each head.
void KeptSets::tell_apart() {
  if (heads_.empty())
    heads_.resize(static_cast<size_t>(n_heads_), {.gone = {}, .n_gone = 0, .most_kept = most_of_all_});
}

void KeptSets::assign(int32_t n_tokens, std::span<const uint8_t> kept) {
  const size_t row_bytes = (static_cast<size_t>(n_tokens) + 7) / 8;
  assert(kept.size() == static_cast<size_t>(n_heads_) * row_bytes);
  n_holding_.assign(row_bytes * 8, n_heads_);
  heads_.clear();
  most_of_all_ = 0;
  tell_apart();
  for (size_t head = 0; head < heads_.size(); ++head) {
    const std::span<const uint8_t> row = kept.subspan(head * row_bytes, row_bytes);
    std::vector<uint8_t>& gone = heads_[head].gone;
    gone.assign(row.begin(), row.end());
    for (uint8_t& byte : gone) byte = static_cast<uint8_t>(~byte);
    if (n_tokens % 8 != 0) gone.back() &= last_byte_mask(n_tokens);
    heads_[head].n_gone = count_bits(gone);
    int32_t* holding = n_holding_.data();
    for (const uint8_t byte : gone)
      for (int bit = 0; bit < 8; ++bit) *holding++ -= byte >> bit & 1;
  }
  n_holding_.resize(static_cast<size_t>(n_tokens));
}

void KeptSets::append() {
  n_holding_.push_back(n_heads_);
}

void KeptSets::evict(int32_t head, int32_t position) {
  assert(holds(head, position));
  tell_apart();
  Head& it = heads_[static_cast<size_t>(head)];
  it.most_kept = std::max(it.most_kept, n_tokens() - it.n_gone);
  const size_t byte = static_cast<size_t>(position) / 8;
  if (byte >= it.gone.size()) it.gone.resize(byte + 1, 0);
  it.gone[byte] |= static_cast<uint8_t>(1 << position % 8);
  ++it.n_gone;
  --n_holding_[static_cast<size_t>(position)];
}

void KeptSets::cut(int32_t n_tokens) {
  if (n_tokens >= this->n_tokens()) return;
  most_of_all_ = std::max(most_of_all_, this->n_tokens());
  const auto whole_bytes = static_cast<size_t>(n_tokens) / 8;
  const uint8_t last_mask = last_byte_mask(n_tokens);
  for (Head& head : heads_) {
    head.most_kept = std::max(head.most_kept, this->n_tokens() - head.n_gone);
    if (head.gone.size() <= whole_bytes) continue;
    head.n_gone -= count_bits(std::span(head.gone).subspan(whole_bytes));
    head.gone.resize(whole_bytes + (last_mask != 0 ? 1 : 0));
    if (last_mask == 0) continue;
    head.gone.back() &= last_mask;
    head.n_gone += count_bits(std::span(head.gone).last(1));
  }
  n_holding_.resize(static_cast<size_t>(n_tokens));
}

void KeptSets::forget_most() {
  most_of_all_ = 0;
  for (Head& head : heads_) head.most_kept = 0;
}

int32_t KeptSets::most_kept(int32_t head) const {
  const int32_t before = heads_.empty() ? most_of_all_ : heads_[static_cast<size_t>(head)].most_kept;
  return std::max(before, n_kept(head));
}

std::vector<uint8_t> KeptSets::bits(int32_t head) const {
  std::vector<uint8_t> kept((static_cast<size_t>(n_tokens()) + 7) / 8, 0xff);
  if (n_tokens() % 8 != 0) kept.back() = last_byte_mask(n_tokens());
  if (heads_.empty()) return kept;
  const std::vector<uint8_t>& gone = heads_[static_cast<size_t>(head)].gone;
  for (size_t i = 0; i < gone.size(); ++i) kept[i] &= static_cast<uint8_t>(~gone[i]);
  return kept;
}

size_t KeptSets::memory_bytes() const {
  size_t bytes = heads_.size() * sizeof(Head) + n_holding_.size() * sizeof(int32_t);
  for (const Head& head : heads_) bytes += head.gone.capacity();
  return bytes;
}

}  // namespace headroom
