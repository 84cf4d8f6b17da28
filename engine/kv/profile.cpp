// Attention that keys received ─► recoveries, and a rule ─► kept keys. Stands between a layer's prefill attention and
// the pages that its heads get; must not know who measured it or where the pages are.
#include "engine/kv/profile.h"

#include <algorithm>
#include <bit>
#include <cassert>

namespace headroom {
namespace {

constexpr size_t n_unions = 32;

/// Attention that some keys received: from all queries, and from the queries within the local window.
struct Mass {
  double col = 0;
  double win = 0;
};

/// A key within reach, with its place in the order of scores.
struct RankedKey {
  uint64_t rank;  // ascending: the best score first, of equal scores the earlier position
  int32_t key_index;
  uint8_t parts;  // the parts that would keep the key without a look at its score
};

// Score and position as one integer: a total order even for a NaN, which a sort by floats would not survive.
uint64_t rank_of(float score, int32_t position) {
  const uint32_t bits = std::bit_cast<uint32_t>(score + 0.0f);  // -0 becomes 0
  const uint32_t ascending = (bits >> 31) != 0 ? ~bits : bits | 0x80000000u;
  return (uint64_t{~ascending} << 32) | static_cast<uint32_t>(position);
}

std::vector<RankedKey> rank_keys(const KeyStats& stats, const KeepRule& budgets) {
  std::vector<RankedKey> ranked;
  ranked.reserve(stats.tags.size());
  for (size_t key = 0; key < stats.tags.size(); ++key) {
    const int32_t position = tag_position(stats.tags[key]);
    if (position < budgets.reach_from) continue;
    const TokenClass token_class = tag_class(stats.tags[key]);
    const int parts = (token_class == TokenClass::special ? Policy::special : 0) |
                      (token_class == TokenClass::punctuation ? Policy::punctuation : 0) |
                      (position >= budgets.local_from ? Policy::local : 0) |
                      (position < n_first_tokens ? Policy::first : 0);
    ranked.push_back({rank_of(stats.scores[key], position), static_cast<int32_t>(key), static_cast<uint8_t>(parts)});
  }
  std::sort(ranked.begin(), ranked.end(), [](const RankedKey& a, const RankedKey& b) { return a.rank < b.rank; });
  return ranked;
}

// How far down the order a union without `frequent` has to look until it has found n_frequent keys that it does not
// keep already.
size_t frequent_cut(std::span<const RankedKey> ranked, unsigned parts, int32_t n_frequent) {
  size_t cut = 0;
  for (int32_t n_found = 0; cut < ranked.size() && n_found < n_frequent; ++cut)
    n_found += (ranked[cut].parts & parts) == 0 ? 1 : 0;
  return cut;
}

/// Mass of every query head by the parts of the keys that received it, so that each union is a sum of few numbers.
class MassByParts {
 public:
  explicit MassByParts(const KeyStats& stats) : stats_(stats), masses_(n_unions * n_group()) {}

  size_t n_group() const { return static_cast<size_t>(stats_.n_group); }
  const Mass& at(size_t parts, size_t q_head) const { return masses_[parts * n_group() + q_head]; }

  void add(std::span<const RankedKey> keys) {
    for (const RankedKey& ranked : keys) {
      Mass* mass = &masses_[ranked.parts * n_group()];
      const float* col = stats_.attention_mass.data() + ranked.key_index;
      const float* win = stats_.windowed_mass.data() + ranked.key_index;
      for (size_t q_head = 0; q_head < n_group(); ++q_head) {
        mass[q_head].col += col[static_cast<int64_t>(q_head) * stats_.stride];
        mass[q_head].win += win[static_cast<int64_t>(q_head) * stats_.stride];
      }
    }
  }

  /// Keys that none of these parts keeps.
  Mass outside(unsigned parts, size_t q_head) const {
    Mass sum;
    for (size_t of = 0; of < n_unions; ++of) {
      if ((of & parts) != 0) continue;
      sum.col += at(of, q_head).col;
      sum.win += at(of, q_head).win;
    }
    return sum;
  }

 private:
  const KeyStats& stats_;
  std::vector<Mass> masses_;  // (n_unions, n_group)
};

// Equation 1 for one query head. `taken` is what `frequent` adds. Kept and lost mass are summed apart, so that a union
// that loses nothing recovers exactly 1.
double union_recovery(const MassByParts& masses, unsigned parts, Mass taken, size_t q_head) {
  const bool has_local = (parts & Policy::local) != 0;
  const unsigned kept_for_good = parts & ~static_cast<unsigned>(Policy::local | Policy::frequent);
  double kept = taken.col, lost = 0;
  const auto leave = [&](Mass mass) {  // to the local window, if there is one
    kept += has_local ? mass.win : 0;
    lost += has_local ? mass.col - mass.win : mass.col;
  };
  for (unsigned of = 0; of < n_unions; ++of) {
    if ((of & kept_for_good) != 0)
      kept += masses.at(of, q_head).col;
    else if ((of & parts) != 0)
      leave(masses.at(of, q_head));
  }
  const Mass unprotected = masses.outside(parts, q_head);
  leave({unprotected.col - taken.col, unprotected.win - taken.win});
  const double all = kept + lost;
  return all > 0 ? kept / all : 1;  // nothing within reach: nothing to lose
}

}  // namespace

HeadProfile profile_head(const KeyStats& stats, int32_t n_tokens, int32_t window, const CacheConfig& config) {
  assert(stats.scores.size() == stats.tags.size());
  const KeepRule budgets = make_keep_rule(Policy{}, n_tokens, window, config.r_local, config.r_frequent);
  const std::vector<RankedKey> ranked = rank_keys(stats, budgets);

  // One walk down the order adds up the masses; at the cut of each union without `frequent` it stops to note what
  // `frequent` would add to that union.
  struct Stop {
    size_t cut;
    unsigned parts;
  };
  std::vector<Stop> stops;
  for (unsigned parts = 0; parts < n_unions; ++parts)
    if ((parts & Policy::frequent) == 0) stops.push_back({frequent_cut(ranked, parts, budgets.n_frequent), parts});
  std::sort(stops.begin(), stops.end(), [](const Stop& a, const Stop& b) { return a.cut < b.cut; });

  MassByParts masses(stats);
  const size_t n_group = masses.n_group();
  std::vector<Mass> taken(n_unions * n_group);  // (n_unions, n_group); zero for unions without `frequent`
  size_t walked = 0;
  for (const Stop& stop : stops) {
    masses.add(std::span(ranked).subspan(walked, stop.cut - walked));
    walked = stop.cut;
    for (size_t q_head = 0; q_head < n_group; ++q_head)
      taken[(stop.parts | Policy::frequent) * n_group + q_head] = masses.outside(stop.parts, q_head);
  }
  masses.add(std::span(ranked).subspan(walked));

  HeadProfile profile;
  for (unsigned parts = 0; parts < n_unions; ++parts) {
    double sum = 0, least = 1;
    for (size_t q_head = 0; q_head < n_group; ++q_head) {
      const double recovery = union_recovery(masses, parts, taken[parts * n_group + q_head], q_head);
      sum += recovery;
      least = q_head == 0 ? recovery : std::min(least, recovery);
    }
    profile.recoveries[parts] = config.group == GroupReduce::min ? least : sum / static_cast<double>(n_group);
  }
  return profile;
}

std::vector<int32_t> select_kept(std::span<const SlotTag> tags, std::span<const float> scores, const KeepRule& rule) {
  assert(scores.size() == tags.size());
  struct Candidate {
    uint64_t rank;
    int32_t key_index;
  };
  std::vector<Candidate> rest;
  std::vector<bool> stays(tags.size());
  int32_t n_always = 0;
  for (size_t key = 0; key < tags.size(); ++key) {
    const int32_t position = tag_position(tags[key]);
    if (position < rule.reach_from) continue;
    if (rule.keeps_always(position, tag_class(tags[key]))) {
      stays[key] = true;
      ++n_always;
    } else if (rule.policy.has(Policy::frequent)) {
      rest.push_back({rank_of(scores[key], position), static_cast<int32_t>(key)});
    }
  }
  const size_t n_best = std::min(rest.size(), static_cast<size_t>(std::max(0, rule.n_by_score(n_always))));
  const auto cut = rest.begin() + static_cast<std::ptrdiff_t>(n_best);
  std::nth_element(rest.begin(), cut, rest.end(),
                   [](const Candidate& a, const Candidate& b) { return a.rank < b.rank; });
  for (auto best = rest.begin(); best != cut; ++best) stays[static_cast<size_t>(best->key_index)] = true;

  std::vector<int32_t> kept;
  for (size_t key = 0; key < stays.size(); ++key)
    if (stays[key]) kept.push_back(static_cast<int32_t>(key));
  return kept;
}

KeyCounts count_keys(std::span<const SlotTag> tags, const KeepRule& rule) {
  KeyCounts counts;
  for (const SlotTag tag : tags) {
    const int32_t position = tag_position(tag);
    if (position < rule.reach_from) continue;
    ++(rule.keeps_always(position, tag_class(tag)) ? counts.n_always : counts.n_rest);
  }
  return counts;
}

}  // namespace headroom
