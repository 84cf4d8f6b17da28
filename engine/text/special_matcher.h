// Text ─► where user-defined and control tokens stand in it, in llama.cpp's order: the longest token takes all its
// places first, whatever stands further left. First step of encoding; what lies between goes to the merging.
#pragma once

#include <cstddef>
#include <cstdint>
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

  /// text must not be empty. in_any_text: a user-defined token; else one that only allow_control finds.
  void add(std::string_view text, TokenId id, bool in_any_text);

  /// From left to right, not overlapping.
  std::vector<Match> find(std::string_view text, bool allow_control) const;

 private:
  struct Node {
    TokenId id = -1;
    bool in_any_text = false;
  };
  /// The longest token at text[begin], of at most max_bytes; n_bytes 0 for none.
  Match longest(std::string_view text, size_t begin, size_t max_bytes, bool allow_control) const;

  std::vector<Node> nodes_ = std::vector<Node>(1);   // of a trie over bytes; 0 is the root
  std::unordered_map<uint64_t, uint32_t> children_;  // node * 256 + byte ─► node
  uint8_t starts_[256] = {};                         // 1: a user-defined token starts so, 2: another
};

}  // namespace headroom
