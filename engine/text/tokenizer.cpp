// Text ◄─► token ids. Special tokens are matched first; byte-level BPE or sentencepiece encodes the text between them.
// See tokenizer.h.
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

constexpr size_t max_text_bytes = size_t{1} << 30;  // merging stores positions as int

// Throws Error for vocabularies that would produce other ids than their models were trained with.
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
  // Phi-3 drops the white space after most control tokens. Its files do not say so; this token identifies them.
  if (kind == VocabKind::sentencepiece_bpe) {
    for (const std::string& token : vocab.tokens) {
      if (token == "<|placeholder1|>") {
        throw Error(ErrorKind::unsupported,
                    "the vocabulary is Phi-3's, whose control tokens remove the white space after them, which is not "
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

  Impl(Vocab given, const TemplateScaffold* scaffold) : vocab(std::move(given)), table(vocab, scaffold) {
    refuse_what_changes_text(vocab, table.kind());
    make_merging();
    if (close_tags()) make_merging();
    for (TokenId id = 0; id < table.size(); ++id)
      if (is_matched(table.role(id))) specials.add(table.bytes(id), id, table.role(id) == TokenRole::user_defined);
    vocab.merges = {};
    vocab.scores = {};
  }

  void make_merging() {
    if (table.kind() == VocabKind::byte_level_bpe) {
      bpe.emplace(vocab.pre, vocab.merges, table);
    } else {
      sentencepiece.emplace(table, vocab.scores);
    }
  }

  /// Closes the tags that merging produces from text; returns true if there are any.
  bool close_tags() {
    std::vector<TokenId> made;
    for (const TokenId id : table.tags()) {
      std::vector<TokenId> ids;
      merge(table.bytes(id), false, &ids);
      if (ids == std::vector<TokenId>{id}) made.push_back(id);
    }
    for (const TokenId id : made) table.close(id);
    return !made.empty();
  }

  void merge(std::string_view text, bool space_prefix, std::vector<TokenId>* ids, const StopQuestion& stop = {}) const {
    if (bpe) {
      bpe->encode(text, ids, stop);
    } else {
      sentencepiece->encode(text, space_prefix, ids);
    }
  }

  /// Encodes a text without special tokens and appends it to `out`. The text begins at byte `begin` of the whole text.
  void encode_between(std::string_view text, size_t begin, bool first_piece, Encoding* out,
                      const StopQuestion& stop) const {
    if (text.empty()) return;
    bool prefixed = first_piece && has_space_prefix();
    merge(text, prefixed, &out->ids, stop);
    StopClock clock(stop);
    size_t at = 0;
    for (size_t i = out->ends.size(); i < out->ids.size(); ++i) {
      clock.step();
      std::string_view bytes = table.bytes(out->ids[i]);
      if (prefixed) bytes.remove_prefix(1);
      prefixed = false;
      for (; text.substr(at, bytes.size()) != bytes; ++at) out->left_out.push_back(begin + at);
      at += bytes.size();
      out->ends.push_back(begin + at);
    }
    for (; at < text.size(); ++at) out->left_out.push_back(begin + at);
  }

  static bool is_hidden(TokenRole role) { return role == TokenRole::control || role == TokenRole::unknown; }
  /// True if tokens of this role are matched literally, before merging.
  static bool is_matched(TokenRole role) {
    return role == TokenRole::user_defined || role == TokenRole::scaffold || is_hidden(role);
  }

  bool has_space_prefix() const { return sentencepiece && vocab.add_space_prefix; }

  TokenRole role(TokenId id) const {
    assert(id >= 0 && id < table.size());
    return table.role(id);
  }
};

Tokenizer::Tokenizer(Vocab vocab, const std::vector<std::string>& template_literals) {
  if (template_literals.empty()) {
    impl_ = std::make_unique<const Impl>(std::move(vocab), nullptr);
    return;
  }
  const TemplateScaffold scaffold(template_literals);
  impl_ = std::make_unique<const Impl>(std::move(vocab), &scaffold);
}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

const Vocab& Tokenizer::vocab() const {
  return impl_->vocab;
}
int32_t Tokenizer::size() const {
  return impl_->table.size();
}

Encoding Tokenizer::encode_parts(std::span<const TextPart> parts, bool first_piece, const StopQuestion& stop) const {
  std::string joined;
  std::vector<SpecialMatcher::Stretch> stretches;
  size_t size = 0;
  for (const TextPart& part : parts) {
    if (part.from_template && !stretches.empty() && stretches.back().end == size)
      stretches.back().end += part.text.size();
    else if (part.from_template)
      stretches.push_back({size, size + part.text.size()});
    size += part.text.size();
  }
  if (size > max_text_bytes) {
    throw Error("the text has " + std::to_string(size) + " bytes; at most " + std::to_string(max_text_bytes) +
                " can be turned into tokens at once");
  }
  if (parts.size() > 1) {
    joined.reserve(size);
    for (const TextPart& part : parts) joined += part.text;
  }
  const std::string_view text = parts.size() == 1 ? parts[0].text : std::string_view(joined);
  Encoding out;
  size_t at = 0;
  for (const SpecialMatcher::Match& match : impl_->specials.find(text, stretches, stop)) {
    impl_->encode_between(text.substr(at, match.begin - at), at, first_piece, &out, stop);
    at = match.begin + match.n_bytes;
    out.ids.push_back(match.id);
    out.ends.push_back(at);
    first_piece = true;
  }
  impl_->encode_between(text.substr(at), at, first_piece, &out, stop);
  return out;
}

std::vector<TokenId> Tokenizer::encode(std::string_view text, bool from_template, bool first_piece) const {
  const TextPart part{text, from_template};
  return encode_parts({&part, 1}, first_piece).ids;
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
  *first_piece = Impl::is_matched(role);
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

bool Tokenizer::is_closed(TokenId id) const {
  const TokenRole role = impl_->role(id);
  return Impl::is_hidden(role) || role == TokenRole::scaffold || role == TokenRole::unusable;
}

bool Tokenizer::is_special(TokenId id) const {
  return Impl::is_matched(impl_->role(id));
}

bool Tokenizer::is_end_of_turn(TokenId id) const {
  assert(id >= 0 && id < size());
  return impl_->table.ends_turn(id);
}

}  // namespace headroom
