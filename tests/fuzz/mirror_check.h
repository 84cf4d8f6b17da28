// What must hold of a Mirror whatever it was fed: its answers agree with each other, and it can be told to another one.
#pragma once

#include <cstdlib>

#include "engine/telemetry/mirror_events.h"

namespace headroom::test {

inline void must(bool holds) {
  if (!holds) std::abort();
}

/// Asks for everything that the panels ask for.
inline void check_answers(const Mirror& mirror) {
  const auto n_tokens = static_cast<int32_t>(mirror.tokens().size());
  const auto n_heads = static_cast<int32_t>(mirror.heads().size());
  must(mirror.n_cached() <= n_tokens || mirror.is_stale());
  int64_t n_kept = 0, n_holding = 0;
  for (int32_t head = 0; head < n_heads && head < 64; ++head) {
    const auto kept = mirror.kept_positions(head);
    must(static_cast<int32_t>(kept.size()) == mirror.heads()[static_cast<size_t>(head)].kept_tokens);
    n_kept += static_cast<int64_t>(kept.size());
  }
  for (int32_t position = -1; position <= n_tokens; ++position) {
    if (position == 64) position = std::max(64, n_tokens - 64);
    must(static_cast<int32_t>(mirror.heads_holding(position).size()) == mirror.n_heads_holding(position));
    mirror.text_of(position);
  }
  for (int32_t position = 0; position < mirror.n_cached(); ++position) n_holding += mirror.n_heads_holding(position);
  if (n_heads <= 64) must(n_kept == n_holding);
  for (const MirrorMessage& message : mirror.messages()) {
    must(message.token_end <= n_tokens && message.token_begin <= message.token_end);
    for (const size_t byte : {size_t{0}, message.content.size() / 2, message.content.size()}) {
      const int32_t position = mirror.token_at(message, byte);
      must(position == -1 || (position >= message.token_begin && position < message.token_end));
      const auto [begin, end] = mirror.content_bytes_of(message, position);
      must(begin <= end && end <= message.content.size());
    }
  }
}

/// A recording that begins here could be read.
inline void check_retelling(const Mirror& mirror) {
  if (mirror.model() == nullptr) return;
  Mirror other;
  for (const stream::EventT& event : describe(mirror)) {
    const std::vector<std::byte> packed = pack(event);
    const std::vector<std::byte> bytes(packed.begin() + sizeof(uint32_t), packed.end());
    other.apply(verify_event(bytes));
  }
  check_answers(other);
}

}  // namespace headroom::test
