// Token ids ─► text in whole UTF-8 characters, while they are generated. Last step of the data path. See tokenizer.h.
#include "engine/base/utf8.h"
#include "engine/text/tokenizer.h"

namespace headroom {
namespace {

constexpr std::string_view replacement = "\xef\xbf\xbd";  // U+FFFD

}  // namespace

TextDecoder::TextDecoder(const Tokenizer& tokenizer, bool first_piece)
    : tokenizer_(&tokenizer), first_piece_(first_piece) {}

std::string TextDecoder::push(TokenId id) {
  tokenizer_->decode_next(id, false, &first_piece_, &pending_);
  std::string complete;
  size_t at = 0;
  while (at < pending_.size()) {
    const Utf8Char c = utf8_char_at(pending_, at);
    if (c.n_bytes > 0) {
      complete.append(pending_, at, c.n_bytes);
      at += c.n_bytes;
      continue;
    }
    const size_t subpart = utf8_subpart_bytes(pending_, at);
    if (subpart > 0 && at + subpart == pending_.size()) break;
    complete += replacement;
    at += subpart > 0 ? subpart : 1;
  }
  pending_.erase(0, at);
  return complete;
}

std::string TextDecoder::finish() {
  const bool unfinished = !pending_.empty();
  pending_.clear();
  return unfinished ? std::string(replacement) : std::string();
}

}  // namespace headroom
