// Text ─► token ids by byte-level BPE. See bpe.h.
#include "engine/text/bpe.h"

#include <algorithm>
#include <cassert>

#include "engine/base/error.h"

namespace headroom {
namespace {

constexpr TokenId no_token = -2;

uint64_t pair_key(TokenId left, TokenId right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

}  // namespace

ByteLevelBpe::ByteLevelBpe(std::string_view pre, const std::vector<std::string>& merges, const TokenTable& table)
    : pretokenizer_(pre) {
  ids_.reserve(2 * static_cast<size_t>(table.size()));
  for (TokenId id = 0; id < table.size(); ++id) {
    if (table.role(id) == TokenRole::ordinary) ids_.emplace(table.bytes(id), id);
  }
  for (size_t b = 0; b < 256; ++b) {
    const char byte = static_cast<char>(b);
    const auto found = ids_.find(std::string_view(&byte, 1));
    byte_ids_[b] = found == ids_.end() ? -1 : found->second;
  }
  merges_.reserve(merges.size());
  for (size_t rank = 0; rank < merges.size(); ++rank) add_merge(merges[rank], rank, table);
}

void ByteLevelBpe::add_merge(const std::string& merge, size_t rank, const TokenTable& table) {
  // The byte alphabet has no space character, so the only space is the separator.
  const size_t space = merge.find(' ');
  std::string bytes;
  const bool readable =
      space != std::string::npos && append_from_byte_alphabet(std::string_view(merge).substr(0, space), &bytes);
  const size_t left_bytes = bytes.size();
  if (readable && append_from_byte_alphabet(std::string_view(merge).substr(space + 1), &bytes)) {
    const std::string_view whole = bytes;
    const auto left = ids_.find(whole.substr(0, left_bytes));
    const auto right = ids_.find(whole.substr(left_bytes));
    const auto result = ids_.find(whole);
    if (left != ids_.end() && right != ids_.end() && result != ids_.end()) {
      // If a pair is listed twice, the first entry counts.
      merges_.try_emplace(pair_key(left->second, right->second), Merge{static_cast<int32_t>(rank), result->second});
      return;
    }
    const auto known = [&](std::string_view part, auto found) {
      if (found != ids_.end()) return true;
      for (const TokenId id : table.tags())
        if (table.role(id) == TokenRole::scaffold && table.bytes(id) == part) return true;
      return false;
    };
    if (known(whole.substr(0, left_bytes), left) && known(whole.substr(left_bytes), right) && known(whole, result))
      return;
  }
  throw Error("merge " + std::to_string(rank) + " is '" + merge.substr(0, 60) +
              "'; expected two tokens of the vocabulary that make a third");
}

void ByteLevelBpe::encode(std::string_view text, std::vector<TokenId>* ids, const StopQuestion& stop) const {
  std::vector<std::string_view> words;
  pretokenizer_.split(text, &words, stop);
  Scratch scratch{.symbols = {}, .queue = {}, .clock = StopClock(stop)};
  for (const std::string_view word : words) {
    scratch.clock.step();
    const auto whole = pretokenizer_.whole_words_first() ? ids_.find(word) : ids_.end();
    if (whole != ids_.end()) {
      ids->push_back(whole->second);
    } else {
      encode_word(word, &scratch, ids);
    }
  }
}

void ByteLevelBpe::encode_word(std::string_view word, Scratch* scratch, std::vector<TokenId>* ids) const {
  std::vector<Symbol>& symbols = scratch->symbols;
  std::vector<Candidate>& queue = scratch->queue;
  const auto n = static_cast<int32_t>(word.size());
  symbols.clear();
  queue.clear();
  // A word may have millions of bytes: each loop over them asks whether the text is still wanted.
  for (int32_t i = 0; i < n; ++i) {
    scratch->clock.step();
    const auto byte = static_cast<unsigned char>(word[static_cast<size_t>(i)]);
    const TokenId id = has_byte(byte) ? byte_ids_[byte] : no_token;
    symbols.push_back({id, i - 1, i + 1 < n ? i + 1 : -1});
  }
  // The best merge comes first, or the leftmost of equal ones. With a heap a word of n bytes costs n log n.
  const auto worse = [](const Candidate& a, const Candidate& b) {
    return a.rank != b.rank ? a.rank > b.rank : a.at > b.at;
  };
  const auto push = [&](int32_t left) {
    const size_t old_size = queue.size();
    offer(symbols, left, &queue);
    if (queue.size() > old_size) std::push_heap(queue.begin(), queue.end(), worse);
  };
  for (int32_t i = 0; i + 1 < n; ++i) {
    scratch->clock.step();
    push(i);
  }
  while (!queue.empty()) {
    scratch->clock.step();
    std::pop_heap(queue.begin(), queue.end(), worse);
    const Candidate best = queue.back();
    queue.pop_back();
    Symbol& left = symbols[static_cast<size_t>(best.at)];
    if (left.id != best.left || left.next < 0) continue;  // outdated: a symbol has merged in the meantime
    Symbol& right = symbols[static_cast<size_t>(left.next)];
    if (right.id != best.right) continue;
    left.id = best.result;
    right.id = -1;
    left.next = right.next;
    if (right.next >= 0) symbols[static_cast<size_t>(right.next)].previous = best.at;
    if (left.previous >= 0) push(left.previous);
    push(best.at);
  }
  for (int32_t i = 0; i >= 0; i = symbols[static_cast<size_t>(i)].next)
    if (symbols[static_cast<size_t>(i)].id != no_token) ids->push_back(symbols[static_cast<size_t>(i)].id);
}

void ByteLevelBpe::offer(const std::vector<Symbol>& symbols, int32_t left, std::vector<Candidate>* queue) const {
  const Symbol& symbol = symbols[static_cast<size_t>(left)];
  if (symbol.next < 0) return;
  const TokenId right = symbols[static_cast<size_t>(symbol.next)].id;
  const auto merge = merges_.find(pair_key(symbol.id, right));
  if (merge != merges_.end()) queue->push_back({merge->second.rank, left, symbol.id, right, merge->second.result});
}

}  // namespace headroom
