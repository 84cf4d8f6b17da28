// Text ─► token ids by byte-level BPE: words are cut into bytes, and neighbours merge in the order of the file's list
// of merges. After special_matcher; knows no regular expressions beyond the Pretokenizer it owns.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/base/types.h"
#include "engine/text/pretokenizer.h"
#include "engine/text/token_table.h"

namespace headroom {

class ByteLevelBpe {
 public:
  /// merges: "left right" in the byte alphabet, best first; those of or into scaffold are passed over. The table must
  /// outlive this object. Throws Error(bad_input) for a merge of or into something that is no token, Error(unsupported)
  /// by Pretokenizer.
  ByteLevelBpe(std::string_view pre, const std::vector<std::string>& merges, const TokenTable& table);

  /// Appends the ids of a text without special tokens. Bytes that the vocabulary has no token for are left out, as in
  /// llama.cpp: what stands beside them does not merge.
  void encode(std::string_view text, std::vector<TokenId>* ids) const;
  bool has_byte(unsigned char byte) const { return byte_ids_[byte] >= 0; }

 private:
  struct Merge {
    int32_t rank;
    TokenId result;
  };
  struct Symbol {  // a token in the word being merged; a list in an array
    TokenId id;    // -1: merged into its left neighbour; -2: a byte without a token
    int32_t previous;
    int32_t next;
  };
  struct Candidate {
    int32_t rank;
    int32_t at;  // the left symbol
    TokenId left;
    TokenId right;
    TokenId result;
  };
  struct Scratch {
    std::vector<Symbol> symbols;
    std::vector<Candidate> queue;
  };

  void add_merge(const std::string& merge, size_t rank, const TokenTable& table);
  void encode_word(std::string_view word, Scratch* scratch, std::vector<TokenId>* ids) const;
  void offer(const std::vector<Symbol>& symbols, int32_t left, std::vector<Candidate>* queue) const;

  Pretokenizer pretokenizer_;
  std::unordered_map<std::string_view, TokenId> ids_;  // bytes ─► ordinary token; views into the table
  std::unordered_map<uint64_t, Merge> merges_;         // left << 32 | right
  TokenId byte_ids_[256];                              // -1: no token
};

}  // namespace headroom
