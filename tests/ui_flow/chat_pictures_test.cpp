// Pictures of a live chat in its rarer states, at every size, dark and light: no room left, a message taken back, many
// banners, versions of an answer, no model, a recording over the chat, a bound in bytes that bites.
#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <functional>
#include <thread>

#include "app/desktop/chat_window.h"
#include "app/desktop/replay.h"
#include "tests/desktop/desk.h"
#include "tests/support/sample_stream.h"
#include "tests/ui_flow/pictures.h"

using namespace headroom;
using namespace headroom::test;

namespace chat_pictures_test {
namespace {

const std::string trace = std::string(HEADROOM_TEST_DATA) + "/traces/chat.hrtrace";

/// A picture of a state at each size, dark and light. sentence: what a panel says in that state; lines are joined,
/// since a sentence may be wrapped anywhere. panel: the only one that is drawn; empty: the whole window.
void take_everywhere(const Source& source, const std::string& name, const std::string& sentence,
                     const std::function<void(UiState&)>& prepare = {}, const std::string& panel = "") {
  const Rasterize rasterize = why_no_pictures().empty() ? Rasterize::yes : Rasterize::no;
  for (const PictureSize& size : picture_sizes) {
    Stage stage(source, size.width, size.height, size.scale, rasterize, panel);
    if (prepare) prepare(stage.state);
    const std::string draft = stage.state.draft;
    for (const bool dark : {true, false}) {
      stage.state.dark = dark;
      std::string said;
      const auto says = [&] {
        said.clear();
        for (const char* said_in : {"transcript", "policy", "memory", "status"})
          for (const std::string& line : lines_of(stage.texts(), said_in)) said += line + " ";
        return said.find(sentence) != std::string::npos;
      };
      // A draft is counted once it stands still.
      for (int i = 0; i < 400 && !says(); ++i) {
        stage.frames(1);
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
      INFO(name << ": " << said);
      CHECK(says());
      if (rasterize == Rasterize::yes)
        take_picture(stage, name);
      else
        check_texts(stage, name);
    }
  }
}

std::function<void(UiState&)> with_draft(const std::string& draft) {
  return [draft](UiState& state) { state.draft = draft; };
}

const std::string long_draft = [] {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "words ";
  return text;
}();

}  // namespace

TEST_CASE("pictures: a context that gets full, and a message that does not fit", "[pictures]") {
  Desk desk("--ctx 64 --answer-tokens 10");
  desk.open_and_load();
  desk.say("hi");
  take_everywhere(source_of(*desk.controller), "chat-short", "too short to save yet");
  for (int i = 0; i < 3; ++i) desk.say("question");
  take_everywhere(source_of(*desk.controller), "room-nearly-full", "The context is nearly full");
  take_everywhere(source_of(*desk.controller), "room-draft-over", "With this message the conversation has",
                  with_draft("these words are more than what is left"));
  take_everywhere(source_of(*desk.controller), "room-draft-too-long", "This message is too long",
                  with_draft(long_draft));
  desk->drop_oldest_turns();
  REQUIRE(desk.until([&] { return desk.view().can_send; }));
  take_everywhere(source_of(*desk.controller), "room-dropped", "dropped: the model no longer reads it");
}

TEST_CASE("pictures: a full context, and a chat that is longer than the context", "[pictures]") {
  Desk desk("--ctx 20 --answer-tokens 100");
  desk.open_and_load();
  desk.say("go on");
  take_everywhere(source_of(*desk.controller), "room-full", "The context of 20 tokens is full");

  Desk other("--answer-tokens 10");
  other.open_and_load();
  for (int i = 0; i < 4; ++i) other.say("question");
  other.options.engine_command = fake_engine("--ctx 40 --answer-tokens 10");
  other.open_and_load();
  other->open_chat(other.view().chats[0].id);
  REQUIRE(other.until([&] { return other.view().is_overfull && other.view().can_send; }));
  take_everywhere(source_of(*other.controller), "room-overfull", "longer than the context");
}

TEST_CASE("pictures: a message without an answer, one that was refused, the one that is written anew", "[pictures]") {
  Desk desk("--prefill-ms 2000 --answer-tokens 3");
  desk.open_and_load();
  desk->send("A question that is stopped before its answer begins");
  REQUIRE(desk.until([&] { return desk->mirror().turn().has_value(); }));
  desk->stop();
  REQUIRE(desk.until([&] { return desk.view().can_send; }));
  take_everywhere(source_of(*desk.controller), "message-unanswered", "stopped before an answer began");
  const std::string question = desk.view().messages.back().content;
  desk->take_back_message();
  take_everywhere(source_of(*desk.controller), "message-taken-back", "With this message", with_draft(question));
  desk->send("refuse this");
  REQUIRE(desk.until([&] { return desk.has_banner("The message was not sent"); }));
  take_everywhere(source_of(*desk.controller), "message-refused", "The message was not sent");
}

TEST_CASE("pictures: versions of an answer, in the middle and at the end", "[pictures]") {
  Desk desk("--answer-tokens 60");
  desk.open_and_load();
  desk.say("Tell me about potatoes");
  for (int i = 0; i < 2; ++i) {
    desk->regenerate();
    REQUIRE(desk.until([&] { return desk.view().can_send && desk.view().messages.back().n_versions == i + 2; }));
  }
  take_everywhere(source_of(*desk.controller), "versions-3-of-3", "3/3");
  desk->choose_version(desk.view().messages.back().id, 1);
  desk.say("And now of carrots");
  take_everywhere(source_of(*desk.controller), "versions-2-of-3", "2/3");
}

TEST_CASE("pictures: many long banners, one of each kind, chats that can only be read", "[pictures]") {
  Desk many("--failures 30 --failure-bytes 5000");
  many.open_and_load();
  many.say("hello");
  REQUIRE(many.until([&] { return many.has_banner("trouble 29 "); }));
  take_everywhere(source_of(*many.controller), "banners-many", "Dismiss");

  Desk each("--answer-tokens 20");
  each.open_and_load();
  each.say("hello");
  each->add_warning("The vocabulary has no token for the byte 0x1D, which was left out of the prompt.");
  each->delete_chat(each.view().open_chat);
  take_everywhere(source_of(*each.controller), "banners-of-each-kind", "Undo");

  Desk reader("--answer-tokens 20");
  reader.options.chats_path = each.options.chats_path;
  reader.open();
  REQUIRE(reader.until([&] { return !reader->mirror().is_loading() && reader->mirror().model() != nullptr; }));
  take_everywhere(source_of(*reader.controller), "read-only", "only be read");
}

TEST_CASE("pictures: no model: nothing known, the default one there or not, a chat that waits", "[pictures]") {
  Desk desk("--answer-tokens 3");
  desk.open_and_load();
  desk.say("an old chat");
  desk.options.model_path.clear();
  desk.open();
  take_everywhere(source_of(*desk.controller), "no-model-none", "No model is open");
  desk->open_chat(desk.view().chats[0].id);
  take_everywhere(source_of(*desk.controller), "no-model-chat", "an old chat");
  for (const bool is_there : {false, true}) {
    desk.options.default_model_path = is_there ? trace : std::string(desk.folder / "default.gguf");
    desk.open();
    take_everywhere(source_of(*desk.controller), is_there ? "no-model-default-there" : "no-model-default-missing",
                    is_there ? "Open the default model" : "./run.sh");
  }
  desk.options.model_path = "fake.gguf";
  desk.options.engine_command = fake_engine("--load-ms 60000");
  desk.open();
  desk->open_chat(desk.view().chats[0].id);
  take_everywhere(source_of(*desk.controller), "loading-chat", "an old chat", with_draft("a next question"));
}

TEST_CASE("pictures: a recording over a chat, a recording that is being written, text that fell on the window",
          "[pictures]") {
  Desk desk("--answer-tokens 20");
  desk.open_and_load();
  desk.say("hello");
  ChatWindow window(*desk.controller);
  const Source source{[&] { return window.poll(); }, [&]() -> const Mirror& { return window.mirror(); },
                      [&]() -> const ChatView& { return window.view(); }, [&] { return &window.actions(); }};
  desk->start_recording();
  take_everywhere(source, "recording-written", "Stop recording",
                  with_draft("Look at this\n\na.txt:\n```\nsome text\n```\n"));
  desk->stop_recording();
  desk->dismiss_banner();
  desk->open_files({trace});
  window.poll();
  REQUIRE(window.view().replay);
  take_everywhere(source, "recording-over-chat", "Back to the chat");
}

TEST_CASE("pictures: a bound in bytes that bites, changed and in use", "[pictures]") {
  const auto folder = std::filesystem::temp_directory_path() / "headroom-bound-pictures";
  std::filesystem::create_directories(folder);
  for (const auto& [name, mib, sentence] :
       {std::tuple{"bound-bites", 6.0, "The bound decides now"}, std::tuple{"bound-tight", 1.9, "From "}}) {
    const std::string path = (folder / (std::string(name) + ".hrtrace")).string();
    std::filesystem::remove(path);
    CacheConfig config = *find_cache_config("headroom");
    config.kv_budget_bytes = static_cast<int64_t>(mib * (1 << 20));
    SampleStream{.n_layers = 30, .n_tokens = 800, .n_turns = 2, .config = config}.write_trace(path);
    Replay replay(path);
    take_everywhere(source_of(replay), std::string(name) + "-window", "KV ");
    take_everywhere(source_of(replay), name, sentence, {}, "policy");
  }
  std::filesystem::remove_all(folder);
}

}  // namespace chat_pictures_test
