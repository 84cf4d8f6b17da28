// Literals of a template ─► which texts it can write. See scaffold.h.
#include "engine/text/scaffold.h"

#include <utf8proc.h>

#include <algorithm>

#include "engine/base/utf8.h"

namespace headroom {
namespace {

constexpr size_t max_token_bytes = 64;  // longer tokens are not scaffold, which limits the time for untrusted files

bool is_letter_or_digit(utf8proc_category_t category) {
  return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) ||
         (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO);
}

/// True for white space and for a single letter or digit. Vocabularies have these as user-defined tokens, and templates
/// write them in dates and words, but users must be able to write them too.
bool is_everybodys(std::string_view token) {
  bool only_space = true;
  size_t n_characters = 0;
  bool letter_or_digit = false;
  for (size_t at = 0; at < token.size(); ++n_characters) {
    const Utf8Char c = utf8_char_at(token, at);
    if (c.n_bytes == 0) return false;
    at += c.n_bytes;
    only_space = only_space && is_space(c.code_point);
    letter_or_digit = is_letter_or_digit(utf8proc_category(c.code_point));
  }
  return only_space || (n_characters == 1 && letter_or_digit);
}

}  // namespace

TemplateScaffold::TemplateScaffold(std::vector<std::string> literals) : literals_(std::move(literals)) {
  std::sort(literals_.begin(), literals_.end());
  literals_.erase(std::unique(literals_.begin(), literals_.end()), literals_.end());
  if (!literals_.empty() && literals_.front().empty()) literals_.erase(literals_.begin());
  for (const std::string& literal : literals_)
    for (size_t at = 0; at < literal.size(); ++at)
      tails_.push_back(std::string_view(literal).substr(at, max_token_bytes + 1));
  std::sort(tails_.begin(), tails_.end());
}

bool TemplateScaffold::holds(std::string_view token) const {
  if (token.size() > max_token_bytes || is_everybodys(token)) return false;
  return is_in_a_literal(token) || is_put_together(token);
}

bool TemplateScaffold::is_in_a_literal(std::string_view text) const {
  const auto tail = std::lower_bound(tails_.begin(), tails_.end(), text);
  return tail != tails_.end() && tail->starts_with(text);
}

bool TemplateScaffold::is_put_together(std::string_view text) const {
  // Finds the end of one literal, then whole literals, then the beginning of another.
  std::vector<bool> reached(text.size(), false);  // [i]: the first i bytes are such an end and whole literals
  for (size_t end = 1; end < text.size(); ++end) {
    const std::string_view first = text.substr(0, end);
    reached[end] = std::binary_search(tails_.begin(), tails_.end(), first);
    for (size_t begin = 1; begin < end && !reached[end]; ++begin)
      reached[end] =
          reached[begin] && std::binary_search(literals_.begin(), literals_.end(), text.substr(begin, end - begin));
  }
  for (size_t begin = 1; begin < text.size(); ++begin) {
    if (!reached[begin]) continue;
    const std::string_view last = text.substr(begin);
    const auto literal = std::lower_bound(literals_.begin(), literals_.end(), last);
    if (literal != literals_.end() && literal->starts_with(last)) return true;
  }
  return false;
}

}  // namespace headroom
