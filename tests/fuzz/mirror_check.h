// Checks that hold for a Mirror after any input: its answers agree with each other, and it can be described to another
// Mirror.
#pragma once

#include <cstdlib>
#include <vector>

#include "engine/base/error.h"
#include "engine/telemetry/mirror_events.h"

namespace headroom::test {

inline void must(bool holds) {
  if (!holds) std::abort();
}

/// Calls everything that the panels call, and checks that the answers agree.
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
    int32_t n_holders = 0;
    for (int32_t head = 0; head < n_heads; ++head) n_holders += mirror.holds(head, position) ? 1 : 0;
    must(n_holders == mirror.n_heads_holding(position));
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

/// The messages that describe a Mirror, each without its length.
inline std::vector<std::vector<std::byte>> told(const Mirror& mirror) {
  std::vector<std::vector<std::byte>> messages;
  for (const stream::EventT& event : describe(mirror)) {
    const std::vector<std::byte> packed = pack(event);
    messages.emplace_back(packed.begin() + sizeof(uint32_t), packed.end());
  }
  return messages;
}

/// Another Mirror with the described state of this one. Throws Error if the description is refused.
inline Mirror retold(const Mirror& mirror) {
  Mirror other;
  for (const std::vector<std::byte>& message : told(mirror)) other.apply(verify_event(message));
  return other;
}

/// Whether two Mirrors have equal descriptions, apart from times.
inline bool told_alike(const Mirror& a, const Mirror& b) {
  std::vector<stream::EventT> of_a = describe(a), of_b = describe(b);
  if (of_a.size() != of_b.size()) return false;
  for (size_t i = 0; i < of_a.size(); ++i) {
    of_a[i].time_ms = of_b[i].time_ms = 0;
    if (pack(of_a[i]) != pack(of_b[i])) return false;
  }
  return true;
}

/// Checks that a recording that begins here could be replayed and is complete.
inline void check_retelling(const Mirror& mirror) {
  if (!mirror.is_open()) return;
  const Mirror other = retold(mirror);
  check_answers(other);
  must(told_alike(other, mirror));
}

/// An event with another sequence number, without its length.
inline std::vector<std::byte> renumbered(const stream::Event& event, uint64_t sequence) {
  stream::EventT copy;
  event.UnPackTo(&copy);
  copy.sequence = sequence;
  const std::vector<std::byte> packed = pack(copy);
  return {packed.begin() + sizeof(uint32_t), packed.end()};
}

/// Applies the event; false if it is refused.
inline bool takes(Mirror& mirror, const stream::Event& event) {
  try {
    mirror.apply(event);
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace headroom::test
