// A recording in use: the bar and the keys that play it, the head map with its card, the tints of a head in the
// conversation, and the heads that a token marks.
#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "app/desktop/replay.h"
#include "tests/ui_flow/stage.h"
#include "ui/number_text.h"
#include "ui/policy_look.h"
#include "ui/what_if.h"

using namespace headroom;
using namespace headroom::test;

namespace replay_flow_test {
namespace {

constexpr const char* cells = "//###heads/**/###cells";
const std::string trace = std::string(HEADROOM_TEST_DATA) + "/traces/chat.hrtrace";

/// The middle of a head's cell, computed from the rectangle of all cells.
ImVec2 middle_of(Person& person, const Mirror& mirror, int32_t head) {
  const ImRect all = person.place_of(cells);
  const int32_t columns = mirror.model()->n_kv_heads, rows = mirror.model()->n_layers;
  return {all.Min.x + all.GetWidth() * (static_cast<float>(head % columns) + 0.5f) / static_cast<float>(columns),
          all.Min.y + all.GetHeight() * (static_cast<float>(head / columns) + 0.5f) / static_cast<float>(rows)};
}

}  // namespace

TEST_CASE("a recording is gone through by its bar, its keys and its menu", "[replay]") {
  Replay replay(trace);
  Stage stage(source_of(replay));
  const ReplayView& view = *replay.view().replay;
  const int32_t last = view.n_moments - 1;
  stage.act([&](Person& person) {
    const std::string bar = "//###transcript/**/";
    CHECK(view.moment == last);
    person.click(bar + "###step_back");
    CHECK(view.moment == last - 1);
    person.click(bar + "###step_on");
    CHECK(view.moment == last);
    person.press(Action::replay_back);
    CHECK(view.moment == last - 1);
    person.press(Action::replay_forward);
    CHECK(view.moment == last);
    person.press(Action::replay_to_start);
    CHECK(view.moment == 0);
    CHECK(replay.mirror().n_cached() < 60);
    CHECK(person.reads("transcript", std::to_string(replay.mirror().n_cached()) + " tokens in the cache"));
    person.press(Action::replay_to_end);
    CHECK(view.moment == last);
    person.choose(Action::replay_to_start);
    CHECK(view.moment == 0);
    person.choose(Action::replay_forward);
    CHECK(view.moment == 1);
    person.choose(Action::replay_back);
    CHECK(view.moment == 0);
    person.choose(Action::replay_to_end);
    CHECK(view.moment == last);

    const ImRect slider = person.place_of(bar + "###moment");
    person.hover(slider.GetCenter());
    person->MouseClick();
    person.frames();
    CHECK(std::abs(view.moment - last / 2) <= last / 20 + 1);

    for (const char* speed : {"0.25x", "0.5x", "1x", "2x", "4x", "8x"}) {
      person.choose("//###transcript/###speed", speed);
      CHECK(view.speed == std::atof(speed));
    }
    person.press(Action::replay_slower);
    CHECK(view.speed == 4);
    person.press(Action::replay_faster);
    CHECK(view.speed == 8);
    person.choose(Action::replay_slower);
    CHECK(view.speed == 4);
    person.choose(Action::replay_faster);
    CHECK(view.speed == 8);

    person.press(Action::replay_to_start);
    person.click(bar + "###play");
    CHECK(view.is_playing);
    CHECK(person.until([&] { return view.moment > 1; }));
    person.click(bar + "###play");
    CHECK_FALSE(view.is_playing);
    person.press(Action::replay_play_or_pause);
    CHECK(view.is_playing);
    person.choose(Action::replay_play_or_pause);
    CHECK_FALSE(view.is_playing);
  });
}

TEST_CASE("head map: the card of the hovered head says what the head keeps, and its tokens are tinted in the text",
          "[heads]") {
  Replay replay(trace);
  Stage stage(source_of(replay));
  const Mirror& mirror = replay.mirror();
  stage.act([&](Person& person) {
    // Find a head that keeps less than all.
    int32_t head = 0;
    while (mirror.heads()[static_cast<size_t>(head)].policy.has(Policy::full)) ++head;
    const ImRect text = person.place_of("//###transcript/**/###plain_text");
    const std::map<ImU32, int> before = stage.colors_in(text);
    const std::string kept = std::to_string(mirror.heads()[static_cast<size_t>(head)].kept_tokens) + " of " +
                             std::to_string(mirror.n_cached()) + " tokens";
    person.hover(middle_of(person, mirror, head));
    CHECK(stage.state.hovered_head == head);
    CHECK(person.reads("explanation", "Layer " + std::to_string(head / 3) + ", KV head " + std::to_string(head % 3)));
    CHECK(person.reads("explanation", "keeps " + kept));
    CHECK(person.reads("explanation",
                       share_text(mirror.heads()[static_cast<size_t>(head)].profile.recovery(Policy{Policy::full}))));
    CHECK(person.reads("transcript", "keeps " + kept));
    std::set<ImU32> added;
    for (const auto& [color, n] : stage.colors_in(text))
      if (!before.contains(color)) added.insert(color);
    CHECK(added.size() == 1);  // the tint behind the words that the head still holds

    // The tint of a pinned head stays. Arrows move the pin; Esc, the button, the menu and another click remove it.
    person->MouseClick();
    person.hover({5, 400});
    CHECK(stage.state.pinned_head == head);
    CHECK(stage.state.active_head() == head);
    CHECK(stage.colors_in(text).contains(*added.begin()));
    person.hover(middle_of(person, mirror, 4));
    person->MouseClick();
    CHECK(stage.state.pinned_head == 4);
    person.press(Action::move_pin, ImGuiKey_RightArrow);
    CHECK(stage.state.pinned_head == 5);
    person.press(Action::move_pin, ImGuiKey_DownArrow);
    CHECK(stage.state.pinned_head == 8);
    person.press(Action::move_pin, ImGuiKey_LeftArrow);
    CHECK(stage.state.pinned_head == 7);
    person.press(Action::move_pin, ImGuiKey_UpArrow);
    CHECK(stage.state.pinned_head == 4);
    person.press(Action::unpin);
    CHECK(stage.state.pinned_head == -1);
    person->MouseClick();
    CHECK(stage.state.pinned_head == 4);
    person->MouseClick();
    person.frames();
    CHECK(stage.state.pinned_head == -1);
    person->MouseClick();
    person.click("//###heads/**/###unpin");
    CHECK(stage.state.pinned_head == -1);
    person.hover(middle_of(person, mirror, 4));
    person->MouseClick();
    person.choose(Action::unpin);
    CHECK(stage.state.pinned_head == -1);
  });
}

TEST_CASE("head map: a hovered token lights up the heads that hold it, in the text and among the tokens", "[heads]") {
  Replay replay(trace);
  Stage stage(source_of(replay));
  const Mirror& mirror = replay.mirror();
  stage.act([&](Person& person) {
    const ImRect map = person.place_of(cells);
    const auto full_color_of = [&](int32_t head) {
      return policy_color(mirror.heads()[static_cast<size_t>(head)].policy, stage.state.dark);
    };
    const auto check_lit = [&] {
      const int32_t token = stage.state.hovered_token;
      REQUIRE(token >= 0);
      int n_lit = 0;
      for (int32_t head = 0; head < mirror.model()->n_kv_heads_total(); ++head) {
        const ImVec2 at = middle_of(person, mirror, head);
        const ImRect cell(at.x - map.GetWidth() / 6 - 1, at.y - map.GetHeight() / 60 - 1, at.x + map.GetWidth() / 6 + 1,
                          at.y + map.GetHeight() / 60 + 1);
        const bool is_lit = stage.colors_in(cell).contains(full_color_of(head));
        // The corners of its neighbours are in the rectangle too, so only cells that must be lit can be checked.
        if (mirror.holds(head, token)) CHECK(is_lit);
        n_lit += mirror.holds(head, token) ? 1 : 0;
      }
      CHECK(person.reads("explanation", "held by " + std::to_string(n_lit) + " of 90 heads"));
      return n_lit;
    };
    const ImRect text = person.place_of("//###transcript/**/###plain_text");
    person.hover({text.Min.x + 30, text.Min.y + 8});
    CHECK(check_lit() < 90);

    person.click("//###transcript/**/###as_tokens");
    CHECK(stage.state.show_tokens);
    const auto& windows = ImGui::GetCurrentContext()->Windows;
    const auto found = std::find_if(windows.begin(), windows.end(), [](const ImGuiWindow* window) {
      return std::string_view(window->Name).find("/###tokens_") != std::string_view::npos;
    });
    REQUIRE(found != windows.end());
    const ImGuiWindow* tokens = *found;
    person.hover({tokens->InnerRect.Min.x + 60, tokens->InnerRect.Min.y + 12});
    check_lit();
    // The tokens are coloured by the pinned head.
    const std::map<ImU32, int> before = stage.colors_in(tokens->InnerRect);
    stage.state.pinned_head = 3;
    person.frames();
    CHECK(person.reads("transcript", "Coloured: the tokens that this head still holds."));
    CHECK(stage.colors_in(tokens->InnerRect) != before);
    person.click("//###transcript/**/###as_text");
    CHECK_FALSE(stage.state.show_tokens);
    person.press(Action::toggle_tokens);
    CHECK(stage.state.show_tokens);
    person.choose(Action::toggle_tokens);
    CHECK_FALSE(stage.state.show_tokens);
  });
}

TEST_CASE("head map: each colouring by list, key and menu, with its scale; the legend counts heads and bytes",
          "[heads]") {
  Replay replay(trace);
  Stage stage(source_of(replay));
  const Mirror& mirror = replay.mirror();
  stage.act([&](Person& person) {
    for (const PolicyTotal& total : policy_totals(*mirror.model(), mirror.heads(), mirror.config()))
      CHECK(person.reads("heads", count_text(total.n_heads, "head", "heads") + " | " + bytes_text(total.bytes)));
    const std::pair<const char*, HeadMapMode> modes[] = {{"###mode_kept", HeadMapMode::kept_share},
                                                         {"###mode_bytes", HeadMapMode::live_bytes},
                                                         {"###mode_policy", HeadMapMode::policy},
                                                         {"###mode_recovery", HeadMapMode::recovery}};
    const char* titles[] = {"tokens kept", "live bytes of a head", "70 heads", "recovery of special"};
    for (size_t i = 0; i < 4; ++i) {
      person.choose("//###heads/###map_mode", modes[i].first);
      CHECK(stage.state.head_map_mode == modes[i].second);
      CHECK(person.reads("heads", titles[i]));
    }
    for (int i = 0; i < 5; ++i) {
      person.choose("//###heads/###map_policy", "###map_policy_" + std::to_string(i));
      CHECK(stage.state.recovery_policy == i);
    }
    CHECK(person.reads("heads", "recovery of full"));
    person.press(Action::next_head_map_mode);
    CHECK(stage.state.head_map_mode == HeadMapMode::live_bytes);
    person.press(Action::next_head_map_mode);
    CHECK(stage.state.head_map_mode == HeadMapMode::importance);
    person.choose(Action::next_head_map_mode);
    CHECK(stage.state.head_map_mode == HeadMapMode::policy);
  });
}

}  // namespace replay_flow_test
