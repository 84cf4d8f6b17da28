// Attention of the oracle: the whole map A of one query head, in double, then its products and sums. O(n^2) memory, so
// for tests only; section 2 of the design gives the definitions.
#pragma once

#include "engine/backend/backend.h"
#include "engine/backend/cpu/host_memory.h"

namespace headroom {

/// Backend::attend_prefill; the pages of held slots are in `slabs`.
void reference_attend_prefill(const AttendPrefill& args, const Slabs& slabs);

/// Backend::add_query_moments.
void reference_add_query_moments(const Matrix& q, int32_t head_dim, const QueryMoments& moments);

/// Backend::expected_attention.
void reference_expected_attention(const ExpectedAttention& args, const Slabs& slabs);

/// One token's attention over all slots of a KV head, whose scores grow by the group's probabilities.
/// q, out: (group, head_dim), row-major
void reference_attend_decode(HeadView head, const Slabs& slabs, int32_t group, float scale, const float* q, float* out);

}  // namespace headroom
