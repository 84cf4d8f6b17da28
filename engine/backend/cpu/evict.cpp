// Applies a head's rule to the slots that it holds: who leaves, and in which order. Mostly nobody or one slot a token,
// so one vectorised pass over tags and scores counts the contest and finds its lowest; only where more leave is it
// sorted.
#include "engine/backend/cpu/simd_targets.h"
//
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/evict.cpp"
#include "hwy/foreach_target.h"
//
#include <limits>

#include "engine/backend/cpu/operations.h"
#include "hwy/highway.h"

#ifndef HEADROOM_EVICT_TYPES
#define HEADROOM_EVICT_TYPES
namespace headroom {

constexpr int32_t no_position = std::numeric_limits<int32_t>::max();

/// A slot that may leave. A score that is not a number leaves like the lowest, so that the order stays an order.
struct Leaver {
  float score = std::numeric_limits<float>::infinity();
  int32_t position = -1;
  int32_t slot = -1;

  bool operator<(const Leaver& other) const {
    return score != other.score ? score < other.score : position > other.position;
  }
};

struct Contest {
  int32_t n_dropped = 0;  // out of the window's reach
  int32_t n_slots = 0;    // kept by their score or not at all
  Leaver lowest;          // of those
};

}  // namespace headroom
#endif  // HEADROOM_EVICT_TYPES

HWY_BEFORE_NAMESPACE();
namespace headroom {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

Contest ScanHead(const HeadView& head, const KeepRule& rule, const Slabs& slabs) {
  const hn::CappedTag<float, page_tokens> d;
  const hn::RebindToSigned<decltype(d)> di;
  const hn::RebindToUnsigned<decltype(d)> du;
  const auto lanes = static_cast<int32_t>(hn::Lanes(d));

  // keeps_always as comparisons; a part that the policy lacks compares with what no slot has.
  const auto keeps = [&](uint8_t part, int32_t value, int32_t never) { return rule.policy.has(part) ? value : never; };
  const auto special = hn::Set(di, keeps(Policy::special, static_cast<int32_t>(TokenClass::special), -1));
  const auto punctuation = hn::Set(di, keeps(Policy::punctuation, static_cast<int32_t>(TokenClass::punctuation), -1));
  const auto first_end = hn::Set(di, keeps(Policy::full, no_position, keeps(Policy::first, n_first_tokens, 0)));
  const auto before_local = hn::Set(di, keeps(Policy::local, rule.local_from - 1, no_position));
  const auto reach_from = hn::Set(di, rule.reach_from);
  const auto before_class = hn::Set(di, rule.class_from - 1);
  const auto lowest_float = hn::Set(d, -std::numeric_limits<float>::infinity());

  Contest contest;
  auto best = hn::Set(d, std::numeric_limits<float>::infinity());
  auto best_position = hn::Set(di, -1), best_slot = hn::Set(di, -1);
  for (int32_t s = 0; s < head.length; s += lanes) {
    const PageView page = slabs.page(head.pages[static_cast<size_t>(s / page_tokens)]);
    const auto tag = hn::LoadU(du, page.tags + s % page_tokens);
    const auto position = hn::BitCast(di, hn::And(tag, hn::Set(du, static_cast<uint32_t>(max_position))));
    const auto token_class = hn::BitCast(di, hn::ShiftRight<30>(tag));
    const auto score = hn::LoadU(d, page.scores + s % page_tokens);
    const auto number = hn::IfThenElse(hn::Eq(score, score), score, lowest_float);
    const auto slot = hn::Iota(di, s);

    const auto filled = hn::Lt(slot, hn::Set(di, head.length));
    const auto dropped = hn::And(filled, hn::Lt(position, reach_from));
    const auto of_class = hn::Or(hn::Eq(token_class, special), hn::Eq(token_class, punctuation));
    const auto class_counts = hn::Or(hn::Gt(position, before_class), hn::Lt(position, hn::Set(di, n_first_tokens)));
    const auto kept =
        hn::Or(hn::And(of_class, class_counts), hn::Or(hn::Lt(position, first_end), hn::Gt(position, before_local)));
    const auto contested = hn::AndNot(hn::Or(dropped, kept), filled);
    contest.n_dropped += static_cast<int32_t>(hn::CountTrue(di, dropped));
    contest.n_slots += static_cast<int32_t>(hn::CountTrue(di, contested));

    const auto ties = hn::And(hn::Eq(number, best), hn::RebindMask(d, hn::Gt(position, best_position)));
    const auto lower = hn::And(hn::RebindMask(d, contested), hn::Or(hn::Lt(number, best), ties));
    best = hn::IfThenElse(lower, number, best);
    best_position = hn::IfThenElse(hn::RebindMask(di, lower), position, best_position);
    best_slot = hn::IfThenElse(hn::RebindMask(di, lower), slot, best_slot);
  }

  float scores[page_tokens];
  int32_t positions[page_tokens], slots[page_tokens];
  hn::StoreU(best, d, scores);
  hn::StoreU(best_position, di, positions);
  hn::StoreU(best_slot, di, slots);
  for (int32_t i = 0; i < lanes; ++i) {
    const Leaver lane{scores[i], positions[i], slots[i]};
    if (lane.slot >= 0 && lane < contest.lowest) contest.lowest = lane;
  }
  return contest;
}

}  // namespace HWY_NAMESPACE
}  // namespace headroom
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace headroom {
HWY_EXPORT(ScanHead);

namespace {

/// All slots that leave, in the order in which they do.
std::vector<Leaver> find_leavers(HeadView head, const KeepRule& rule, const Slabs& slabs, int32_t n_kept) {
  std::vector<Leaver> leaving, contest;
  for (int32_t s = 0; s < head.length; ++s) {
    const PageView page = slabs.page(head.pages[static_cast<size_t>(s / page_tokens)]);
    const SlotTag tag = page.tags[s % page_tokens];
    const float score = page.scores[s % page_tokens];
    const Leaver slot{score == score ? score : -std::numeric_limits<float>::infinity(), tag_position(tag), s};
    if (slot.position < rule.reach_from)
      leaving.push_back(slot);
    else if (!rule.keeps_always(slot.position, tag_class(tag)))
      contest.push_back(slot);
  }
  const auto n_losers = static_cast<std::ptrdiff_t>(contest.size()) - n_kept;
  if (n_losers > 0) {
    std::nth_element(contest.begin(), contest.begin() + n_losers - 1, contest.end());
    leaving.insert(leaving.end(), contest.begin(), contest.begin() + n_losers);
  }
  std::sort(leaving.begin(), leaving.end());
  return leaving;
}

}  // namespace

void select_evictions(HeadView head, const KeepRule& rule, const Slabs& slabs, std::vector<int32_t>& slots) {
  slots.clear();
  if (rule.policy.has(Policy::full) && rule.reach_from <= 0) return;
  const Contest contest = HWY_DYNAMIC_DISPATCH(ScanHead)(head, rule, slabs);
  const int32_t n_kept = rule.n_by_score(head.length - contest.n_dropped - contest.n_slots);
  if (contest.n_dropped == 0 && contest.n_slots <= n_kept) return;
  if (contest.n_dropped == 0 && contest.n_slots == n_kept + 1) {
    slots.push_back(contest.lowest.slot);
    return;
  }

  std::vector<Leaver> leaving = find_leavers(head, rule, slabs, n_kept);
  int32_t length = head.length;
  for (size_t i = 0; i < leaving.size(); ++i) {
    const int32_t hole = leaving[i].slot;
    slots.push_back(hole);
    --length;
    // The last slot moves into the hole; it may be one that leaves later.
    for (size_t j = i + 1; j < leaving.size(); ++j)
      if (leaving[j].slot == length) leaving[j].slot = hole;
  }
}

}  // namespace headroom
#endif  // HWY_ONCE
