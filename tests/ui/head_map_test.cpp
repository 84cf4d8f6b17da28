// The head map in use: hovering, pinning, modes, and the text of an empty map.
#include "ui/head_map.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "tests/ui/ui_fixture.h"
#include "ui/head_card.h"
#include "ui/policy_look.h"
#include "ui/what_if.h"

using namespace headroom;
using test::UiFixture;

namespace {

constexpr const char* cells = "//###heads/**/###cells";

/// The middle of a head's cell, computed from the rectangle of all cells.
ImVec2 middle_of(ImGuiTestContext& person, const Mirror& mirror, int32_t head) {
  const ImRect all = person.ItemInfo(cells).RectFull;
  const int32_t columns = mirror.model()->n_kv_heads, rows = mirror.model()->n_layers;
  return {all.Min.x + all.GetWidth() * (static_cast<float>(head % columns) + 0.5f) / static_cast<float>(columns),
          all.Min.y + all.GetHeight() * (static_cast<float>(head / columns) + 0.5f) / static_cast<float>(rows)};
}

}  // namespace

TEST_CASE("head map: without a model and without tokens it says what to do", "[head_map]") {
  UiFixture ui("heads");
  ui.frames(3);
  CHECK(ui.state.hovered_head == -1);
  ui.act([&](ImGuiTestContext& person) { IM_CHECK(!person.ItemExists(cells)); });
}

TEST_CASE("head map: the head under the mouse is hovered, a click pins it, another lets go", "[head_map]") {
  UiFixture ui("heads");
  test::SampleStream{}.apply_to(ui.mirror);
  ui.act([&](ImGuiTestContext& person) {
    for (const int32_t head : {0, 5, 11}) {
      person.MouseMoveToPos(middle_of(person, ui.mirror, head));
      person.Yield(2);
      IM_CHECK_EQ(ui.state.hovered_head, head);
    }
    person.MouseClick();
    IM_CHECK_EQ(ui.state.pinned_head, 11);
    person.MouseMoveToPos({5, 5});
    person.Yield(2);
    IM_CHECK_EQ(ui.state.hovered_head, -1);
    IM_CHECK_EQ(ui.state.active_head(), 11);
    person.MouseMoveToPos(middle_of(person, ui.mirror, 11));
    person.MouseClick();
    IM_CHECK_EQ(ui.state.pinned_head, -1);
  });
}

TEST_CASE("head map: arrow keys move the pin within the map, Esc and the button let it go", "[head_map]") {
  UiFixture ui("heads");
  test::SampleStream{}.apply_to(ui.mirror);  // 4 layers of 3 KV heads
  ui.act([&](ImGuiTestContext& person) {
    person.MouseMoveToPos(middle_of(person, ui.mirror, 4));
    person.MouseClick();
    person.KeyPress(ImGuiKey_RightArrow);
    IM_CHECK_EQ(ui.state.pinned_head, 5);
    person.KeyPress(ImGuiKey_RightArrow);
    IM_CHECK_EQ(ui.state.pinned_head, 5);  // the last KV head
    person.KeyPress(ImGuiKey_DownArrow, 5);
    IM_CHECK_EQ(ui.state.pinned_head, 11);
    person.KeyPress(ImGuiKey_UpArrow);
    person.KeyPress(ImGuiKey_LeftArrow);
    IM_CHECK_EQ(ui.state.pinned_head, 7);
    person.KeyPress(ImGuiKey_Escape);
    IM_CHECK_EQ(ui.state.pinned_head, -1);
    person.MouseMoveToPos(middle_of(person, ui.mirror, 2));
    person.MouseClick();
    IM_CHECK_EQ(ui.state.pinned_head, 2);
    person.ItemClick("//###heads/**/###unpin");
    IM_CHECK_EQ(ui.state.pinned_head, -1);
  });
}

TEST_CASE("head map: every mode can be chosen, and the policy whose recovery is shown", "[head_map]") {
  UiFixture ui("heads");
  test::SampleStream{}.apply_to(ui.mirror);
  ui.act([&](ImGuiTestContext& person) {
    const std::pair<const char*, HeadMapMode> modes[] = {{"###mode_kept", HeadMapMode::kept_share},
                                                         {"###mode_bytes", HeadMapMode::live_bytes},
                                                         {"###mode_policy", HeadMapMode::policy},
                                                         {"###mode_importance", HeadMapMode::importance},
                                                         {"###mode_recovery", HeadMapMode::recovery}};
    for (const auto& [label, mode] : modes) {
      person.ItemClick("//###heads/###map_mode");
      person.ItemClick((std::string("//$FOCUSED/") + label).c_str());
      person.Yield(2);
      IM_CHECK(ui.state.head_map_mode == mode);
    }
    person.ItemClick("//###heads/###map_policy");
    person.ItemClick("//$FOCUSED/###map_policy_2");
    IM_CHECK_EQ(ui.state.recovery_policy, 2);
  });
}

TEST_CASE("head map: 1,024 heads and a token that lights some of them up build a frame", "[head_map]") {
  UiFixture ui("heads", 640, 480);
  test::SampleStream{.n_layers = 32, .n_kv_heads = 32, .n_tokens = 200}.apply_to(ui.mirror);
  ui.state.hovered_token = 5;
  for (int mode = 0; mode < n_head_map_modes; ++mode) {
    ui.state.head_map_mode = static_cast<HeadMapMode>(mode);
    for (const float zoom : {0.5f, 1.0f, 3.0f}) {
      ui.state.zoom = zoom;
      ui.frames(2);
    }
  }
  CHECK(ImGui::GetDrawData()->TotalVtxCount > 4 * 32);
}

TEST_CASE("head map: a pin outlives no model with fewer heads", "[head_map]") {
  UiFixture ui("heads");
  test::SampleStream{}.apply_to(ui.mirror);
  ui.state.pinned_head = 500;
  ui.frames(1);
  CHECK(ui.state.pinned_head == -1);
}

TEST_CASE("policies keep their colours apart in every named configuration, and their letters in any set",
          "[head_map]") {
  for (const std::string& name : cache_config_names()) {
    const std::vector<Policy> policies = possible_policies(*find_cache_config(name));
    for (const bool dark : {true, false}) {
      std::set<ImU32> colors;
      for (const Policy policy : policies) colors.insert(policy_color(policy, dark));
      CHECK(colors.size() == policies.size());
    }
  }
  std::vector<Policy> all{Policy{Policy::full}};
  for (uint8_t parts = 1; parts < 14; ++parts) all.push_back(Policy{parts});
  const std::string letters = policy_letters(all);
  CHECK(std::set<char>(letters.begin(), letters.end()).size() == all.size());
}
