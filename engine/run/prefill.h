// A turn's new tokens ─► every head's cache and the logits that follow, one layer at a time: a layer's full K and V
// exist only while that layer is computed.
#pragma once

#include <span>
#include <vector>

#include "engine/base/cancelled.h"
#include "engine/run/forward.h"
#include "engine/run/kv_store.h"
#include "engine/run/session.h"

namespace headroom {

/// Which part of a turn's new tokens is prefilled.
struct PrefillPart {
  PrefillRows rows = PrefillRows::message;
  int32_t n_before = 0;  // tokens of the turn that were read before
  int32_t n_after = 0;   // and that will be behind it; where there are some, no logits are computed
  /// If not null, everything is measured, whatever the configuration needs, and stays here.
  PrefillMeasurements* record = nullptr;
};

struct PrefillTimes {
  double total_ms = 0;
  double profile_ms = 0;  // profiling, choosing, compacting
};

/// Prefills ids behind what the store holds. On a throw the store's layers are partly changed: the caller undoes the
/// turn. Throws Cancelled where the observer stops it.  logits: (n_vocab), after the last token of the turn
PrefillTimes prefill(const Model& model, const Forward& forward, KvStore& store, std::span<const TokenId> ids,
                     const PrefillPart& part, TurnObserver& observer, std::vector<float>& logits);

}  // namespace headroom
