// Draws the head map with letters, and with colours that colour-blind people can tell apart (after Okabe and Ito).
#include "app/terminal_head_map.h"

#include <algorithm>
#include <array>

#include "app/format.h"

namespace headroom {
namespace {

/// Backgrounds of the 256-colour palette: sky blue, bluish green, yellow, orange, reddish purple, grey, vermilion,
/// blue, light yellow, dark green.
constexpr std::array<int, 10> backgrounds{117, 36, 227, 214, 175, 250, 166, 68, 230, 108};

struct PolicyTotals {
  int32_t n_heads = 0;
  int64_t kept_tokens = 0;
  int64_t bytes = 0;
};

size_t policy_index(const std::vector<Policy>& policies, Policy policy) {
  const auto found = std::find(policies.begin(), policies.end(), policy);
  return static_cast<size_t>(found - policies.begin());
}

/// " S ", on the policy's colour if colours are used.
std::string cell(size_t index, char letter, bool use_colour) {
  const std::string text{' ', letter, ' '};
  if (!use_colour) return text;
  return format("\x1b[38;5;16;48;5;%dm", backgrounds[index % backgrounds.size()]) + text + "\x1b[0m";
}

double kept_percent(int64_t kept_tokens, int64_t n_heads, int32_t n_tokens) {
  const double all = static_cast<double>(n_heads) * n_tokens;
  return all == 0 ? 0 : 100.0 * static_cast<double>(kept_tokens) / all;
}

}  // namespace

std::string policy_count_text(const CacheState& state, const CacheConfig& config) {
  const std::vector<Policy> policies = possible_policies(config);
  const std::string letters = policy_letters(policies) + '?';
  std::vector<int32_t> counts(letters.size());
  for (const HeadState& head : state.heads) ++counts[policy_index(policies, head.policy)];
  std::string text;
  for (size_t i = 0; i < counts.size(); ++i)
    if (counts[i] > 0)
      text += (text.empty() ? "" : ", ") + std::string(1, letters[i]) + " " + std::to_string(counts[i]);
  return text;
}

std::string head_map_text(const CacheState& state, const CacheConfig& config, bool use_colour) {
  if (state.heads.empty() || state.n_tokens == 0) return "no tokens in the cache yet: nothing to map\n";
  const std::vector<Policy> policies = possible_policies(config);
  const std::string letters = policy_letters(policies) + '?';  // one for a policy of an earlier configuration
  std::vector<PolicyTotals> totals(policies.size() + 1);
  const auto n_kv_heads = std::count_if(state.heads.begin(), state.heads.end(),
                                        [&](const HeadState& head) { return head.layer == state.heads[0].layer; });

  std::string text = "layer  KV head";
  for (int64_t i = 4; i < n_kv_heads; ++i) text += "   ";
  text += "  kept\n       ";
  for (int64_t i = 0; i < n_kv_heads; ++i) text += format("%2d ", static_cast<int>(i % 100));
  text += '\n';
  for (size_t first = 0; first < state.heads.size(); first += static_cast<size_t>(n_kv_heads)) {
    text += format("%5d  ", state.heads[first].layer);
    int64_t kept_in_layer = 0;
    for (size_t i = first; i < first + static_cast<size_t>(n_kv_heads); ++i) {
      const HeadState& head = state.heads[i];
      const size_t index = policy_index(policies, head.policy);
      text += cell(index, letters[index], use_colour);
      kept_in_layer += head.kept_tokens;
      totals[index].n_heads += 1;
      totals[index].kept_tokens += head.kept_tokens;
      totals[index].bytes += head.bytes;
    }
    for (int64_t i = n_kv_heads; i < 2; ++i) text += "   ";
    text += format("  %3.0f %%\n", kept_percent(kept_in_layer, n_kv_heads, state.n_tokens));
  }

  text += '\n';
  for (size_t i = 0; i < totals.size(); ++i) {
    if (i == policies.size() && totals[i].n_heads == 0) continue;
    const std::string name = i < policies.size() ? policy_name(policies[i]) : "another policy";
    text += cell(i, letters[i], use_colour) +
            format(" %-30s %4d heads %12s", name.c_str(), totals[i].n_heads, bytes_text(totals[i].bytes).c_str());
    if (totals[i].n_heads > 0)
      text += format("   kept %3.0f %%", kept_percent(totals[i].kept_tokens, totals[i].n_heads, state.n_tokens));
    text += '\n';
  }
  return text;
}

}  // namespace headroom
