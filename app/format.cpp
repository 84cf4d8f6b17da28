// Formats for people: printf into a string, and untrusted text made harmless for a terminal.
#include "app/format.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <numeric>
#include <vector>

#include "engine/base/utf8.h"

namespace headroom {
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

std::string printable(std::string_view text) {
  std::string line;
  line.reserve(text.size());
  while (!text.empty()) {
    const Utf8Char c = utf8_char_at(text, 0);
    if (c.n_bytes == 0)
      line += format("\\x%02x", static_cast<uint8_t>(text[0]));
    else if (c.code_point == '\n')
      line += "\\n";
    else if (c.code_point == '\t')
      line += "\\t";
    else if (is_control(c.code_point))
      line += format("\\x%02x", static_cast<uint32_t>(c.code_point));
    else if (is_steering(c.code_point))
      line += format("\\u{%x}", static_cast<uint32_t>(c.code_point));
    else
      line += text.substr(0, c.n_bytes);
    text.remove_prefix(std::max<size_t>(1, c.n_bytes));
  }
  return line;
}

std::string terminal_text(std::string_view text) {
  std::string shown;
  shown.reserve(text.size());
  while (!text.empty()) {
    const Utf8Char c = utf8_char_at(text, 0);
    if (c.code_point == '\n' || c.code_point == '\t')
      shown += text[0];
    else if (c.n_bytes == 0 || (c.code_point >= 0x80 && is_control(c.code_point)))
      shown += "\xef\xbf\xbd";          // U+FFFD
    else if (is_control(c.code_point))  // U+2400 … U+2421, control pictures
      shown += {'\xe2', '\x90', static_cast<char>(c.code_point == 0x7f ? 0xa1 : 0x80 + c.code_point)};
    else
      shown += text.substr(0, c.n_bytes);
    text.remove_prefix(std::max<size_t>(1, c.n_bytes));
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
