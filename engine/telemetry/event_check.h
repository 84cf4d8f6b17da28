// Checks of event fields: limits, and messages for values beyond them. Only the Mirror's files use it; it has no state.
// Every function is a small helper.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>

#include "engine/base/error.h"
#include "engine/telemetry/stream.h"

namespace headroom::event_check {

inline constexpr int64_t max_heads = StreamLimits::max_heads;
inline constexpr int32_t max_tokens = StreamLimits::max_tokens;
inline constexpr size_t max_samples = size_t{1} << 20;
inline constexpr int64_t max_bytes = int64_t{1} << 60;
inline constexpr int32_t n_unions = 32;

inline std::string number(int64_t value) {
  return std::to_string(value);
}

template <typename T>
std::span<const T> span_of(const flatbuffers::Vector<T>* vector) {
  return vector == nullptr ? std::span<const T>() : std::span<const T>(vector->data(), vector->size());
}

inline std::string_view bytes_of(const flatbuffers::Vector<uint8_t>* vector) {
  const auto bytes = span_of(vector);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline void check_range(int64_t value, int64_t least, int64_t most, const char* name) {
  if (value < least || value > most)
    throw Error(std::string(name) + " is " + number(value) + "; expected " + number(least) + " to " + number(most));
}

inline void check_size(size_t found, size_t expected, const char* name) {
  if (found != expected)
    throw Error(std::string(name) + " has " + std::to_string(found) + " entries; expected " + std::to_string(expected));
}

inline std::string number_text(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%g", value);
  return text;
}

/// Checks a number that is shown: milliseconds, shares, speeds.
inline void check_number(double value, double most, const char* name) {
  if (!(std::isfinite(value) && value >= 0 && value <= most))
    throw Error(std::string(name) + " is " + number_text(value) + "; expected 0 to " + number_text(most));
}
inline constexpr double any = 1e15;  // far above any real clock or counter

inline void check_class(uint8_t token_class) {
  check_range(token_class, 0, static_cast<int64_t>(TokenClass::punctuation), "the token class");
}

/// Upper bound of the pages of one head: the full ones, one partly filled, and one for the next slot.
inline int64_t most_pages_a_head(int32_t n_tokens, int32_t page_tokens) {
  return n_tokens / page_tokens + 2;
}

/// Checks that the bytes of all pages of a full context stay within max_bytes.
inline void check_page_bytes(int64_t page_bytes, int64_t n_heads, int32_t n_ctx, int32_t page_tokens) {
  check_range(page_bytes, 1, max_bytes / (n_heads * most_pages_a_head(n_ctx, page_tokens)), "page_bytes");
}

/// The configuration must have one importance per head, or none.
inline void check_importance(const CacheConfig& config, size_t n_heads) {
  if (!config.head_importance.empty()) check_size(config.head_importance.size(), n_heads, "head_importance");
}

inline void check_token_text(size_t n_bytes) {
  if (n_bytes > StreamLimits::max_token_bytes)
    throw Error("a token's text has " + std::to_string(n_bytes) + " bytes; expected at most " +
                std::to_string(StreamLimits::max_token_bytes));
}

/// Checks the text of all tokens together.
inline void check_text(size_t n_bytes) {
  if (n_bytes > StreamLimits::max_text_bytes)
    throw Error("the conversation's tokens have " + std::to_string(n_bytes) + " bytes of text; expected at most " +
                std::to_string(StreamLimits::max_text_bytes));
}

template <typename T>
const T& there(const T* table, const char* name) {
  if (table == nullptr) throw Error(std::string(name) + " is missing");
  return *table;
}

}  // namespace headroom::event_check
