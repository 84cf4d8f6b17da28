// Applies a head's rule to the slots that it holds: who leaves, and in which order. Mostly nobody or one slot a token, so
// the common case is one pass over tags and scores.
#include <limits>

#include "engine/backend/cpu/operations.h"

namespace headroom {
namespace {

struct Candidate {
  float score;
  int32_t position;
  int32_t slot;

  /// A score that is not a number leaves like the lowest, so that the order stays an order.
  static Candidate make(float score, int32_t position, int32_t slot) {
    return {score == score ? score : -std::numeric_limits<float>::infinity(), position, slot};
  }
  bool operator<(const Candidate& other) const {
    return score != other.score ? score < other.score : position > other.position;
  }
};

}  // namespace

void select_evictions(HeadView head, const KeepRule& rule, const Slabs& slabs, std::vector<int32_t>& slots) {
  slots.clear();
  if (rule.policy.has(Policy::full) && rule.reach_from <= 0) return;
  std::vector<Candidate> leaving, rest;
  for (int32_t s = 0; s < head.length; ++s) {
    const PageView page = slabs.page(head.pages[static_cast<size_t>(s / page_tokens)]);
    const SlotTag tag = page.tags[s % page_tokens];
    const Candidate slot = Candidate::make(page.scores[s % page_tokens], tag_position(tag), s);
    if (slot.position < rule.reach_from)
      leaving.push_back(slot);
    else if (!rule.keeps_always(slot.position, tag_class(tag)))
      rest.push_back(slot);
  }
  const size_t kept = rule.policy.has(Policy::frequent) ? static_cast<size_t>(rule.n_frequent) : 0;
  if (rest.size() > kept) {
    const auto n_leaving = static_cast<std::ptrdiff_t>(rest.size() - kept);
    std::nth_element(rest.begin(), rest.begin() + n_leaving - 1, rest.end());
    leaving.insert(leaving.end(), rest.begin(), rest.begin() + n_leaving);
  }
  std::sort(leaving.begin(), leaving.end());

  int32_t length = head.length;
  for (size_t i = 0; i < leaving.size(); ++i) {
    const int32_t hole = leaving[i].slot;
    slots.push_back(hole);
    --length;
    for (size_t j = i + 1; j < leaving.size(); ++j)
      if (leaving[j].slot == length) leaving[j].slot = hole;
  }
}

}  // namespace headroom
