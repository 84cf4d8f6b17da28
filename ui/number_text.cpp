// Formats numbers with the units and grouping that all panels share, and cuts titles between characters.
#include "ui/number_text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace headroom {
namespace {

constexpr double kib = 1024, mib = kib * 1024, gib = mib * 1024;

std::string with_one_place(double value, const char* unit) {
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), "%.1f %s", value, unit);
  return text.data();
}

struct Character {
  char32_t code_point = 0xfffd;
  size_t n_bytes = 1;
};

/// The first character of the text; U+FFFD with a length of one byte if it is not UTF-8.
Character first_character(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const size_t n = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < n) return {};
  char32_t code_point = lead & (0x7fu >> n);
  for (size_t i = 1; i < n; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    code_point = code_point << 6 | (byte(i) & 0x3fu);
  }
  const char32_t smallest = n == 2 ? 0x80 : n == 3 ? 0x800 : 0x10000;
  const bool surrogate = code_point >= 0xd800 && code_point <= 0xdfff;
  if (code_point < smallest || code_point > 0x10ffff || surrogate) return {};
  return {code_point, n};
}

bool is_space(char32_t c) {
  return c == ' ' || (c >= '\t' && c <= '\r') || c == 0x85 || c == 0x2028 || c == 0x2029;
}

/// Whether it is a control character or one that reorders or hides its neighbours. The joiner of emoji (U+200D) is not.
bool is_unseen(char32_t c) {
  if (c == 0x200d) return false;
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x200b && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) ||
         (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

}  // namespace

std::string bytes_text(int64_t bytes) {
  const double value = static_cast<double>(bytes);
  // The limits are lowered because one decimal place would round up to 1024.0 of the smaller unit.
  if (value >= gib - 0.05 * mib) return with_one_place(value / gib, "GiB");
  if (value >= mib - 0.05 * kib) return with_one_place(value / mib, "MiB");
  if (value >= kib) return with_one_place(value / kib, "KiB");
  return std::to_string(bytes) + " B";
}

ByteUnit byte_unit(int64_t largest_bytes) {
  const double value = static_cast<double>(largest_bytes);
  if (value >= 2 * gib) return {gib, "GiB"};
  if (value >= mib) return {mib, "MiB"};
  return {kib, "KiB"};
}

std::string count_text(int64_t count) {
  const std::string digits = std::to_string(count);
  std::string text;
  for (size_t i = 0; i < digits.size(); ++i) {
    const size_t n_left = digits.size() - i;
    if (i > 0 && n_left % 3 == 0 && digits[i - 1] != '-') text += ',';
    text += digits[i];
  }
  return text;
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
    const Character c = first_character(text);
    const std::string_view bytes = text.substr(0, c.n_bytes);
    text.remove_prefix(c.n_bytes);
    if (is_space(c.code_point)) {
      space_waits = !line.empty();
      continue;
    }
    if (is_unseen(c.code_point)) continue;
    if (n_characters + (space_waits ? 1 : 0) >= max_characters) return line + "…";
    n_characters += space_waits ? 2 : 1;
    if (space_waits) line += ' ';
    space_waits = false;
    if (c.code_point == 0xfffd)
      line += "\xef\xbf\xbd";
    else
      line += bytes;
  }
  return line.empty() ? std::string(if_empty) : line;
}

}  // namespace headroom
