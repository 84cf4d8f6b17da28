// Numbers, times and untrusted titles ─► short text for people, the same everywhere in the window. Knows no ImGui.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/number_text.h"

namespace headroom {

/// Bytes as a number in a fixed unit, for axes: what to divide by, and the unit's name.
struct ByteUnit {
  double bytes = 1;
  const char* name = "B";
};
ByteUnit byte_unit(int64_t largest_bytes);

/// "1 token", "2 tokens"
std::string count_text(int64_t count, const char* one, const char* many);

/// A model's name for people: its file name without ending and with spaces, "SmolLM2 135M Instruct Q4_1", because
/// people chose the model by it. If the file name says nothing ("model.gguf"), it is the name inside the file.
std::string model_text(std::string_view name, std::string_view path);

/// "63.2 %" for a share of 0 to 1; "–" for NaN and infinity.
std::string percent_text(double share);
/// "0.953", for recoveries and thresholds: three places, rounded towards zero. A recovery below the threshold thus
/// never looks as if it reached it.
std::string share_text(double share);
/// "0.0312", "1.2", "14": three significant digits, for values that are compared with 1.
std::string factor_text(double factor);

/// "just now", "5 minutes ago", "yesterday", "3 days ago", "2 months ago".
std::string age_text(int64_t then_ms, int64_t now_ms);

/// One line of at most max_characters, with "…" if it was shortened. Line feeds and tabs become spaces, other control
/// characters and direction overrides are removed, invalid UTF-8 becomes U+FFFD. Returns `if_empty` for empty text.
std::string one_line(std::string_view text, size_t max_characters, std::string_view if_empty = "");

}  // namespace headroom
