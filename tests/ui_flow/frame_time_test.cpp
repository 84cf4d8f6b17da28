// Time to build a frame (Dear ImGui and the panels, nothing rasterised) with 100,000 tokens and 1,024 heads. Meanwhile
// a user scrolls, hovers heads and points at tokens, and an answer arrives.
#include <time.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdio>
#include <deque>

#include "tests/support/effort.h"
#include "tests/support/sample_stream.h"
#include "tests/ui/ui_fixture.h"

using namespace headroom;
using namespace headroom::test;

namespace {

constexpr double allowed_ms = 8;

/// A conversation whose last answer is still being generated: the frames apply the stream's last events.
class Conversation : public WindowClient {
 public:
  Conversation(int32_t n_tokens, size_t n_kept_back) {
    chat.engine_is_running = true;
    chat.is_busy = true;
    SampleStream{.n_layers = 32, .n_kv_heads = 32, .n_tokens = n_tokens, .end = SampleEnd::answering}.send_to(
        [&](const stream::EventT& event) {
          kept_back_.push_back(event);
          if (kept_back_.size() <= n_kept_back) return;
          apply(mirror, kept_back_.front());
          kept_back_.pop_front();
        });
    show();
  }
  /// Applies events up to the next token of the answer.
  void go_on() {
    for (bool is_token = false; !is_token && !kept_back_.empty(); kept_back_.pop_front()) {
      is_token = kept_back_.front().body.type == stream::EventBody::Token;
      apply(mirror, kept_back_.front());
    }
    show();
  }

  Redraw poll() override { return Redraw::now; }
  void draw_frame() override { ui_.draw(mirror, chat, state, actions_); }
  void files_dropped(const std::vector<std::string>&) override {}
  void closing() override {}
  bool wants_to_quit() const override { return false; }
  std::string title() const override { return "long"; }

  Mirror mirror;
  ChatView chat;
  UiState state;

 private:
  void show() {
    const std::vector<MirrorMessage>& messages = mirror.messages();
    chat.messages.resize(messages.size());
    for (size_t i = 0; i < messages.size(); ++i) {
      TranscriptMessage& shown = chat.messages[i];
      shown.id = static_cast<int64_t>(i) + 1;
      shown.role = messages[i].role;
      if (shown.content.size() != messages[i].content.size()) shown.content = messages[i].content;
      shown.mirror_index = static_cast<int32_t>(i);
      shown.is_streaming = i + 1 == messages.size();
    }
    ++chat.version;
  }

  std::deque<stream::EventT> kept_back_;
  Ui ui_;
  RecordedActions actions_;
};

struct Times {
  double p50 = 0, p99 = 0, longest = 0;  // ms of this thread's CPU time, which excludes other programs
  double wall_p99 = 0;
  int n_head = 0, n_token = 0;  // frames in which one was under the mouse
};

double thread_ms() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return 1000.0 * static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e6;
}

Times measure(OffscreenHost& host, Conversation& conversation, int n_frames, const std::function<void(int)>& before) {
  std::vector<double> times, wall_times;
  Times result;
  for (int i = 0; i < n_frames; ++i) {
    before(i);
    const auto began = std::chrono::steady_clock::now();
    const double began_ms = thread_ms();
    host.frame(conversation);
    times.push_back(thread_ms() - began_ms);
    wall_times.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count());
    result.n_head += conversation.state.hovered_head >= 0;
    result.n_token += conversation.state.hovered_token >= 0;
  }
  std::sort(times.begin(), times.end());
  std::sort(wall_times.begin(), wall_times.end());
  result.p50 = times[times.size() / 2];
  result.p99 = times[times.size() * 99 / 100];
  result.longest = times.back();
  result.wall_p99 = wall_times[wall_times.size() * 99 / 100];
  return result;
}

}  // namespace

TEST_CASE("a frame of 100,000 tokens and 1,024 heads is built in less than 8 ms (p99)", "[frame_time]") {
  const int n_frames = test::has_sanitizer ? 30 : 300;
  const int32_t n_tokens = test::has_sanitizer ? 12'500 : 125'000;
  Conversation conversation(n_tokens, static_cast<size_t>(n_frames) * 10);
  REQUIRE(conversation.mirror.heads().size() == 1024);
  REQUIRE(conversation.mirror.tokens().size() > static_cast<size_t>(n_tokens) * 8 / 10);
  // All panels at once, as on a large screen.
  OffscreenHost host(2560, 1440, 1, Rasterize::no);
  for (int i = 0; i < 10; ++i) host.frame(conversation);
  ImGuiIO& io = ImGui::GetIO();
  const auto place_of = [](const char* part) {
    for (const ImGuiWindow* window : ImGui::GetCurrentContext()->Windows)
      if (window->Active && std::string_view(window->Name).find(part) != std::string_view::npos)
        return window->InnerRect;
    FAIL("no window " << part);
    return ImRect();
  };
  const auto point = [&](const ImRect& place, int i) {
    io.AddMousePosEvent(place.Min.x + place.GetWidth() * (0.15f + 0.7f * static_cast<float>(i * 37 % 100) / 100),
                        place.Min.y + place.GetHeight() * (0.15f + 0.7f * static_cast<float>(i * 61 % 100) / 100));
  };
  const ImRect chat = place_of("/###messages_"), map = place_of("/###map_");
  struct Case {
    const char* name;
    std::function<void(int)> before;
    bool is_at_heads = false, is_at_tokens = false;
  };
  const auto scroll = [&](int i) { io.AddMouseWheelEvent(0, i % 100 < 80 ? 7.0f : -15.0f); };
  const Case cases[] = {
      {"an answer arrives", [&](int) { conversation.go_on(); }},
      {"the text is scrolled",
       [&](int i) {
         point(chat, 1);
         scroll(i);
       }},
      {"words are pointed at", [&](int i) { point(chat, i); }, false, true},
      {"heads are pointed at, an answer arrives",
       [&](int i) {
         point(map, i);
         conversation.go_on();
       },
       true, false},
      {"tokens are scrolled and pointed at, an answer arrives",
       [&](int i) {
         conversation.state.show_tokens = true;
         point(chat, i);
         scroll(i);
         conversation.go_on();
       },
       false, true},
  };
  for (const Case& it : cases) {
    const Times times = measure(host, conversation, n_frames, it.before);
    std::printf("frame, %s: p50 %.2f ms, p99 %.2f ms (by the clock %.2f ms), longest %.2f ms\n", it.name, times.p50,
                times.p99, times.wall_p99, times.longest);
    INFO(it.name);
    if (it.is_at_heads) CHECK(times.n_head > n_frames / 2);
    if (it.is_at_tokens) CHECK(times.n_token > n_frames / 20);  // much of a page is empty
    if (!test::has_sanitizer) CHECK(times.p99 < allowed_ms);
  }
}
