// Marked strings. Every function copies bytes together with their marks; none creates new marks. See text.h.
#include "engine/text/jinja/text.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <functional>
#include <set>

#include "engine/text/jinja/unicode.h"

namespace headroom::jinja {

namespace {

constexpr size_t work_per_char = 16;
constexpr size_t work_per_piece = 32;                  // per piece that is found or appended
constexpr size_t bytes_per_charge = size_t{64} << 10;  // how often a fast loop charges its work

}  // namespace

void Text::mark(size_t begin, size_t end) {
  if (begin == end) return;
  if (!user_ranges_.empty() && user_ranges_.back().end == begin) {
    user_ranges_.back().end = static_cast<uint32_t>(end);
  } else {
    user_ranges_.push_back({static_cast<uint32_t>(begin), static_cast<uint32_t>(end)});
  }
}

void Text::append(std::string_view bytes, bool from_user) {
  const size_t begin = bytes_.size();
  assert(begin + bytes.size() <= UINT32_MAX);
  charge_work(work_per_piece);
  bytes_.append(bytes);
  if (from_user) mark(begin, bytes_.size());
}

void Text::append(const Text& other, size_t begin, size_t end) {
  assert(begin <= end && end <= other.size() && this != &other);
  charge_work(work_per_piece);
  const size_t start = bytes_.size();
  bytes_.append(other.bytes_, begin, end - begin);
  auto range = std::partition_point(other.user_ranges_.begin(), other.user_ranges_.end(),
                                    [begin](const ByteRange& r) { return r.end <= begin; });
  for (; range != other.user_ranges_.end() && range->begin < end; ++range) {
    const size_t from = std::max<size_t>(range->begin, begin);
    const size_t to = std::min<size_t>(range->end, end);
    mark(start + from - begin, start + to - begin);
  }
}

Text Text::slice(size_t begin, size_t end) const {
  Text result;
  result.append(*this, begin, end);
  return result;
}

bool Text::has_user(size_t begin, size_t end) const {
  const auto range = std::partition_point(user_ranges_.begin(), user_ranges_.end(),
                                          [begin](const ByteRange& r) { return r.end <= begin; });
  return range != user_ranges_.end() && range->begin < end;
}

Char char_at(std::string_view bytes, size_t position) {
  charge_work(work_per_char);
  const auto first = static_cast<unsigned char>(bytes[position]);
  if (first < 0x80) return {first, 1};
  utf8proc_int32_t code = -1;
  const auto* data = reinterpret_cast<const utf8proc_uint8_t*>(bytes.data()) + position;
  const auto length = utf8proc_iterate(data, static_cast<utf8proc_ssize_t>(bytes.size() - position), &code);
  if (length <= 0) return {-1, 1};
  return {code, static_cast<uint32_t>(length)};
}

template <class AnyString>
void append_utf8(AnyString& bytes, int32_t code) {
  utf8proc_uint8_t buffer[4];
  const auto length = utf8proc_encode_char(code, buffer);
  bytes.append(reinterpret_cast<const char*>(buffer), static_cast<size_t>(length));
}
template void append_utf8(std::string& bytes, int32_t code);
template void append_utf8(String& bytes, int32_t code);

size_t count_chars(std::string_view bytes) {
  const auto is_ascii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
  size_t count = 0;
  for (size_t i = 0; i < bytes.size();) {
    const std::string_view chunk = bytes.substr(i, 256);
    if (std::all_of(chunk.begin(), chunk.end(), is_ascii)) {
      count += chunk.size();
      i += chunk.size();
      continue;
    }
    for (const size_t end = i + chunk.size(); i < end; i += char_at(bytes, i).length) ++count;
  }
  return count;
}

namespace {

/// Knuth, Morris, Pratt over the bytes at(0) … at(n - 1): index of the needle's first occurrence.
template <class At, class NeedleAt>
size_t find_in(const At& at, size_t n, const NeedleAt& needle_at, size_t n_needle) {
  // border[i] is the longest proper border of the needle's first i bytes.
  std::array<uint32_t, 17> few{};
  Vector<uint32_t> many(n_needle < few.size() ? 0 : n_needle + 1, 0);
  uint32_t* const border = many.empty() ? few.data() : many.data();
  size_t until_charge = bytes_per_charge;
  const auto charge_now_and_then = [&until_charge] {
    if (--until_charge > 0) return;
    charge_work(4 * bytes_per_charge);
    until_charge = bytes_per_charge;
  };
  for (size_t i = 1, k = 0; i < n_needle; ++i) {
    charge_now_and_then();
    while (k > 0 && needle_at(i) != needle_at(k)) k = border[k];
    if (needle_at(i) == needle_at(k)) ++k;
    border[i + 1] = static_cast<uint32_t>(k);
  }
  for (size_t i = 0, k = 0; i < n; ++i) {
    charge_now_and_then();
    while (k > 0 && at(i) != needle_at(k)) k = border[k];
    if (at(i) == needle_at(k)) ++k;
    if (k == n_needle) return i + 1 - k;
  }
  return std::string_view::npos;
}

}  // namespace

size_t find_text(std::string_view bytes, std::string_view needle, size_t from) {
  charge_work(work_per_piece);
  if (from > bytes.size() || needle.size() > bytes.size() - from) return std::string_view::npos;
  if (needle.size() <= 1) return bytes.find(needle, from);
  const size_t at = find_in([&](size_t i) { return bytes[from + i]; }, bytes.size() - from,
                            [&](size_t i) { return needle[i]; }, needle.size());
  return at == std::string_view::npos ? at : from + at;
}

size_t find_text_from_right(std::string_view bytes, std::string_view needle, size_t end) {
  charge_work(work_per_piece);
  end = std::min(end, bytes.size());
  if (needle.size() > end) return std::string_view::npos;
  if (needle.size() <= 1) return bytes.rfind(needle, end - needle.size());
  const size_t at = find_in([&](size_t i) { return bytes[end - 1 - i]; }, end,
                            [&](size_t i) { return needle[needle.size() - 1 - i]; }, needle.size());
  return at == std::string_view::npos ? at : end - at - needle.size();
}

size_t count_text(std::string_view bytes, std::string_view needle) {
  if (needle.empty()) return count_chars(bytes) + 1;
  size_t count = 0;
  for (size_t at = find_text(bytes, needle); at != std::string_view::npos; at = find_text(bytes, needle, at)) {
    charge_work(work_per_char);
    ++count;
    at += needle.size();
  }
  return count;
}

namespace {

/// Begin of the character that ends at `end`.
size_t char_before(std::string_view bytes, size_t end) {
  for (size_t length = std::min<size_t>(4, end); length > 1; --length) {
    if (char_at(bytes, end - length).length == length) return end - length;
  }
  return end - 1;
}

/// The characters that strip removes: white space, or those of a string.
class CharSet {
 public:
  explicit CharSet(const String* chars) : white_space_(chars == nullptr) {
    if (chars == nullptr) return;
    for (size_t i = 0; i < chars->size();) {
      const Char c = char_at(*chars, i);
      codes_.insert(key(*chars, i, c));
      i += c.length;
    }
  }
  bool has(std::string_view bytes, size_t position) const {
    const Char c = char_at(bytes, position);
    return white_space_ ? is_space(c.code) : codes_.count(key(bytes, position, c)) != 0;
  }

 private:
  static int32_t key(std::string_view bytes, size_t position, Char c) {
    return c.code >= 0 ? c.code : -1 - static_cast<unsigned char>(bytes[position]);
  }
  bool white_space_;
  std::set<int32_t, std::less<>, CountedAllocator<int32_t>> codes_;
};

size_t skip_space_left(std::string_view bytes, size_t end, bool space) {
  while (end > 0) {
    const size_t begin = char_before(bytes, end);
    if (is_space(char_at(bytes, begin).code) != space) break;
    end = begin;
  }
  return end;
}

bool is_line_end(int32_t code) {
  return (code >= 10 && code <= 13) || (code >= 28 && code <= 30) || code == 0x85 || code == 0x2028 || code == 0x2029;
}

}  // namespace

size_t skip_space(std::string_view bytes, size_t position, bool space) {
  while (position < bytes.size()) {
    const Char c = char_at(bytes, position);
    if (is_space(c.code) != space) break;
    position += c.length;
  }
  return position;
}

Text strip(const Text& text, Side side, const String* chars) {
  const CharSet set(chars);
  const String& bytes = text.bytes();
  size_t begin = 0;
  size_t end = bytes.size();
  if (side != Side::right) {
    while (begin < end && set.has(bytes, begin)) begin += char_at(bytes, begin).length;
  }
  if (side != Side::left) {
    while (end > begin) {
      const size_t last = char_before(bytes, end);
      if (!set.has(bytes, last)) break;
      end = last;
    }
  }
  return text.slice(begin, std::max(begin, end));
}

Vector<Text> split(const Text& text, const String* separator, int64_t max_splits) {
  const String& bytes = text.bytes();
  Vector<Text> parts;
  const auto may_split = [&] { return max_splits < 0 || static_cast<int64_t>(parts.size()) < max_splits; };
  if (separator == nullptr) {
    size_t begin = skip_space(bytes, 0, true);
    while (begin < bytes.size()) {
      if (!may_split()) {
        parts.push_back(text.slice(begin, bytes.size()));
        break;
      }
      const size_t end = skip_space(bytes, begin, false);
      parts.push_back(text.slice(begin, end));
      begin = skip_space(bytes, end, true);
    }
    return parts;
  }
  size_t begin = 0;
  while (may_split()) {
    const size_t at = find_text(bytes, *separator, begin);
    if (at == std::string::npos) break;
    parts.push_back(text.slice(begin, at));
    begin = at + separator->size();
  }
  parts.push_back(text.slice(begin, bytes.size()));
  return parts;
}

Vector<Text> split_from_right(const Text& text, const String* separator, int64_t max_splits) {
  const String& bytes = text.bytes();
  Vector<Text> parts;
  const auto may_split = [&] { return max_splits < 0 || static_cast<int64_t>(parts.size()) < max_splits; };
  if (separator == nullptr) {
    size_t end = skip_space_left(bytes, bytes.size(), true);
    while (end > 0) {
      if (!may_split()) {
        parts.push_back(text.slice(0, end));
        break;
      }
      const size_t begin = skip_space_left(bytes, end, false);
      parts.push_back(text.slice(begin, end));
      end = skip_space_left(bytes, begin, true);
    }
  } else {
    // Overlapping occurrences are matched from the right, as in Python.
    size_t end = bytes.size();
    while (may_split() && end >= separator->size()) {
      const size_t at = find_text_from_right(bytes, *separator, end);
      if (at == std::string::npos) break;
      parts.push_back(text.slice(at + separator->size(), end));
      end = at;
    }
    parts.push_back(text.slice(0, end));
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

Vector<Line> split_lines(std::string_view bytes) {
  Vector<Line> lines;
  size_t begin = 0;
  for (size_t i = 0; i < bytes.size();) {
    const Char c = char_at(bytes, i);
    size_t next = i + c.length;
    if (is_line_end(c.code)) {
      if (c.code == '\r' && next < bytes.size() && bytes[next] == '\n') ++next;
      lines.push_back({begin, i, next});
      begin = next;
    }
    i = next;
  }
  if (begin < bytes.size()) lines.push_back({begin, bytes.size(), bytes.size()});
  return lines;
}

Text replace(const Text& text, const String& old_bytes, const Text& new_text, int64_t max_count) {
  const String& bytes = text.bytes();
  Text result;
  size_t begin = 0;
  int64_t count = 0;
  if (old_bytes.empty()) {
    // Python inserts the new text before every character and at the end.
    while (max_count < 0 || count < max_count) {
      result.append(new_text);
      ++count;
      if (begin == bytes.size()) return result;
      const size_t next = begin + char_at(bytes, begin).length;
      result.append(text, begin, next);
      begin = next;
    }
  }
  while (!old_bytes.empty() && (max_count < 0 || count < max_count)) {
    const size_t at = find_text(bytes, old_bytes, begin);
    if (at == std::string::npos) break;
    result.append(text, begin, at);
    result.append(new_text);
    begin = at + old_bytes.size();
    ++count;
  }
  result.append(text, begin, bytes.size());
  return result;
}

namespace {

/// True if a word continues after this character; it decides the case of the next character.
bool continues_word(LetterCase letter_case, int32_t code) {
  if (letter_case == LetterCase::title) return is_cased(code);
  if (letter_case != LetterCase::filter_title) return true;
  return !is_space(code) && code != '-' && code != '(' && code != '{' && code != '[' && code != '<';
}

/// True if a sigma is final: a cased letter is before it and none after it. Case-ignorable characters in between are
/// skipped.
bool is_final_sigma(std::string_view bytes, size_t position) {
  bool letter_before = false;
  size_t begin = position;
  while (begin > 0 && !letter_before) {
    begin = char_before(bytes, begin);
    const int32_t code = char_at(bytes, begin).code;
    if (is_case_ignorable(code)) continue;
    if (!is_cased(code)) return false;
    letter_before = true;
  }
  if (!letter_before) return false;
  size_t end = position + char_at(bytes, position).length;
  while (end < bytes.size()) {
    const Char c = char_at(bytes, end);
    if (!is_case_ignorable(c.code)) return !is_cased(c.code);
    end += c.length;
  }
  return true;
}

void append_lower_at(String& out, std::string_view bytes, size_t position, int32_t code) {
  constexpr int32_t capital_sigma = 0x3a3;
  if (code == capital_sigma) {
    out.append(is_final_sigma(bytes, position) ? "ς" : "σ");
  } else {
    append_lower(out, code);
  }
}

}  // namespace

Text change_case(const Text& text, LetterCase letter_case) {
  const String& bytes = text.bytes();
  Text result;
  String mapped;
  bool at_start = true;  // of a word; for capitalize, of the text
  for (size_t i = 0; i < bytes.size();) {
    const Char c = char_at(bytes, i);
    mapped.clear();
    if (c.code < 0) {
      mapped.push_back(bytes[i]);
    } else if (letter_case == LetterCase::casefold) {
      append_folded(mapped, c.code);
    } else if (letter_case == LetterCase::upper || (letter_case == LetterCase::filter_title && at_start) ||
               (letter_case == LetterCase::swap && is_lower(c.code))) {
      append_upper(mapped, c.code);
    } else if (letter_case == LetterCase::swap && !is_upper(c.code)) {
      append_utf8(mapped, c.code);
    } else if (at_start && (letter_case == LetterCase::title || letter_case == LetterCase::capitalize)) {
      append_title(mapped, c.code);
    } else {
      append_lower_at(mapped, bytes, i, c.code);
    }
    result.append(mapped, text.has_user(i, i + c.length));
    at_start = !continues_word(letter_case, c.code);
    i += c.length;
  }
  return result;
}

Text repeated(const Text& text, size_t n) {
  constexpr size_t block_bytes = size_t{64} << 10;  // short texts are repeated block by block
  Text block = text;
  size_t n_in_block = 1;
  while (block.size() < block_bytes && 2 * n_in_block <= n) {
    const Text half = block;
    block.append(half);
    n_in_block *= 2;
  }
  Text result;
  result.reserve(n * text.size());
  for (; n >= n_in_block; n -= n_in_block) result.append(block);
  result.append(block, 0, n * text.size());
  return result;
}

Text reverse_chars(const Text& text) {
  Text result;
  for (size_t end = text.size(); end > 0;) {
    const size_t begin = char_before(text.bytes(), end);
    result.append(text, begin, end);
    end = begin;
  }
  return result;
}

}  // namespace headroom::jinja
