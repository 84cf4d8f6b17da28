// Numbers, times and strangers' titles ─► short text for people, the same everywhere in the window. Knows no ImGui.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace headroom {

/// "12.3 MiB"; bytes below 1 KiB, KiB below 1 MiB, GiB from 1 GiB.
std::string bytes_text(int64_t bytes);
/// The same as a number in a fixed unit, for axes: what to divide by, and the unit's name.
struct ByteUnit {
  double bytes = 1;
  const char* name = "B";
};
ByteUnit byte_unit(int64_t largest_bytes);

/// "12,345", in groups of three, as in the terminal.
std::string count_text(int64_t count);
/// "1 token", "2 tokens"
std::string count_text(int64_t count, const char* one, const char* many);

/// A model's name for people: its file's name without ending and with spaces, "SmolLM2 135M Instruct Q4_1", since that
/// is what somebody chose it by. The name inside the file where the file's says nothing ("model.gguf").
std::string model_text(std::string_view name, std::string_view path);

/// "63.2 %" of a share of 0 to 1; "–" for what is not a number.
std::string percent_text(double share);
/// "0.953" as recoveries and thresholds are written: three places, rounded towards zero, so that what misses the
/// threshold never reads as if it reached it.
std::string share_text(double share);
/// "0.0312", "1.2", "14": three figures, for what is compared with 1.
std::string factor_text(double factor);

/// "just now", "5 minutes ago", "yesterday", "3 days ago", "2 months ago".
std::string age_text(int64_t then_ms, int64_t now_ms);

/// One line of at most max_characters: line feeds and tabs become spaces, other control characters and direction
/// overrides go, invalid UTF-8 becomes U+FFFD; "…" where something was left out. Empty text gives `if_empty`.
std::string one_line(std::string_view text, size_t max_characters, std::string_view if_empty = "");

}  // namespace headroom
