// A session whose cache can also be stepped, marked, cut and chosen anew, for eval, bench, calibrate and tests: what no
// turn of a chat needs. Works on the same cache as the turns; nothing here has a second route from text to tokens or
// from measurements to kept sets.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/run/session.h"

namespace headroom {

class CacheLab : public Session {
 public:
  using Session::Session;

  /// Feeds one token and gives the logits that follow it.  (n_vocab)
  std::span<const float> feed(TokenId id);
  /// Prefills ids behind what the cache holds, as a turn's first half, and gives the logits after the last.
  /// Throws Error where the observer stops it; the cache is then as before, or empty where prefill_for_all filled it.
  std::span<const float> prefill(std::span<const TokenId> ids, TurnObserver& observer);
  /// Remembers the cache as it stands after a prefill, once for each; return_to_mark brings it back, as often as
  /// wanted. False where memory ran out on the way; the cache is empty then.
  void mark();
  bool return_to_mark();
  /// Tokens that each head could hold at the end of the prompt under another configuration with `shared` budgets.
  /// (heads)
  std::vector<int32_t> budgets_under(const CacheConfig& config) const;
  /// Lets heads go down to their best tokens, without a forward pass; the present configuration has budgets.
  /// tokens: (heads); -1 leaves a head as it is.
  void cut_heads(std::span<const int32_t> tokens);

  /// Reads ids into an emptied cache with every head whole, measures what configurations choose by, and marks the end:
  /// one prefill for many of them. type: of the pages. Throws as prefill.
  std::span<const float> prefill_for_all(std::span<const TokenId> ids, CacheType type, TurnObserver& observer);
  /// False where a configuration needs what is not measured (an unusual r_local): it takes a prefill of its own.
  static bool can_choose_under(const CacheConfig& config);
  /// Goes back to the end of that prefill and lets every head keep what it would keep after a prefill of its own under
  /// this configuration, which has pages of the same type. False where memory ran out on the way; the cache is empty
  /// then.
  bool choose_under(const CacheConfig& config);
  /// After the last token.  (n_vocab)
  std::span<const float> logits() const;

  /// Everything that a head holds, for tests of exactness: tags, scores, K and V, in slot order.
  struct HeadDump {
    Policy policy;
    std::vector<SlotTag> tags;
    std::vector<float> scores;
    std::vector<uint16_t> rows;  // (slots, PageLayout::slot_row_u16s()), as the pages hold them
    bool operator==(const HeadDump&) const = default;
  };
  std::vector<HeadDump> dump() const;
};

}  // namespace headroom
