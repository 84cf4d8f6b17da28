// Files dropped on the window: their kind is recognised, the window opens them, and nothing that is open is lost.
#include "app/desktop/opened_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "app/desktop/chat_window.h"
#include "tests/desktop/desk.h"

using namespace headroom;
using namespace headroom::test;

namespace {

const std::string trace = std::string(HEADROOM_TEST_DATA) + "/traces/chat.hrtrace";

std::string write(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

bool says(const OpenedFile& file, const std::string& part) {
  return file.kind == FileKind::other && file.why.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a file is what its first bytes say, whatever its name", "[files]") {
  const Folder folder;
  CHECK(look_at_file(write(folder / "notes.txt", "GGUF and what follows")).kind == FileKind::model);
  CHECK(look_at_file(trace).kind == FileKind::recording);
  const OpenedFile text = look_at_file(write(folder / "model.gguf", "just words\n"));
  CHECK(text.kind == FileKind::text);
  CHECK(text.text == "model.gguf:\n```\njust words\n```\n");
}

TEST_CASE("a text is fenced so that it ends where it ends, with line feeds and no mark of bytes", "[files]") {
  const Folder folder;
  CHECK(look_at_file(write(folder / "a.md", "\xef\xbb\xbfone\r\n````\r\ntwo\rthree")).text ==
        "a.md:\n`````\none\n````\ntwo\nthree\n`````\n");
  CHECK(look_at_file(write(folder / "grüße.txt", "für")).text == "grüße.txt:\n```\nfür\n```\n");
}

TEST_CASE("what cannot be opened is one sentence", "[files]") {
  const Folder folder;
  CHECK(says(look_at_file(""), "has no name"));
  CHECK(says(look_at_file(folder / "nothing"), "is not there"));
  CHECK(says(look_at_file(folder / ""), "is a folder"));
  CHECK(says(look_at_file(write(folder / "empty", "")), "is empty"));
  CHECK(says(look_at_file(write(folder / "photo.png", "\x89PNG\r\n\x1a\n\xff\xfe")), "neither a model"));
  CHECK(says(look_at_file(write(folder / "nul.txt", std::string("a\0b", 3))), "neither a model"));
  CHECK(says(look_at_file(write(folder / "long.txt", std::string(max_attached_bytes + 1, 'a') + "\n")), "at most"));
  CHECK(says(look_at_file(write(folder / "umlauts.txt",
                                [] {
                                  std::string text = "a";
                                  while (text.size() <= 2 * max_attached_bytes) text += "ü";
                                  return text;
                                }())),
             "at most"));
  CHECK(look_at_file(write(folder / "fits.txt", std::string(max_attached_bytes, 'a'))).kind == FileKind::text);
  const std::string pipe = folder / "pipe";
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  CHECK(says(look_at_file(pipe), "a pipe or a device"));  // and did not wait for a writer
  CHECK(says(look_at_file("/dev/zero"), "a pipe or a device"));
  if (geteuid() != 0) {
    const std::string locked = write(folder / "locked.txt", "secret");
    chmod(locked.c_str(), 0);
    CHECK(says(look_at_file(locked), "cannot be read"));
  }
}

TEST_CASE("files on the window: each does its own, several at once too, and the open model stays", "[files]") {
  Desk desk("--answer-tokens 3");
  desk.open_and_load();
  ChatWindow window(*desk.controller);
  desk.say("hello");
  const std::string text = write(desk.folder / "a.txt", "A\n"), other = write(desk.folder / "b.txt", "B\n"),
                    picture = write(desk.folder / "c.png", "\x89PNG\xff");
  window.actions().open_files({text, picture, desk.folder / "", other});
  window.poll();
  CHECK(desk.view().attached_text == "a.txt:\n```\nA\n```\n\nb.txt:\n```\nB\n```\n");
  CHECK(desk.view().banners.size() == 2);
  CHECK(desk.view().can_send);
  CHECK(desk->mirror().model()->path == "fake.gguf");
  desk->take_for_draft();
  CHECK(desk.view().attached_text.empty());

  SECTION("a recording is shown over the chat, which goes on behind it") {
    desk->send("again");
    window.actions().open_files({trace});
    window.poll();
    REQUIRE(window.view().replay);
    CHECK(window.view().replay->has_chat_behind);
    for (int i = 0; i < 20'000 && desk.view().messages.size() < 4; ++i) {
      window.poll();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    CHECK(desk.view().messages.size() == 4);
    SECTION("and closed") {
      window.actions().close_replay();
    }
    SECTION("and left for a text") {
      window.actions().open_files({text});
      CHECK(desk.view().attached_text.starts_with("a.txt"));
    }
    window.poll();
    CHECK_FALSE(window.view().replay);
    CHECK(window.view().messages.size() == 4);
  }
  SECTION("a damaged recording changes nothing") {
    window.actions().open_files({write(desk.folder / "bad.hrtrace", "HRTRACE\nnot at all")});
    window.poll();
    CHECK_FALSE(window.view().replay);
    CHECK(desk.has_banner("The recording was not opened"));
  }
  SECTION("more refused files than anybody reads sentences of") {
    desk->dismiss_banner();
    desk->dismiss_banner();
    std::vector<std::string> many;
    for (int i = 0; i < 50; ++i) many.push_back(write(desk.folder / ("p" + std::to_string(i)), "\xff"));
    desk->open_files(many);
    CHECK(desk.view().banners.size() == 4);
  }
}

TEST_CASE("a model that is refused is not what Restart engine opens", "[files]") {
  Desk desk("--answer-tokens 3");
  desk.open_and_load();
  desk.say("hello");
  desk->open_model("refused.gguf");
  REQUIRE(desk.until([&] { return desk.has_banner("'unheard'"); }));
  desk->restart_engine();
  REQUIRE(desk.until([&] { return desk.view().can_send && desk->mirror().model() != nullptr; }));
  CHECK(desk->mirror().model()->path == "fake.gguf");
  CHECK(desk.view().messages.size() == 2);
}

TEST_CASE("without a model the window offers the default one: where it is, or how to get it", "[files]") {
  Desk desk;
  desk.options.model_path.clear();
  desk.options.default_model_path = desk.folder / "default.gguf";
  desk.open();
  CHECK(desk.view().default_model.path == desk.options.default_model_path);
  CHECK_FALSE(desk.view().default_model.is_there);
  desk->open_default_model();
  CHECK(desk.has_banner("is not at"));
  write(desk.options.default_model_path, "GGUF");  // fetched meanwhile
  desk->open_default_model();
  REQUIRE(desk.until([&] { return desk.view().can_send; }));
  CHECK(desk->mirror().model()->path == desk.options.default_model_path);
}
