// Text ─► the places of user-defined and closed tokens, in llama.cpp's order: the longest token is matched everywhere
// first, even if a shorter one begins further left. This is the first step of encoding; the text between the matches is
// merged.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/base/cancelled.h"
#include "engine/base/types.h"

namespace headroom {

class SpecialMatcher {
 public:
  struct Match {
    size_t begin;
    size_t n_bytes;
    TokenId id;
  };

  /// A range of bytes in which closed tokens are matched. Such a token must lie wholly within one stretch.
  struct Stretch {
    size_t begin;
    size_t end;
  };

  /// text must not be empty. in_any_text: true for a user-defined token, false for a closed one.
  void add(std::string_view text, TokenId id, bool in_any_text);

  /// The matches from left to right, not overlapping. stretches: from left to right, not overlapping. Throws Cancelled.
  std::vector<Match> find(std::string_view text, std::span<const Stretch> stretches,
                          const StopQuestion& stop = {}) const;

 private:
  struct Node {
    TokenId id = -1;
    bool in_any_text = false;
  };
  struct Candidate {
    Match match;
    size_t closed_end;  // end of the stretch in which the match begins; match.begin if it begins in none
  };
  /// The longest token at text[begin] that ends at or before `end` (a closed one: closed_end). n_bytes is 0 if there is
  /// none.
  Match longest(std::string_view text, size_t begin, size_t end, size_t closed_end) const;

  std::vector<Node> nodes_ = std::vector<Node>(1);   // a trie over bytes; node 0 is the root
  std::unordered_map<uint64_t, uint32_t> children_;  // node * 256 + byte ─► node
  uint8_t starts_[256] = {};  // bit 0: a user-defined token starts with this byte, bit 1: a closed one
};

}  // namespace headroom
