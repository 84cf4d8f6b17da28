// Expected attention, and attention received from all rows and from the last ones ─► one score of tokens. What all rows
// looked at is what the text is about, what the last ones look at is what the answer begins with, and what is expected
// may be asked for later: each alone forgets what the others hold. A sum of them forgets a fact that was said once,
// which is expected but was never looked at; so two orders take turns.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace headroom {

/// Weights of the three in a mixed score, in the attention of n_expected_rows rows.
inline constexpr double mixed_expected = 0.5, mixed_all_rows = 2, mixed_last_rows = 1;
/// Of so many places in the order one goes to what is expected, the others to what was received.
inline constexpr int32_t mixed_places = 4;

/// Scores of a KV head's keys. Attention received counts times the norm of the value, as expected_scores has it
/// already. Each of the three terms is weighted and taken as a share of what the competing keys have of it, since most
/// attention goes to keys that stay in any case. The sums of the terms are the scores. They are handed out in this
/// order: three keys that received most, then the one that most is expected of, and so on. Each place goes to a key
/// that has none yet; of equal ones the earlier key wins. Keys that do not compete have their own sum, for the time
/// when nothing protects them any more. expected, norms, competes: (keys); all_rows, last_rows: (n_group, keys),
/// attention of all queries and of the last
std::vector<float> mixed_scores(int32_t n_group, std::span<const float> expected, std::span<const float> all_rows,
                                std::span<const float> last_rows, std::span<const float> norms,
                                const std::vector<bool>& competes);

}  // namespace headroom
