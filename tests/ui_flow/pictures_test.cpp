// Pictures of every panel and of the whole window, from the recorded trace and in the empty states: not blank, the same
// bytes twice, no text cut off or over other text.
#include "tests/ui_flow/pictures.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>

#include "app/desktop/replay.h"
#include "tests/desktop/desk.h"
#include "tests/support/sample_stream.h"
#include "ui/theme.h"

using namespace headroom;
using namespace headroom::test;

namespace pictures_test {
namespace {

const std::string trace = std::string(HEADROOM_TEST_DATA) + "/traces/chat.hrtrace";
size_t n_versions_of_last(const ChatView& view) {
  return view.messages.empty() ? 0 : static_cast<size_t>(view.messages.back().n_versions);
}

}  // namespace

TEST_CASE("pictures: every panel and the whole window of a recording, dark and light, at two scales", "[pictures]") {
  if (!why_no_pictures().empty()) {
    WARN("skipped: " << why_no_pictures());
    return;
  }
  std::vector<std::string> panels = Ui::panel_names();
  panels.push_back("");
  for (const PictureSize& size : picture_sizes) {
    for (const std::string& panel : panels) {
      Replay replay(trace);
      Stage stage(source_of(replay), size.width, size.height, size.scale, Rasterize::yes, panel);
      const std::string name = panel.empty() ? "window" : panel;
      const std::vector<uint8_t> dark = take_picture(stage, name);
      stage.state.dark = false;
      CHECK(take_picture(stage, name) != dark);
    }
  }
}

TEST_CASE("pictures: heads with budgets: map, card and panel, dark and light, at two scales", "[pictures]") {
  const Rasterize rasterize = why_no_pictures().empty() ? Rasterize::yes : Rasterize::no;
  const auto folder = std::filesystem::temp_directory_path() / "headroom-budget-pictures";
  std::filesystem::create_directories(folder);
  const std::string path = (folder / "budgets.hrtrace").string();
  for (const bool has_table : {true, false}) {
    std::filesystem::remove(path);
    SampleStream{
        .n_layers = 30, .n_tokens = 800, .n_turns = 2, .config = *find_cache_config("headroom"), .has_table = has_table}
        .write_trace(path);
    for (const PictureSize& size : picture_sizes) {
      for (const char* panel : {"heads", "policy", "memory", ""}) {
        Replay replay(path);
        Stage stage(source_of(replay), size.width, size.height, size.scale, rasterize, panel);
        stage.state.pinned_head = 40;
        for (const HeadMapMode mode : {HeadMapMode::policy, HeadMapMode::importance, HeadMapMode::recovery}) {
          if (mode != HeadMapMode::policy && std::string(panel) != "heads") break;
          stage.state.head_map_mode = mode;
          const std::string name = std::string("budgets-") + (*panel == '\0' ? "window" : panel) +
                                   (has_table ? "-" : "-no-table-") + std::to_string(static_cast<int>(mode));
          for (const bool dark : {true, false}) {
            stage.state.dark = dark;
            stage.frames(n_settling_frames);
            check_texts(stage, name);
            if (rasterize == Rasterize::yes) keep_picture(stage, stage.host(), name);
          }
        }
      }
    }
  }
  // The card under the mouse and the calibration dialog, at a small size too.
  for (const PictureSize& size : {PictureSize{1280, 800, 1}, PictureSize{640, 480, 1}}) {
    Replay replay(path);
    for (const char* panel : {"heads", "policy"}) {
      Stage stage(source_of(replay), size.width, size.height, size.scale, rasterize, panel);
      stage.act([&](Person& person) {
        if (std::string(panel) == "heads")
          person.hover_item("//###heads/**/###cells");
        else
          person.click("//###policy/**/###calibrate");
        person.frames(6);
        check_texts(stage, std::string("opened over ") + panel);
        if (rasterize == Rasterize::yes) keep_picture(stage, stage.host(), std::string("budgets-opened-") + panel);
      });
    }
  }
  std::filesystem::remove_all(folder);
}

TEST_CASE("pictures: the same recording gives the same bytes twice", "[pictures]") {
  if (!why_no_pictures().empty()) {
    WARN("skipped: " << why_no_pictures());
    return;
  }
  for (const PictureSize& size : picture_sizes) {
    std::vector<uint8_t> first;
    for (int i = 0; i < 2; ++i) {
      Replay replay(trace);
      replay.go_to_token(120);
      Stage stage(source_of(replay), size.width, size.height, size.scale, Rasterize::yes);
      stage.state.pinned_head = 5;
      const std::vector<uint8_t> rgba = take_picture(stage, "window-pinned");
      if (i == 0) first = rgba;
      CHECK(rgba == first);
    }
  }
}

TEST_CASE("pictures: what a panel says where it has nothing to show", "[pictures]") {
  const Rasterize rasterize = why_no_pictures().empty() ? Rasterize::yes : Rasterize::no;
  struct State {
    const char* name;
    const char* engine;  // options
    bool has_model;
    std::function<bool(const Desk&)> is_reached;
    const char* sentence;  // shown in the conversation
  };
  const State states[] = {
      {"no-model", "", false, [](const Desk& desk) { return desk.view().engine_is_running; }, "No model is open"},
      {"loading", "--load-ms 60000", true, [](const Desk& desk) { return desk.controller->mirror().is_loading(); },
       "The model is being loaded"},
      {"nothing-said", "", true, [](const Desk& desk) { return desk.view().can_send; }, "Nothing is said yet"},
      {"refused", "--refuse", true, [](const Desk& desk) { return desk.has_banner("not supported"); }, "not supported"},
      {"engine-gone", "--die", true, [](const Desk& desk) { return desk.has_banner("ended 3 times"); },
       "The engine is not running"},
  };
  for (const State& state : states) {
    Desk desk(state.engine);
    if (!state.has_model) desk.options.model_path.clear();
    desk.open();
    REQUIRE(desk.until([&] { return state.is_reached(desk); }));
    for (const auto& [panel, width] : {std::pair{"", 1280}, std::pair{"heads", 640}, std::pair{"memory", 640},
                                       std::pair{"policy", 640}, std::pair{"chats", 640}}) {
      Stage stage(source_of(*desk.controller), width, width * 5 / 8, 1, *panel == '\0' ? rasterize : Rasterize::no,
                  panel);
      stage.frames(n_settling_frames);
      check_texts(stage, std::string(state.name) + " " + panel);
      if (*panel != '\0') {
        // The panel shows at least one sentence.
        CHECK_FALSE(lines_of(stage.texts(), panel).empty());
        continue;
      }
      if (rasterize == Rasterize::yes) take_picture(stage, state.name);
      const std::vector<std::string> lines = lines_of(stage.texts(), "transcript");
      CHECK(std::any_of(lines.begin(), lines.end(),
                        [&](const std::string& line) { return line.find(state.sentence) != std::string::npos; }));
    }
  }
}

TEST_CASE("pictures: what opens over the panels: menus, lists, cards, the help; a live chat with its list",
          "[pictures]") {
  const Rasterize rasterize = why_no_pictures().empty() ? Rasterize::yes : Rasterize::no;
  const auto show = [&](Person& person, Stage& stage, const char* name) {
    person.frames(6);
    check_texts(stage, name);
    if (rasterize == Rasterize::yes) keep_picture(stage, stage.host(), name);
  };
  {
    Desk desk("--answer-tokens 60");
    desk.open_and_load();
    for (const char* text : {"A question about the history of the potato, with a long title", "Two", "Three"}) {
      desk.controller->new_chat();
      REQUIRE(desk.until([&] { return desk.view().can_send; }));
      desk.say(text);
    }
    Stage stage(source_of(*desk.controller), 1280, 800, 1, rasterize);
    stage.act([&](Person& person) {
      person.click("//###chats/###new_chat");
      person.press(Action::next_chat);
      person.press(Action::delete_chat);
      person.press(Action::next_chat);
      show(person, stage, "live");
      // Nothing about the chat that was open before is shown any more.
      CHECK(person.reads("memory", "Nothing of this conversation is in the cache"));
      CHECK_FALSE(person.reads("transcript", "Cache built"));
      person.press(Action::rename_chat);
      show(person, stage, "live-rename");
      person->KeyPress(ImGuiKey_Escape);
      person.hover_item("//###status/###record");
      person.frames(60);  // until the explanation comes
      CHECK(person.reads("explanation", "trace file"));
      show(person, stage, "live-explanation");
      person.click("//##MainMenuBar/##MenuBar/###chat");
      show(person, stage, "live-menu");
      person->PopupCloseAll();
      person.press(Action::toggle_help);
      show(person, stage, "live-help");
    });
    Stage conversation(source_of(*desk.controller), 1280, 800, 1, rasterize, "transcript");
    conversation.act([&](Person& person) {
      for (const bool dark : {true, false}) {
        conversation.state.dark = dark;
        const size_t n = n_versions_of_last(desk.view());
        person.press(Action::regenerate);
        REQUIRE(person.until([&] { return desk.view().can_send && n_versions_of_last(desk.view()) > n; }));
        show(person, conversation, "live-versions");
        CHECK(person.reads("transcript", std::to_string(n + 1) + "/" + std::to_string(n + 1)));
      }
    });
  }
  Replay replay(trace);
  Stage stage(source_of(replay), 1280, 800, 1, rasterize);
  stage.act([&](Person& person) {
    const ImRect map = person.place_of("//###heads/**/###cells");
    person.hover({map.Min.x + 10, map.Min.y + 100});
    show(person, stage, "head-card");
    person.press(Action::toggle_tokens);
    person.hover({map.Min.x + 10, map.Min.y + 140});
    show(person, stage, "head-card-tokens");
    person.hover({400, 300});
    show(person, stage, "token-card");
    person.click("//###heads/###map_mode");
    show(person, stage, "list");
    person.click("//$FOCUSED/###mode_recovery");
    show(person, stage, "recovery");
    person->WindowFocus("//###policy");
    person.frames(4);
    person.click("//###policy/**/###other_policies");
    show(person, stage, "policies");
    stage.state.zoom = 2.5f;
    show(person, stage, "large");
  });
}

TEST_CASE("pictures: the empty field says what it is for, a banner has the colour of its kind", "[pictures]") {
  if (!why_no_pictures().empty()) {
    WARN("skipped: " << why_no_pictures());
    return;
  }
  Desk desk("--refuse");
  desk.open();
  REQUIRE(desk.until([&] { return desk.has_banner("not supported"); }));
  Stage stage(source_of(*desk.controller), 1280, 800, 1, Rasterize::yes);
  const auto n_pixels = [&](const ImRect& place, ImU32 color) {
    const std::vector<uint8_t> rgba = stage.host().read_rgba();
    int n = 0;
    for (int y = static_cast<int>(place.Min.y); y < static_cast<int>(place.Max.y); ++y)
      for (int x = static_cast<int>(place.Min.x); x < static_cast<int>(place.Max.x); ++x) {
        const uint8_t* pixel = &rgba[(static_cast<size_t>(y) * 1280 + static_cast<size_t>(x)) * 4];
        n += pixel[0] == (color & 0xFF) && pixel[1] == (color >> 8 & 0xFF) && pixel[2] == (color >> 16 & 0xFF);
      }
    return n;
  };
  stage.act([&](Person& person) {
    const ImRect field = person.place_of("//###transcript/**/###draft");
    for (const bool has_banner : {true, false}) {
      const ImRect dismiss = has_banner ? person.place_of("//###transcript/**/###dismiss") : ImRect();
      if (has_banner) {
        const ImRect bar(dismiss.Min.x - 20, dismiss.Min.y - 20, dismiss.Min.x, dismiss.Max.y);
        CHECK(n_pixels(bar, failure_color(true)) > 100);
        person.press(Action::dismiss_banner);
      }
      person.frames(3);
      const ImRect words(field.Min.x + 20, field.Min.y, field.Min.x + 300, field.Max.y);
      CHECK(static_cast<float>(n_pixels(words, ImGui::GetColorU32(ImGuiCol_FrameBg))) < words.GetArea() * 0.97f);
    }
  });
}

TEST_CASE("texts: what is checked is found: a cut line, a line over another", "[pictures]") {
  OffscreenHost host(400, 300, 1, Rasterize::no);
  class Scene : public WindowClient {
   public:
    Redraw poll() override { return Redraw::now; }
    void draw_frame() override {
      watch().texts.clear();
      watch().keeps_texts = true;
      ImGui::SetNextWindowSize({200, 150});
      ImGui::Begin("###scene", nullptr, ImGuiWindowFlags_NoScrollbar);
      ImGui::TextUnformatted("This line fits.");
      if (is_cut) ImGui::TextUnformatted("This line is far too long for a window that is so narrow.");
      if (is_over) ImGui::SetCursorPosY(ImGui::GetCursorPosY() - ImGui::GetTextLineHeight() * 1.2f);
      ImGui::TextUnformatted("Another line.");
      ImGui::End();
      watch().keeps_texts = false;
    }
    void files_dropped(const std::vector<std::string>&) override {}
    void closing() override {}
    bool wants_to_quit() const override { return false; }
    std::string title() const override { return "scene"; }
    bool is_cut = false, is_over = false;
  } scene;
  const auto faults = [&](bool is_cut, bool is_over) {
    scene.is_cut = is_cut;
    scene.is_over = is_over;
    for (int i = 0; i < 3; ++i) host.frame(scene);
    return faults_of(watch().texts);
  };
  CHECK(faults(false, false).empty());
  REQUIRE(faults(true, false).size() == 1);
  CHECK(faults(true, false)[0].starts_with("cut at a side: 'This line is far"));
  REQUIRE(faults(false, true).size() == 1);
  CHECK(faults(false, true)[0].starts_with("over each other: 'This line fits.' in scene"));
}

TEST_CASE("texts: none is cut off or over another at any size and zoom, in every panel and mode", "[pictures]") {
  for (const PictureSize& size :
       {PictureSize{640, 480, 1}, PictureSize{1280, 800, 1}, PictureSize{2560, 1440, 2}, PictureSize{3840, 2160, 1}}) {
    Replay replay(trace);
    Stage stage(source_of(replay), size.width, size.height, size.scale);
    for (const float zoom : {0.7f, 1.0f, 1.5f, 2.5f}) {
      stage.state.zoom = zoom;
      for (const int pinned : {-1, 54}) {
        stage.state.pinned_head = pinned;
        for (const HeadMapMode mode : {HeadMapMode::policy, HeadMapMode::recovery, HeadMapMode::importance}) {
          stage.state.head_map_mode = mode;
          stage.state.show_tokens = mode == HeadMapMode::recovery;
          stage.frames(n_settling_frames);
          check_texts(stage, std::to_string(size.width) + " wide, zoom " + std::to_string(zoom) + ", pinned " +
                                 std::to_string(pinned) + ", mode " + std::to_string(static_cast<int>(mode)));
        }
      }
    }
  }
}

}  // namespace pictures_test
