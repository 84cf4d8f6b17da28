// A model file's tensors and some ids ─► logits, computed in double with whole attention matrices: the oracle for the
// engine with the full cache. Shares only the reader with the engine; F32 weights only.
#pragma once

#include <vector>

#include "engine/base/types.h"
#include "engine/model/model_file.h"

namespace headroom::test {

/// Logits after each id.  (n_ids, n_vocab). K and V are rounded to f16 as the cache holds them.
std::vector<std::vector<double>> dense_logits(const ModelFile& file, const std::vector<TokenId>& ids);

}  // namespace headroom::test
