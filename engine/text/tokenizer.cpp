// Text ◄─► token ids (see tokenizer.h): special tokens are cut out first, what lies between goes to byte-level BPE or
// to sentencepiece.
#include "engine/text/tokenizer.h"

#include <cassert>
#include <optional>
#include <utility>

#include "engine/base/error.h"
#include "engine/text/bpe.h"
#include "engine/text/special_matcher.h"
#include "engine/text/spm.h"
#include "engine/text/token_table.h"

namespace headroom {
namespace {

constexpr size_t max_text_bytes = size_t{1} << 30;  // what the int positions of the merging can hold

// Vocabularies that would give other ids than their models were trained with.
void refuse_what_changes_text(const Vocab& vocab, VocabKind kind) {
  if (kind == VocabKind::sentencepiece_unigram) {
    if (!vocab.precompiled_charsmap.empty()) {
      throw Error(ErrorKind::unsupported,
                  "tokenizer.ggml.precompiled_charsmap rewrites the text before it is split, which is not supported");
    }
    if (vocab.remove_extra_whitespaces) {
      throw Error(ErrorKind::unsupported,
                  "tokenizer.ggml.remove_extra_whitespaces drops white space of the text, which is not supported");
    }
  }
  // Phi-3 drops the white space after most control tokens; files do not say so, only the model's name does.
  if (kind == VocabKind::sentencepiece_bpe) {
    for (const std::string& token : vocab.tokens) {
      if (token == "<|placeholder1|>") {
        throw Error(ErrorKind::unsupported,
                    "the vocabulary is Phi-3's, whose control tokens take the white space after them, which is not "
                    "supported");
      }
    }
  }
}

}  // namespace

struct Tokenizer::Impl {
  Vocab vocab;
  TokenTable table;
  SpecialMatcher specials;
  std::optional<ByteLevelBpe> bpe;
  std::optional<SentencePiece> sentencepiece;

  explicit Impl(Vocab given) : vocab(std::move(given)), table(vocab) {
    refuse_what_changes_text(vocab, table.kind());
    for (TokenId id = 0; id < table.size(); ++id) {
      const TokenRole role = table.role(id);
      if (role == TokenRole::user_defined || is_hidden(role)) {
        specials.add(table.bytes(id), id, role == TokenRole::user_defined);
      }
    }
    if (table.kind() == VocabKind::byte_level_bpe) {
      bpe.emplace(vocab.pre, vocab.merges, table);
    } else {
      sentencepiece.emplace(table, vocab.scores);
    }
    vocab.merges = {};
    vocab.scores = {};
  }

  static bool is_hidden(TokenRole role) { return role == TokenRole::control || role == TokenRole::unknown; }

  bool has_space_prefix() const { return sentencepiece && vocab.add_space_prefix; }

  TokenRole role(TokenId id) const {
    assert(id >= 0 && id < table.size());
    return table.role(id);
  }
};

Tokenizer::Tokenizer(Vocab vocab) : impl_(std::make_unique<const Impl>(std::move(vocab))) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

const Vocab& Tokenizer::vocab() const {
  return impl_->vocab;
}
int32_t Tokenizer::size() const {
  return impl_->table.size();
}

std::vector<TokenId> Tokenizer::encode(std::string_view text, bool allow_control, bool first_piece) const {
  if (text.size() > max_text_bytes) {
    throw Error("the text has " + std::to_string(text.size()) + " bytes; at most " + std::to_string(max_text_bytes) +
                " can be turned into tokens at once");
  }
  std::vector<TokenId> ids;
  const auto encode_between = [&](size_t begin, size_t end) {
    if (begin == end) return;
    const std::string_view between = text.substr(begin, end - begin);
    if (impl_->bpe) {
      impl_->bpe->encode(between, begin, &ids);
    } else {
      impl_->sentencepiece->encode(between, first_piece && impl_->has_space_prefix(), &ids);
    }
  };
  size_t at = 0;
  for (const SpecialMatcher::Match& match : impl_->specials.find(text, allow_control)) {
    encode_between(at, match.begin);
    ids.push_back(match.id);
    at = match.begin + match.n_bytes;
    first_piece = true;
  }
  encode_between(at, text.size());
  return ids;
}

std::string Tokenizer::piece(TokenId id, bool render_control) const {
  if (Impl::is_hidden(impl_->role(id)) && !render_control) return {};
  return std::string(impl_->table.bytes(id));
}

void Tokenizer::decode_next(TokenId id, bool render_control, bool* first_piece, std::string* text) const {
  const TokenRole role = impl_->role(id);
  std::string_view bytes = impl_->table.bytes(id);
  if (Impl::is_hidden(role) && !render_control) bytes = {};
  const bool prefixed = *first_piece && role == TokenRole::ordinary && impl_->has_space_prefix();
  if (prefixed && bytes.starts_with(' ')) bytes.remove_prefix(1);
  text->append(bytes);
  *first_piece = Impl::is_hidden(role) || role == TokenRole::user_defined;
}

std::string Tokenizer::decode(std::span<const TokenId> ids, bool render_control, bool first_piece) const {
  std::string text;
  for (const TokenId id : ids) decode_next(id, render_control, &first_piece, &text);
  return text;
}

TokenClass Tokenizer::token_class(TokenId id) const {
  assert(id >= 0 && id < size());
  return impl_->table.token_class(id);
}

bool Tokenizer::is_control(TokenId id) const {
  return impl_->role(id) == TokenRole::control;
}

bool Tokenizer::is_end_of_turn(TokenId id) const {
  assert(id >= 0 && id < size());
  return impl_->table.ends_turn(id);
}

}  // namespace headroom
