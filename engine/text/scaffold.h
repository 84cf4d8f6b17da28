// The literals of a chat template ─► which texts the template itself can write. token_table uses it to close the tokens
// of such texts, so that they are never matched in users' text. Knows no vocabulary.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace headroom {

class TemplateScaffold {
 public:
  /// literals: every literal of the template, and every value that it gets besides messages.
  explicit TemplateScaffold(std::vector<std::string> literals);

  /// True if a token with this text is scaffold: the template can write it in one literal or in several concatenated
  /// ones ('<|' + role + '|>'). White space and a single letter or digit are never scaffold.
  bool holds(std::string_view token) const;

 private:
  bool is_in_a_literal(std::string_view text) const;
  bool is_put_together(std::string_view text) const;

  std::vector<std::string> literals_;  // sorted
  std::vector<std::string_view>
      tails_;  // all suffixes of the literals, cut to the length that matters for a token; sorted
};

}  // namespace headroom
