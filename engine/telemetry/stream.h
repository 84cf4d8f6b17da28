// Bytes ◄─► messages of stream.fbs: framing, verification, limits. The other side of a stream is not trusted: nothing
// is read from a message before it is verified.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/base/policy.h"
#include "engine/telemetry/stream_generated.h"

namespace headroom {

inline constexpr uint32_t stream_protocol = 1;
/// A longer message is refused: 64 MiB hold the kept sets of 4,096 heads over 128 Ki tokens.
inline constexpr uint32_t max_message_bytes = 64u << 20;

/// Limits that a reader accepts and writers respect. Any state within them can be sent again in messages that are
/// within them too (mirror_events.h). Text is counted as it is shown (shown_text).
struct StreamLimits {
  static constexpr int64_t max_heads = 16384;  // KV heads of all layers; the largest models have some 9,000
  static constexpr int32_t max_tokens = 1 << 24;
  static constexpr size_t max_messages = 65536;
  static constexpr size_t max_token_bytes = size_t{64} << 10;         // text of one token
  static constexpr size_t max_text_bytes = size_t{64} << 20;          // text of all tokens
  static constexpr size_t max_conversation_bytes = size_t{32} << 20;  // all messages, counted by message_bytes
  static constexpr size_t max_sentence_bytes = 1000;                  // a longer sentence is cut
  static constexpr size_t max_name_bytes = 300;                       // a longer name is cut
  static constexpr size_t max_path_bytes = 4096;                      // a longer path is cut
  static constexpr size_t max_skipped = 64;                           // backends that were not used

  static constexpr size_t message_bytes(size_t role_bytes, size_t content_bytes, size_t n_ids) {
    return role_bytes + content_bytes + 4 * n_ids + 64;
  }
  /// The largest number of tokens whose CacheRebuilt (kept sets and the other data per head) fits into one message:
  /// 131,072 for 3,700 heads, a million for 490.
  static constexpr int64_t max_cached_tokens(int64_t n_heads) {
    constexpr int64_t other_bytes_a_head = 288, other_bytes = int64_t{1} << 20;
    const int64_t bytes_a_head = (int64_t{max_message_bytes} - other_bytes) / n_heads - other_bytes_a_head;
    return bytes_a_head * 8 < max_tokens ? bytes_a_head * 8 : max_tokens;
  }
};

/// The message with its length prefix, ready to be written. Throws Error if it exceeds max_message_bytes.
std::vector<std::byte> pack(const stream::EventT& event);
std::vector<std::byte> pack(const stream::CommandT& command);

/// Verifies one message (without the length prefix) and returns it; it points into `bytes`, which must be aligned to 8.
/// The message has a body of a known kind, and all of its text together is no longer than the message. Throws Error:
/// found, expected.
const stream::Event& verify_event(std::span<const std::byte> bytes);
const stream::Command& verify_command(std::span<const std::byte> bytes);

/// Text that is safe to show. FlatBuffers does not check UTF-8, so invalid bytes become U+FFFD here.
std::string shown_text(const flatbuffers::String* text);
/// Text for people, in addition on one line and without control characters. If it is too long, it is cut between
/// characters and ends in "…".
std::string shown_sentence(const flatbuffers::String* text);
std::string shown_name(const flatbuffers::String* text);
std::string shown_path(const flatbuffers::String* text);

/// Splits a byte stream into messages.
class FrameReader {
 public:
  /// Appends bytes that were read from the stream.
  void push(std::span<const std::byte> bytes);
  /// The next whole message without its length prefix, valid until the next call; empty if more bytes are needed.
  /// Throws Error for a length of 0 or above the limit; the stream is unusable after that.
  std::span<const std::byte> next();
  /// Bytes received that next() has not returned yet.
  size_t n_pending() const;

 private:
  std::vector<std::byte> buffer_;
  size_t begin_ = 0;                // first byte that next() has not returned yet
  std::vector<std::byte> message_;  // returned by next(), at an address that is aligned for FlatBuffers
};

stream::CacheConfigT to_stream(const CacheConfig& config);
/// Throws Error for shares out of range, a set that is empty or has more than 64 policies, unknown parts and kinds,
/// budgets without a share or with several policies, and invalid importances. The number of importances is checked
/// where the model is known.
CacheConfig from_stream(const stream::CacheConfig& config);
/// Throws Error for no part, unknown parts, or `full` together with other parts.
Policy policy_from_stream(uint8_t parts);

}  // namespace headroom
