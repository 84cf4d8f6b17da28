// Source of a chat template ─► tokens, with Jinja's rules for white space around tags (trim_blocks and lstrip_blocks
// on, as in transformers). This is the first step of parsing; knows no grammar.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace headroom::jinja {

struct Token {
  enum class Kind { data, output_begin, output_end, tag_begin, tag_end, name, string, integer, real, symbol, end };
  Kind kind = Kind::end;
  std::string text;  // data: the output text; string: without quotes and escapes; symbol: "==", "(", …
  int line = 0;

  bool is_symbol(std::string_view s) const { return kind == Kind::symbol && text == s; }
  bool is_name(std::string_view s) const { return kind == Kind::name && text == s; }
};

/// The last token is `end`. Comments are left out. Throws Error(bad_input) with the line.
std::vector<Token> tokenize_template(std::string_view source);

}  // namespace headroom::jinja
