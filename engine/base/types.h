// Small types that the whole data path uses: token ids, token classes, positions.
#pragma once

#include <cstdint>

namespace headroom {

using TokenId = int32_t;

/// What FastGen knows about a token before any attention is computed (Ge et al. 2024, section 3.2).
enum class TokenClass : uint8_t { plain = 0, special = 1, punctuation = 2 };

/// A slot's position and token class as stored in a page: the class is in the two top bits.
using SlotTag = uint32_t;

inline constexpr int32_t max_position = (1 << 30) - 1;

constexpr SlotTag make_tag(int32_t position, TokenClass token_class) {
  return static_cast<SlotTag>(position) | (static_cast<SlotTag>(token_class) << 30);
}
constexpr int32_t tag_position(SlotTag tag) {
  return static_cast<int32_t>(tag & 0x3fffffffu);
}
constexpr TokenClass tag_class(SlotTag tag) {
  return static_cast<TokenClass>(tag >> 30);
}

}  // namespace headroom
