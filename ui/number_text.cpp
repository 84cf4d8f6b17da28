// Formats numbers with the units and grouping that all panels share, and cuts titles between characters.
#include "ui/number_text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "engine/base/utf8.h"

namespace headroom {
namespace {

constexpr double kib = 1024, mib = kib * 1024, gib = mib * 1024;

std::string with_one_place(double value, const char* unit) {
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), "%.1f %s", value, unit);
  return text.data();
}

/// What becomes a space in one line.
bool is_blank(int32_t c) {
  return c == ' ' || (c >= '\t' && c <= '\r') || c == 0x85 || c == 0x2028 || c == 0x2029;
}

/// Control characters, and those that reorder or hide what stands beside them. The joiner of emoji stays.
bool is_unseen(int32_t c) {
  return c != 0x200d && (is_control(c) || is_steering(c));
}

}  // namespace

ByteUnit byte_unit(int64_t largest_bytes) {
  const double value = static_cast<double>(largest_bytes);
  if (value >= 2 * gib) return {gib, "GiB"};
  if (value >= mib) return {mib, "MiB"};
  return {kib, "KiB"};
}

std::string count_text(int64_t count, const char* one, const char* many) {
  return count_text(count) + ' ' + (count == 1 ? one : many);
}

std::string model_text(std::string_view name, std::string_view path) {
  std::string_view stem = path.substr(path.find_last_of("/\\") + 1);
  if (stem.ends_with(".gguf")) stem.remove_suffix(5);
  // Remove the "-00001-of-00002" of a model that is split into several files.
  if (const size_t of = stem.rfind("-of-"); of != std::string_view::npos && of >= 6 && stem.size() - of == 9) {
    const std::string_view number = stem.substr(of - 6, 6);
    if (number[0] == '-' && number.find_first_not_of("0123456789", 1) == std::string_view::npos)
      stem = stem.substr(0, of - 6);
  }
  std::string text;
  for (size_t i = 0; i < stem.size(); ++i) {
    const bool begins_number = i + 1 < stem.size() && stem[i + 1] >= '0' && stem[i + 1] <= '9';
    // "Qwen2.5" and "Q4_K_M" stay as they are.
    text += stem[i] == '-' || (stem[i] == '.' && !begins_number) ? ' ' : stem[i];
  }
  std::string lower = text;
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  const bool says_nothing = lower.empty() || lower == "model" || lower.starts_with("ggml model") ||
                            lower.starts_with("model ") || lower == "consolidated";
  return says_nothing && !name.empty() ? one_line(name, 80) : one_line(text, 80, name);
}

std::string percent_text(double share) {
  if (!std::isfinite(share)) return "–";
  return with_one_place(share * 100, "%");
}

std::string share_text(double share) {
  if (!std::isfinite(share)) return "–";
  std::array<char, 48> text{};
  // The small addend stops 0.95 from becoming 0.949, since its binary form may be slightly smaller.
  std::snprintf(text.data(), text.size(), "%.3f", std::trunc(share * 1000 + 1e-9) / 1000);
  return text.data();
}

std::string factor_text(double factor) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.3g", factor);
  return text.data();
}

std::string age_text(int64_t then_ms, int64_t now_ms) {
  const int64_t minutes = std::max<int64_t>(0, now_ms - then_ms) / 60'000;
  const int64_t hours = minutes / 60, days = hours / 24;
  if (minutes < 1) return "just now";
  if (hours < 1) return count_text(minutes, "minute ago", "minutes ago");
  if (days < 1) return count_text(hours, "hour ago", "hours ago");
  if (days < 2) return "yesterday";
  if (days < 60) return count_text(days, "day ago", "days ago");
  if (days < 730) return count_text(days / 30, "month ago", "months ago");
  return count_text(days / 365, "year ago", "years ago");
}

std::string one_line(std::string_view text, size_t max_characters, std::string_view if_empty) {
  std::string line;
  size_t n_characters = 0;
  bool space_waits = false;
  while (!text.empty()) {
    const Utf8Char c = utf8_char_at(text, 0);
    const bool is_invalid = c.n_bytes == 0;
    const std::string_view bytes = is_invalid ? "\xef\xbf\xbd" : text.substr(0, c.n_bytes);
    text.remove_prefix(is_invalid ? 1 : c.n_bytes);
    if (is_blank(c.code_point)) {
      space_waits = !line.empty();
      continue;
    }
    if (is_unseen(c.code_point)) continue;
    if (n_characters + (space_waits ? 1 : 0) >= max_characters) return line + "…";
    n_characters += space_waits ? 2 : 1;
    if (space_waits) line += ' ';
    space_waits = false;
    line += bytes;
  }
  return line.empty() ? std::string(if_empty) : line;
}

}  // namespace headroom
