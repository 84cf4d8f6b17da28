// Bytes ◄─► messages of stream.fbs: framing, verification, limits. Whatever comes from the other side of a stream is
// untrusted: nothing is read from a message that was not verified.
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

/// What a reader takes in at most; writers keep to it. Whatever stays below these can be told anew in messages that
/// stay below them too. Text counts as it is shown (shown_text).
struct StreamLimits {
  static constexpr int64_t max_heads = 16384;  // KV heads of all layers; the largest models have some 9,000
  static constexpr int32_t max_tokens = 1 << 24;
  static constexpr size_t max_messages = 65536;
  static constexpr size_t max_token_bytes = size_t{64} << 10;         // of a token's text
  static constexpr size_t max_text_bytes = size_t{64} << 20;          // of all tokens
  static constexpr size_t max_conversation_bytes = size_t{32} << 20;  // of all messages, as message_bytes counts
  static constexpr size_t max_sentence_bytes = 1000;                  // of a sentence for people; a longer one is cut
  static constexpr size_t max_name_bytes = 300;                       // of a name; a longer one is cut
  static constexpr size_t max_path_bytes = 4096;                      // of a path; a longer one is cut
  static constexpr size_t max_skipped = 64;                           // backends that were not taken

  static constexpr size_t message_bytes(size_t role_bytes, size_t content_bytes, size_t n_ids) {
    return role_bytes + content_bytes + 4 * n_ids + 64;
  }
  /// Tokens whose kept sets, with all that a CacheRebuilt says of each head, fit into one message: 131,072 for 3,700
  /// heads, a million for 490.
  static constexpr int64_t max_cached_tokens(int64_t n_heads) {
    constexpr int64_t other_bytes_a_head = 288, other_bytes = int64_t{1} << 20;
    const int64_t bytes_a_head = (int64_t{max_message_bytes} - other_bytes) / n_heads - other_bytes_a_head;
    return bytes_a_head * 8 < max_tokens ? bytes_a_head * 8 : max_tokens;
  }
};

/// A message with its length in front, ready to be written. Throws Error for one over the limit.
std::vector<std::byte> pack(const stream::EventT& event);
std::vector<std::byte> pack(const stream::CommandT& command);

/// The message of one frame, without the length; it points into `bytes`, which begin where a std::vector's would (at a
/// multiple of 8). Its body is there and of a known kind, and all of its text together is no longer than the message.
/// Throws Error: found, expected.
const stream::Event& verify_event(std::span<const std::byte> bytes);
const stream::Command& verify_command(std::span<const std::byte> bytes);

/// The text of a string that is shown: FlatBuffers does not look at it, so bytes that are no UTF-8 become U+FFFD.
std::string shown_text(const flatbuffers::String* text);
/// The same for what the other side says to people: one line without control characters, cut between characters with
/// "…" where it is too long.
std::string shown_sentence(const flatbuffers::String* text);
std::string shown_name(const flatbuffers::String* text);
std::string shown_path(const flatbuffers::String* text);

/// Cuts a byte stream into messages.
class FrameReader {
 public:
  /// Appends what was read.
  void push(std::span<const std::byte> bytes);
  /// The next whole message without its length, valid until the next call; empty where more bytes are needed. Throws
  /// Error for a length of 0 or over the limit; the stream cannot be followed after that.
  std::span<const std::byte> next();
  /// Bytes of a message that is not whole yet.
  size_t n_pending() const;

 private:
  std::vector<std::byte> buffer_;
  size_t begin_ = 0;                // of what next() has not given yet
  std::vector<std::byte> message_;  // what next() gave, at an address that FlatBuffers can read from
};

stream::CacheConfigT to_stream(const CacheConfig& config);
/// Throws Error for shares out of range, a set that is empty or has more than 64 policies, unknown parts and kinds,
/// budgets without a share or with several policies, importances that are no numbers. Whether there is an importance
/// for each head is for those to check who know the model.
CacheConfig from_stream(const stream::CacheConfig& config);
/// Throws Error for no part, unknown parts, `full` beside others.
Policy policy_from_stream(uint8_t parts);

}  // namespace headroom
