// Text ─► token ids by the sentencepiece library. See spm.h. The package has no protobuf headers, so this file encodes
// the ModelProto by hand: (field number << 3 | wire type), then a varint, a float, or a length and bytes.
#include "engine/text/spm.h"

#include <sentencepiece_processor.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <string>

#include "engine/base/error.h"
#include "engine/base/utf8.h"

namespace headroom {
namespace {

class Wire {
 public:
  void add_varint(int field, uint64_t value) {
    append_varint(static_cast<uint64_t>(field) << 3);
    append_varint(value);
  }
  void add_float(int field, float value) {
    append_varint(static_cast<uint64_t>(field) << 3 | 5);
    char bytes[4];
    std::memcpy(bytes, &value, 4);
    bytes_.append(bytes, 4);
  }
  void add_bytes(int field, std::string_view value) {
    append_varint(static_cast<uint64_t>(field) << 3 | 2);
    append_varint(value.size());
    bytes_ += value;
  }
  void clear() { bytes_.clear(); }
  const std::string& bytes() const { return bytes_; }

 private:
  void append_varint(uint64_t value) {
    for (; value >= 128; value >>= 7) bytes_.push_back(static_cast<char>(value | 128));
    bytes_.push_back(static_cast<char>(value));
  }
  std::string bytes_;
};

// sentencepiece_model.proto, ModelProto.SentencePiece.Type.
enum PieceType { piece_normal = 1, piece_unknown = 2, piece_control = 3, piece_byte = 6 };

bool is_text(std::string_view bytes) {
  for (size_t at = 0; at < bytes.size();) {
    const Utf8Char c = utf8_char_at(bytes, at);
    if (c.n_bytes == 0 || c.code_point == 0) return false;
    at += c.n_bytes;
  }
  return true;
}

// An ordinary token in the library's spelling: U+2581 for each space.
std::string with_space_symbols(std::string_view bytes) {
  std::string piece;
  for (const char c : bytes) {
    if (c == ' ') {
      piece += space_symbol;
    } else {
      piece.push_back(c);
    }
  }
  return piece;
}

std::string model_proto(const TokenTable& table, const std::vector<float>& scores) {
  Wire model, part;
  // Every other token becomes a control piece, which the library never finds in a text. Its name is unique and not
  // valid UTF-8, so it cannot collide with another piece.
  const auto add_piece = [&](std::string_view piece, float score, PieceType type) {
    part.clear();
    part.add_bytes(1, piece);
    part.add_float(2, score);
    part.add_varint(3, type);
    model.add_bytes(1, part.bytes());
  };
  for (TokenId id = 0; id < table.size(); ++id) {
    const std::string_view bytes = table.bytes(id);
    const float score = scores[static_cast<size_t>(id)];
    if (table.role(id) == TokenRole::ordinary && is_text(bytes)) {
      add_piece(with_space_symbols(bytes), score, piece_normal);
    } else if (table.role(id) == TokenRole::byte) {
      static const char hex[] = "0123456789ABCDEF";
      const auto byte = static_cast<unsigned char>(bytes[0]);
      const char name[] = {'<', '0', 'x', hex[byte >> 4], hex[byte & 15], '>'};
      add_piece(std::string_view(name, sizeof name), score, piece_byte);
    } else {
      add_piece(std::string(1, '\xff').append(std::to_string(id)), 0, piece_control);
    }
  }
  // The library requires one unknown piece. It is never used, since all bytes have pieces, so its id is past the end.
  add_piece("\xffunknown", 0, piece_unknown);
  part.clear();
  constexpr auto none = static_cast<uint64_t>(int64_t{-1});
  part.add_varint(3, table.kind() == VocabKind::sentencepiece_unigram ? 1 : 2);
  part.add_varint(4, static_cast<uint64_t>(table.size()) + 1);
  part.add_varint(35, 1);                                    // byte_fallback
  part.add_varint(40, static_cast<uint64_t>(table.size()));  // unk_id
  for (const int field : {41, 42, 43}) part.add_varint(field, none);
  model.add_bytes(2, part.bytes());
  part.clear();
  part.add_bytes(1, "identity");
  part.add_varint(3, 0);  // add_dummy_prefix
  part.add_varint(4, 0);  // remove_extra_whitespaces
  part.add_varint(5, 1);  // escape_whitespaces
  model.add_bytes(3, part.bytes());
  return model.bytes();
}

}  // namespace

struct SentencePiece::Impl {
  sentencepiece::SentencePieceProcessor processor;
  TokenId byte_ids[256];
  TokenId n_tokens = 0;

  void encode_run(std::string_view run, std::vector<int>* scratch, std::vector<TokenId>* ids) const {
    if (run.empty()) return;
    const auto status = processor.Encode(run, scratch);
    if (!status.ok()) throw Error(ErrorKind::unsupported, "sentencepiece: " + std::string(status.message()));
    assert(std::all_of(scratch->begin(), scratch->end(), [&](int id) { return id >= 0 && id < n_tokens; }));
    ids->insert(ids->end(), scratch->begin(), scratch->end());
  }
};

SentencePiece::SentencePiece(const TokenTable& table, const std::vector<float>& scores) {
  auto impl = std::make_unique<Impl>();
  impl->n_tokens = table.size();
  std::fill(std::begin(impl->byte_ids), std::end(impl->byte_ids), -1);
  bool has_space = false;
  for (TokenId id = 0; id < table.size(); ++id) {
    if (table.role(id) == TokenRole::ordinary && table.bytes(id) == " ") has_space = true;
    if (table.role(id) == TokenRole::byte) impl->byte_ids[static_cast<unsigned char>(table.bytes(id)[0])] = id;
  }
  if (!has_space) throw Error(ErrorKind::unsupported, "the vocabulary has no token for a space (U+2581)");
  const auto missing = std::find(std::begin(impl->byte_ids), std::end(impl->byte_ids), -1);
  if (missing != std::end(impl->byte_ids)) {
    throw Error(ErrorKind::unsupported, "the vocabulary has no token for byte " +
                                            std::to_string(missing - std::begin(impl->byte_ids)) +
                                            ", so it cannot encode every text");
  }
  const auto status = impl->processor.LoadFromSerializedProto(model_proto(table, scores));
  if (!status.ok()) throw Error(ErrorKind::unsupported, "sentencepiece: " + std::string(status.message()));
  impl_ = std::move(impl);
}

SentencePiece::SentencePiece(SentencePiece&&) noexcept = default;
SentencePiece& SentencePiece::operator=(SentencePiece&&) noexcept = default;
SentencePiece::~SentencePiece() = default;

void SentencePiece::encode(std::string_view text, bool space_prefix, std::vector<TokenId>* ids) const {
  if (text.empty()) return;
  std::string prefixed;
  if (space_prefix) {
    prefixed.reserve(text.size() + 1);
    prefixed.append(1, ' ').append(text);
    text = prefixed;
  }
  // Invalid bytes become byte tokens, and so does U+2581, which the library would treat as a space. The library encodes
  // the rest without changing it, so decoding returns exactly this text.
  std::vector<int> scratch;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const Utf8Char c = utf8_char_at(text, at);
    const size_t n_bytes = c.n_bytes > 0 ? c.n_bytes : 1;
    if (c.n_bytes == 0 || c.code_point == 0x2581) {
      impl_->encode_run(text.substr(begin, at - begin), &scratch, ids);
      for (size_t i = 0; i < n_bytes; ++i) ids->push_back(impl_->byte_ids[static_cast<unsigned char>(text[at + i])]);
      begin = at + n_bytes;
    }
    at += n_bytes;
  }
  impl_->encode_run(text.substr(begin), &scratch, ids);
}

}  // namespace headroom
