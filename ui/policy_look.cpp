// Assigns theme colours to the named policies; any other union gets one by its bits.
#include "ui/policy_look.h"

#include <array>
#include <cstdint>
#include <utility>

#include "ui/theme.h"
#include "ui/widgets.h"

namespace headroom {
namespace {

constexpr uint8_t s = Policy::special, p = Policy::punctuation, f = Policy::frequent, l = Policy::local;

constexpr std::array<std::pair<uint8_t, int>, 15> places{{
    {s, 0},
    {s | p, 1},
    {s | p | f, 2},
    {s | p | f | l, 3},
    {Policy::full, 4},
    {s | f, 5},
    {s | f | l, 6},
    {s | p | l, 7},
    {p, 1},
    {p | f, 2},
    {p | f | l, 3},
    {f | l, 5},
    {f, 5},
    {l, 6},
    {Policy::first | l, 7},
}};

}  // namespace

ImU32 policy_color(Policy policy, bool dark) {
  for (const auto& [parts, place] : places)
    if (parts == policy.parts) return category_color(place, dark);
  return category_color(policy.parts % n_category_colors, dark);
}

std::string policy_name_within(Policy policy, float width) {
  std::string rest = policy_name(policy), text = rest;
  for (size_t plus = rest.find('+'); width_of(text) > width && plus != std::string::npos; plus = rest.find('+')) {
    rest.erase(0, plus + 1);
    text = "…+" + rest;
  }
  return text;
}

void elided_policy_name(Policy policy, float width) {
  const float room = width > 0 ? width : ImGui::GetContentRegionAvail().x;
  const std::string shown = policy_name_within(policy, room);
  elided_text(shown, room);
  if (shown != policy_name(policy)) explain(policy_name(policy));
}

}  // namespace headroom
