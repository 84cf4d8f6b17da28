// Text ─► where user-defined and closed tokens stand in it, in llama.cpp's order: the longest token takes all its
// places first, whatever stands further left. First step of encoding; what lies between goes to the merging.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/base/types.h"

namespace headroom {

class SpecialMatcher {
 public:
  struct Match {
    size_t begin;
    size_t n_bytes;
    TokenId id;
  };

  /// Bytes of a text that closed tokens may stand in, wholly within one such stretch.
  struct Stretch {
    size_t begin;
    size_t end;
  };

  /// text must not be empty. in_any_text: a user-defined token; else a closed one.
  void add(std::string_view text, TokenId id, bool in_any_text);

  /// From left to right, not overlapping. stretches: from left to right, not overlapping.
  std::vector<Match> find(std::string_view text, std::span<const Stretch> stretches) const;

 private:
  struct Node {
    TokenId id = -1;
    bool in_any_text = false;
  };
  struct Candidate {
    Match match;
    size_t closed_end;  // of the stretch that it begins in; its begin where it begins in none
  };
  /// The longest token at text[begin] that ends by `end`, a closed one by closed_end; n_bytes 0 for none.
  Match longest(std::string_view text, size_t begin, size_t end, size_t closed_end) const;

  std::vector<Node> nodes_ = std::vector<Node>(1);   // of a trie over bytes; 0 is the root
  std::unordered_map<uint64_t, uint32_t> children_;  // node * 256 + byte ─► node
  uint8_t starts_[256] = {};                         // 1: a user-defined token starts so, 2: another
};

}  // namespace headroom
