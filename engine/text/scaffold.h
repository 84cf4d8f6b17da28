// The literals of a chat template ─► which texts the template can write by itself. Before token_table, which closes the
// tokens of such texts to what users write. Knows no vocabulary.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace headroom {

class TemplateScaffold {
 public:
  /// literals: every text that stands in the template, and the values that it is given besides messages.
  explicit TemplateScaffold(std::vector<std::string> literals);

  /// A token of this text is scaffold: the template can write it, in one literal or in several put together (as
  /// '<|' + role + '|>'), and it is more than white space, a letter or a digit, which are everybody's.
  bool holds(std::string_view token) const;

 private:
  bool is_in_a_literal(std::string_view text) const;
  bool is_put_together(std::string_view text) const;

  std::vector<std::string> literals_;  // sorted
  std::vector<std::string_view>
      tails_;  // of the literals, from every byte on, cut off where no token is as long; sorted
};

}  // namespace headroom
