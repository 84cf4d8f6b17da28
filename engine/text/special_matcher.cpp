// Text ─► places of user-defined and closed tokens. See special_matcher.h.
#include "engine/text/special_matcher.h"

#include <algorithm>
#include <cassert>
#include <map>
#include <queue>

namespace headroom {

void SpecialMatcher::add(std::string_view text, TokenId id, bool in_any_text) {
  assert(!text.empty());
  uint64_t node = 0;
  for (const char c : text) {
    const auto [child, fresh] =
        children_.try_emplace(node << 8 | static_cast<unsigned char>(c), static_cast<uint32_t>(nodes_.size()));
    if (fresh) nodes_.emplace_back();
    node = child->second;
  }
  nodes_[node] = {id, in_any_text};
  starts_[static_cast<unsigned char>(text[0])] |= in_any_text ? 1 : 2;
}

SpecialMatcher::Match SpecialMatcher::longest(std::string_view text, size_t begin, size_t end,
                                              size_t closed_end) const {
  Match best{begin, 0, -1};
  uint64_t node = 0;
  for (size_t at = begin; at < end; ++at) {
    const auto child = children_.find(node << 8 | static_cast<unsigned char>(text[at]));
    if (child == children_.end()) break;
    node = child->second;
    if (nodes_[node].id >= 0 && (nodes_[node].in_any_text || at < closed_end))
      best = {begin, at + 1 - begin, nodes_[node].id};
  }
  return best;
}

std::vector<SpecialMatcher::Match> SpecialMatcher::find(std::string_view text, std::span<const Stretch> stretches,
                                                        const StopQuestion& stop) const {
  StopClock clock(stop);
  // The queue holds each place with the longest token that fits there. If an accepted match overlaps its end, the place
  // is queued again with a shorter token.
  const auto later = [](const Candidate& left, const Candidate& right) {
    const Match &a = left.match, &b = right.match;
    if (a.n_bytes != b.n_bytes) return a.n_bytes < b.n_bytes;
    return a.id != b.id ? a.id > b.id : a.begin > b.begin;
  };
  std::priority_queue<Candidate, std::vector<Candidate>, decltype(later)> queue(later);
  const auto offer = [&](size_t at, size_t end, size_t closed_end) {
    const Match match = longest(text, at, end, closed_end);
    if (match.n_bytes > 0) queue.push({match, closed_end});
  };
  auto stretch = stretches.begin();
  for (size_t at = 0; at < text.size(); ++at) {
    clock.step();
    while (stretch != stretches.end() && stretch->end <= at) ++stretch;
    const bool open = stretch != stretches.end() && stretch->begin <= at;
    if ((starts_[static_cast<unsigned char>(text[at])] & (open ? 3 : 1)) == 0) continue;
    offer(at, text.size(), open ? stretch->end : at);
  }
  std::map<size_t, Match> taken;  // by begin
  while (!queue.empty()) {
    clock.step();
    const auto [match, closed_end] = queue.top();
    queue.pop();
    const auto next = taken.lower_bound(match.begin);
    if (next != taken.end() && next->first == match.begin) continue;
    if (next != taken.begin()) {
      const Match& before = std::prev(next)->second;
      if (before.begin + before.n_bytes > match.begin) continue;
    }
    if (next != taken.end() && next->first < match.begin + match.n_bytes) {
      offer(match.begin, next->first, closed_end);
      continue;
    }
    taken.emplace(match.begin, match);
  }
  std::vector<Match> found;
  found.reserve(taken.size());
  for (const auto& [begin, match] : taken) found.push_back(match);
  return found;
}

}  // namespace headroom
