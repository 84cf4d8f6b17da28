// Strings that store the origin (user or template) of every character, and Python's string operations, which preserve
// the origins. The values of the template interpreter use them; knows nothing about templates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/text/jinja/budget.h"

namespace headroom::jinja {

/// Bytes [begin, end).
struct ByteRange {
  uint32_t begin = 0;
  uint32_t end = 0;
};

/// UTF-8 bytes, and the ranges of bytes that a user wrote: sorted, disjoint, not adjacent. A byte that is not part of a
/// valid character counts as one character.
class Text {
 public:
  Text() = default;
  explicit Text(std::string_view bytes, bool from_user = false) { append(bytes, from_user); }

  const String& bytes() const { return bytes_; }
  size_t size() const { return bytes_.size(); }
  const Vector<ByteRange>& user_ranges() const { return user_ranges_; }
  bool has_user() const { return !user_ranges_.empty(); }
  /// Heap memory of this text.
  size_t memory_bytes() const { return bytes_.size() + user_ranges_.size() * sizeof(ByteRange); }

  void reserve(size_t bytes) { bytes_.reserve(bytes); }
  void append(std::string_view bytes, bool from_user = false);
  void append(const Text& other) { append(other, 0, other.size()); }
  /// Appends the bytes [begin, end) of another text, with their marks.
  void append(const Text& other, size_t begin, size_t end);
  Text slice(size_t begin, size_t end) const;
  /// True if a user wrote any byte of [begin, end).
  bool has_user(size_t begin, size_t end) const;

 private:
  void mark(size_t begin, size_t end);

  String bytes_;
  Vector<ByteRange> user_ranges_;
};

/// The character at a byte position: code point (-1: not valid UTF-8), and length in bytes (at least 1).
struct Char {
  int32_t code = -1;
  uint32_t length = 1;
};
/// Charges the rendering for one character, so loops that use it can be cancelled and respect the limits.
Char char_at(std::string_view bytes, size_t position);
template <class AnyString>
void append_utf8(AnyString& bytes, int32_t code);
size_t count_chars(std::string_view bytes);
/// Byte position of the first occurrence at or after `from`, or npos. Takes linear time, since a template can choose
/// both strings, and can be cancelled.
size_t find_text(std::string_view bytes, std::string_view needle, size_t from = 0);
/// Byte position of the last occurrence that ends at or before `end`, or npos.
size_t find_text_from_right(std::string_view bytes, std::string_view needle, size_t end = std::string_view::npos);

/// The first position from `position` on where white space ends (space = true) or begins (space = false).
size_t skip_space(std::string_view bytes, size_t position, bool space);

enum class Side { left, right, both };
/// str.strip, lstrip and rstrip. chars == nullptr: white space.
Text strip(const Text& text, Side side, const String* chars);
/// str.split(separator, max_splits); separator == nullptr: runs of white space. max_splits < 0: no limit. The
/// separator must not be empty.
Vector<Text> split(const Text& text, const String* separator, int64_t max_splits);
/// str.rsplit with a separator or white space.
Vector<Text> split_from_right(const Text& text, const String* separator, int64_t max_splits);
/// str.splitlines: [begin, end) is a line without its line end; the next line begins at `next`.
struct Line {
  size_t begin = 0;
  size_t end = 0;
  size_t next = 0;
};
Vector<Line> split_lines(std::string_view bytes);
/// str.replace; max_count < 0: all.
Text replace(const Text& text, const String& old_bytes, const Text& new_text, int64_t max_count);
size_t count_text(std::string_view bytes, std::string_view needle);

enum class LetterCase { upper, lower, title, capitalize, swap, casefold, filter_title };
/// str.upper, lower, title, capitalize, swapcase, casefold and Jinja's own title filter.
Text change_case(const Text& text, LetterCase letter_case);
/// The text n times.
Text repeated(const Text& text, size_t n);
Text reverse_chars(const Text& text);

}  // namespace headroom::jinja
