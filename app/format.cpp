// Formatting for people: bytes, counts, and untrusted text made harmless for a terminal.
#include "app/format.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <numeric>
#include <vector>

namespace headroom {
namespace {

struct Character {
  uint32_t code_point = 0;
  size_t n_bytes = 1;
  bool valid = false;
};

/// The character that text starts with; an invalid byte counts as one.
Character first_character(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return {lead, 1, true};
  const size_t n = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < n) return {};
  uint32_t code_point = lead & (0x7fu >> n);
  for (size_t i = 1; i < n; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    code_point = code_point << 6 | (byte(i) & 0x3fu);
  }
  const uint32_t smallest = n == 2 ? 0x80 : n == 3 ? 0x800 : 0x10000;
  const bool surrogate = code_point >= 0xd800 && code_point <= 0xdfff;
  if (code_point < smallest || code_point > 0x10ffff || surrogate) return {};
  return {code_point, n, true};
}

bool is_control(uint32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

/// Characters that reorder or hide their neighbours.
bool is_steering(uint32_t c) {
  return (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

}  // namespace

std::string format(const char* pattern, ...) {
  va_list arguments;
  va_start(arguments, pattern);
  va_list again;
  va_copy(again, arguments);
  std::string text(static_cast<size_t>(std::vsnprintf(nullptr, 0, pattern, arguments)), '\0');
  std::vsnprintf(text.data(), text.size() + 1, pattern, again);
  va_end(again);
  va_end(arguments);
  return text;
}

std::string format_bytes(int64_t bytes) {
  const double value = static_cast<double>(bytes);
  if (value >= 1024.0 * 1024 * 1024) return format("%.1f GiB", value / (1024.0 * 1024 * 1024));
  if (value >= 1024.0 * 1024) return format("%.1f MiB", value / (1024.0 * 1024));
  return format("%.1f KiB", value / 1024.0);
}

std::string format_count(int64_t count) {
  const std::string digits = std::to_string(count);
  std::string text;
  for (size_t i = 0; i < digits.size(); ++i) {
    const size_t n_left = digits.size() - i;
    if (i > 0 && n_left % 3 == 0 && digits[i - 1] != '-') text += ',';
    text += digits[i];
  }
  return text;
}

std::string printable(std::string_view text) {
  std::string line;
  line.reserve(text.size());
  while (!text.empty()) {
    const Character c = first_character(text);
    if (!c.valid)
      line += format("\\x%02x", static_cast<uint8_t>(text[0]));
    else if (c.code_point == '\n')
      line += "\\n";
    else if (c.code_point == '\t')
      line += "\\t";
    else if (is_control(c.code_point))
      line += format("\\x%02x", c.code_point);
    else if (is_steering(c.code_point))
      line += format("\\u{%x}", c.code_point);
    else
      line += text.substr(0, c.n_bytes);
    text.remove_prefix(c.n_bytes);
  }
  return line;
}

std::string terminal_text(std::string_view text) {
  std::string shown;
  shown.reserve(text.size());
  while (!text.empty()) {
    const Character c = first_character(text);
    if (c.code_point == '\n' || c.code_point == '\t')
      shown += text[0];
    else if (!c.valid || (c.code_point >= 0x80 && is_control(c.code_point)))
      shown += "\xef\xbf\xbd";          // U+FFFD
    else if (is_control(c.code_point))  // U+2400 … U+2421, control pictures
      shown += {'\xe2', '\x90', static_cast<char>(c.code_point == 0x7f ? 0xa1 : 0x80 + c.code_point)};
    else
      shown += text.substr(0, c.n_bytes);
    text.remove_prefix(c.n_bytes);
  }
  return shown;
}

std::string shortened(std::string_view text, size_t max_bytes) {
  if (text.size() <= max_bytes) return std::string(text);
  size_t end = max_bytes;
  while (end > 0 && (static_cast<uint8_t>(text[end]) & 0xc0) == 0x80) --end;
  return std::string(text.substr(0, end)) + "…";
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace headroom
