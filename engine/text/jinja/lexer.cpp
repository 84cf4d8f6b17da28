// Template source ─► tokens. Follows Jinja's lexer, whose regular expressions define the language; each of them is a
// function here. See lexer.h.
#include "engine/text/jinja/lexer.h"

#include <algorithm>
#include <array>

#include "engine/text/jinja/error.h"
#include "engine/text/jinja/text.h"
#include "engine/text/jinja/unicode.h"

namespace headroom::jinja {

namespace {

/// Replaces \r\n and \r by \n, and removes one line end at the end of the source.
std::string normalised(std::string_view source) {
  std::string text;
  text.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      text.push_back('\n');
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      text.push_back(source[i]);
    }
  }
  if (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

bool is_digit_char(char c) {
  return c >= '0' && c <= '9';
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(normalised(source)) {}

  std::vector<Token> run() {
    while (position_ < source_.size()) read_data();
    push(Token::Kind::end, "");
    return std::move(tokens_);
  }

 private:
  bool starts_with(std::string_view s) const { return source_.compare(position_, s.size(), s) == 0; }
  char at(size_t i) const { return i < source_.size() ? source_[i] : '\0'; }
  void advance(size_t end) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(position_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(end), '\n'));
    position_ = end;
  }
  void push(Token::Kind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }
  size_t skip_space(size_t i) const {
    while (i < source_.size()) {
      const Char c = char_at(source_, i);
      if (!is_space(c.code)) break;
      i += c.length;
    }
    return i;
  }

  /// Reads the text up to the next tag, then the tag.
  void read_data() {
    size_t tag = position_;
    for (;; ++tag) {
      tag = source_.find('{', tag);
      if (tag == std::string::npos) {
        push(Token::Kind::data, source_.substr(position_));
        advance(source_.size());
        return;
      }
      const char next = at(tag + 1);
      if (next == '%' || next == '{' || next == '#') break;
    }
    const char opening = source_[tag + 1];
    const char sign = at(tag + 2) == '-' || at(tag + 2) == '+' ? at(tag + 2) : '\0';
    push_data(tag, sign, opening != '{');
    advance(tag + 2 + (sign != '\0' ? 1 : 0));
    const int opened_at = line_;
    if (opening == '#') {
      read_comment();
    } else if (opening == '%' && read_raw()) {
      return;
    } else {
      push(opening == '{' ? Token::Kind::output_begin : Token::Kind::tag_begin, "");
      read_tag(opening == '{', opened_at);
    }
  }

  /// Adds the data before a tag at `end`. The sign '-' removes all white space before the tag. If a block or comment
  /// has only blanks before it on its line, they are removed too, unless the sign is '+'.
  void push_data(size_t end, char sign, bool block) {
    std::string data = source_.substr(position_, end - position_);
    if (sign == '-') {
      data = strip(Text(data), Side::right, nullptr).bytes();
    } else if (sign != '+' && block) {
      const size_t newline = data.rfind('\n');
      const size_t line_begin = newline == std::string::npos ? 0 : newline + 1;
      const bool at_line_start = newline != std::string::npos || at_line_start_;
      if (at_line_start && strip(Text(data.substr(line_begin)), Side::both, nullptr).size() == 0) {
        data.resize(line_begin);
      }
    }
    if (!data.empty()) push(Token::Kind::data, std::move(data));
  }

  /// Moves past a tag that ends at `end` (just after "%}" or "#}"). The sign '-' skips all white space after it.
  /// Without a sign one line end is skipped, if `trims` is true; '+' skips nothing.
  void close(size_t end, char sign, bool trims) {
    if (sign == '-') {
      end = skip_space(end);
    } else if (sign != '+' && trims && at(end) == '\n') {
      ++end;
    }
    advance(end);
    at_line_start_ = source_[end - 1] == '\n';
  }

  void read_comment() {
    const size_t end = source_.find("#}", position_);
    if (end == std::string::npos) fail_at_line(line_, "a comment has no end, expected '#}'");
    const char sign = end > position_ ? source_[end - 1] : '\0';
    close(end + 2, sign, true);
  }

  /// Reads {% raw %} … {% endraw %}; returns true if there was one.
  bool read_raw() {
    size_t i = skip_space(position_);
    if (source_.compare(i, 3, "raw") != 0) return false;
    i = skip_space(i + 3);
    const bool strips = at(i) == '-';
    if (strips) ++i;
    if (source_.compare(i, 2, "%}") != 0) return false;
    advance(strips ? skip_space(i + 2) : i + 2);
    at_line_start_ = source_[position_ - 1] == '\n';
    for (size_t tag = source_.find("{%", position_); tag != std::string::npos; tag = source_.find("{%", tag + 2)) {
      size_t end = tag + 2;
      const char sign = at(end) == '-' || at(end) == '+' ? at(end) : '\0';
      end = skip_space(end + (sign != '\0' ? 1 : 0));
      if (source_.compare(end, 6, "endraw") != 0) continue;
      end = skip_space(end + 6);
      const char end_sign = at(end) == '-' || at(end) == '+' ? at(end) : '\0';
      if (end_sign != '\0') ++end;
      if (source_.compare(end, 2, "%}") != 0) continue;
      push_data(tag, sign, true);
      close(end + 2, end_sign, true);
      return true;
    }
    fail_at_line(line_, "a raw block has no end, expected '{% endraw %}'");
  }

  /// Reads the tokens of a tag, including its end.
  void read_tag(bool output, int opened_at) {
    const std::string_view end = output ? "}}" : "%}";
    while (true) {
      advance(skip_space(position_));
      if (position_ >= source_.size()) {
        fail_at_line(opened_at, "a tag has no end, expected '" + std::string(end) + "'");
      }
      if (brackets_.empty()) {
        const bool signed_end = at(position_) == '-' || (!output && at(position_) == '+');
        const char sign = signed_end ? at(position_) : '\0';
        const size_t i = position_ + (signed_end ? 1 : 0);
        if (source_.compare(i, 2, end) == 0) {
          push(output ? Token::Kind::output_end : Token::Kind::tag_end, "");
          close(i + 2, sign, !output);
          return;
        }
      }
      read_token();
    }
  }

  void read_token() {
    const char c = at(position_);
    const Char decoded = char_at(source_, position_);
    if (is_digit_char(c)) {
      read_number();
    } else if (c == '_' || is_letter(decoded.code)) {
      size_t end = position_;
      while (end < source_.size()) {
        const Char next = char_at(source_, end);
        if (source_[end] != '_' && !is_letter(next.code) && !is_digit(next.code)) break;
        end += next.length;
      }
      push(Token::Kind::name, source_.substr(position_, end - position_));
      advance(end);
    } else if (c == '\'' || c == '"') {
      read_string(c);
    } else {
      read_symbol();
    }
  }

  size_t skip_digits(size_t i) const {
    while (is_digit_char(at(i)) || (at(i) == '_' && is_digit_char(at(i + 1)))) ++i;
    return i;
  }

  void read_number() {
    const char base = static_cast<char>(at(position_ + 1) | 0x20);
    if (at(position_) == '0' && (base == 'x' || base == 'o' || base == 'b')) {
      size_t end = position_ + 2;
      const auto is_part = [](char c) {
        return is_digit_char(c) || c == '_' || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
      };
      while (is_part(at(end))) ++end;
      return push_number(Token::Kind::integer, end);
    }
    size_t end = skip_digits(position_);
    bool real = false;
    const bool after_dot = position_ > 0 && source_[position_ - 1] == '.';  // in x.0.1 the numbers are two subscripts
    if (!after_dot && at(end) == '.' && is_digit_char(at(end + 1))) {
      end = skip_digits(end + 1);
      real = true;
    }
    if (!after_dot && (at(end) | 0x20) == 'e') {
      const size_t sign = at(end + 1) == '+' || at(end + 1) == '-' ? 1 : 0;
      if (is_digit_char(at(end + 1 + sign))) {
        end = skip_digits(end + 1 + sign);
        real = true;
      }
    }
    push_number(real ? Token::Kind::real : Token::Kind::integer, end);
  }

  void push_number(Token::Kind kind, size_t end) {
    std::string digits = source_.substr(position_, end - position_);
    digits.erase(std::remove(digits.begin(), digits.end(), '_'), digits.end());
    push(kind, std::move(digits));
    advance(end);
  }

  void read_string(char quote) {
    size_t end = position_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) fail_at_line(line_, "a string has no end");
    push(Token::Kind::string, unescaped(source_.substr(position_ + 1, end - position_ - 1)));
    advance(end + 1);
  }

  /// Replaces Python's escapes in a string literal.
  std::string unescaped(const std::string& raw) const {
    std::string text;
    for (size_t i = 0; i < raw.size(); ++i) {
      if (raw[i] != '\\' || i + 1 == raw.size()) {
        text.push_back(raw[i]);
        continue;
      }
      static constexpr std::string_view letters = "abfnrtv\\'\"";
      static constexpr std::string_view meanings = "\a\b\f\n\r\t\v\\'\"";
      const char letter = raw[++i];
      const size_t simple = letters.find(letter);
      if (letter == '\n') continue;
      if (simple != std::string_view::npos) {
        text.push_back(meanings[simple]);
      } else if (letter == 'x' || letter == 'u' || letter == 'U') {
        append_hex(text, raw, i, letter == 'x' ? 2 : letter == 'u' ? 4 : 8);
      } else if (letter >= '0' && letter <= '7') {
        int32_t code = 0;
        size_t end = i;
        for (; end < raw.size() && end < i + 3 && raw[end] >= '0' && raw[end] <= '7'; ++end) {
          code = code * 8 + (raw[end] - '0');
        }
        append_utf8(text, code);
        i = end - 1;
      } else if (letter == 'N') {
        fail_unsupported_at_line(line_, "a character by its name in a string");
      } else {
        text.push_back('\\');
        text.push_back(letter);
      }
    }
    return text;
  }

  void append_hex(std::string& text, const std::string& raw, size_t& i, size_t n_digits) const {
    uint32_t code = 0;
    for (size_t k = 0; k < n_digits; ++k) {
      const char c = i + 1 < raw.size() ? raw[i + 1] : '\0';
      const size_t digit =
          std::string_view("0123456789abcdef").find(static_cast<char>(is_digit_char(c) ? c : c | 0x20));
      if (c == '\0' || digit == std::string_view::npos)
        fail_at_line(line_, "an escape in a string lacks hexadecimal digits");
      code = code * 16 + static_cast<uint32_t>(digit);
      ++i;
    }
    if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
      fail_at_line(line_, "an escape in a string is not a Unicode character");
    }
    append_utf8(text, static_cast<int32_t>(code));
  }

  void read_symbol() {
    static constexpr std::array<std::string_view, 25> symbols = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
                                                                 "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                                                 ">",  "<",  "=",  ".",  ":",  "|",  ","};
    const auto found = std::find_if(symbols.begin(), symbols.end(), [this](auto s) { return starts_with(s); });
    if (found == symbols.end()) {
      const Char c = char_at(source_, position_);
      fail_at_line(line_, "found the character '" + source_.substr(position_, c.length) + "', expected an expression");
    }
    const char c = (*found)[0];
    if (c == '(' || c == '[' || c == '{') brackets_.push_back(c == '(' ? ')' : c == '[' ? ']' : '}');
    if (c == ')' || c == ']' || c == '}') {
      if (brackets_.empty() || brackets_.back() != c)
        fail_at_line(line_, std::string("found '") + c + "' without a matching bracket");
      brackets_.pop_back();
    }
    push(Token::Kind::symbol, std::string(*found));
    advance(position_ + found->size());
  }

  const std::string source_;
  size_t position_ = 0;
  int line_ = 1;
  bool at_line_start_ = true;
  std::vector<char> brackets_;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize_template(std::string_view source) {
  return Lexer(source).run();
}

}  // namespace headroom::jinja
