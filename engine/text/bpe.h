// Text ─► token ids by byte-level BPE: each word is split into bytes, and neighbours merge in the order of the file's
// list of merges. Runs after special_matcher on the text between special tokens. The Pretokenizer splits the words.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/base/cancelled.h"
#include "engine/base/types.h"
#include "engine/text/pretokenizer.h"
#include "engine/text/token_table.h"

namespace headroom {

class ByteLevelBpe {
 public:
  /// merges: "left right" in the byte alphabet, best first; merges with scaffold tokens are skipped. The table must
  /// outlive this object. Throws Error(bad_input) if a part or the result of a merge is not a token, and
  /// Error(unsupported) from Pretokenizer.
  ByteLevelBpe(std::string_view pre, const std::vector<std::string>& merges, const TokenTable& table);

  /// Appends the ids of a text without special tokens. As in llama.cpp, bytes without a token in the vocabulary are
  /// left out, and their neighbours do not merge with each other. Throws Cancelled.
  void encode(std::string_view text, std::vector<TokenId>* ids, const StopQuestion& stop = {}) const;
  bool has_byte(unsigned char byte) const { return byte_ids_[byte] >= 0; }

 private:
  struct Merge {
    int32_t rank;
    TokenId result;
  };
  struct Symbol {  // a token of the word being merged; the symbols are a linked list in an array
    TokenId id;    // -1: merged into its left neighbour; -2: a byte without a token
    int32_t previous;
    int32_t next;
  };
  struct Candidate {
    int32_t rank;
    int32_t at;  // index of the left symbol
    TokenId left;
    TokenId right;
    TokenId result;
  };
  struct Scratch {
    std::vector<Symbol> symbols;
    std::vector<Candidate> queue;
    StopClock clock;
  };

  void add_merge(const std::string& merge, size_t rank, const TokenTable& table);
  void encode_word(std::string_view word, Scratch* scratch, std::vector<TokenId>* ids) const;
  void offer(const std::vector<Symbol>& symbols, int32_t left, std::vector<Candidate>* queue) const;

  Pretokenizer pretokenizer_;
  std::unordered_map<std::string_view, TokenId> ids_;  // bytes ─► ordinary token; the keys point into the table
  std::unordered_map<uint64_t, Merge> merges_;         // left << 32 | right
  TokenId byte_ids_[256];                              // -1: no token
};

}  // namespace headroom
