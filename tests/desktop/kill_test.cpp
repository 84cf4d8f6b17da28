// Window, engine or both are killed at any moment of typing, streaming, saving and deleting: nothing that was
// acknowledged is lost. HEADROOM_KILLS, HEADROOM_ENGINE_KILLS: number of kills with the fake engine and with the real
// one. HEADROOM_KILL_SEED: repeats an earlier run, which printed its seed.
#include <csignal>
#include <fstream>
#include <iostream>
#include <map>
#include <random>
#include <set>
#include <sstream>

#include "app/chats/sqlite.h"
#include "engine/base/platform/fd_io.h"
#include "engine/base/platform/process.h"
#include "tests/desktop/desk.h"
#include "tests/support/effort.h"
#include "tests/support/model_paths.h"

using namespace headroom;
using namespace headroom::test;

namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::milliseconds;

constexpr int n_kills_by_default = test::has_sanitizer ? 12 : 60;
constexpr int n_engine_kills_by_default = test::has_sanitizer ? 1 : 3;

int from_environment(const char* name, int otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::atoi(value);
}

/// Everything that a driver has acknowledged, parsed from its output lines.
struct Acknowledged {
  struct Answer {
    int64_t chat = 0;
    std::vector<std::pair<int64_t, size_t>> grown;  // time in ms, bytes
    std::optional<size_t> finished;
    bool may_be_replaced = false;
  };
  std::vector<std::pair<int64_t, std::string>> said;  // chat, text
  std::map<int64_t, Answer> answers;
  std::map<int64_t, bool> is_deleted;
  std::vector<int> engines;
  std::string rest;

  void take(const std::string& bytes) {
    rest += bytes;
    for (size_t end = rest.find('\n'); end != std::string::npos; end = rest.find('\n')) {
      take_line(rest.substr(0, end));
      rest.erase(0, end + 1);
    }
  }

  void take_line(const std::string& line) {
    std::istringstream words(line);
    std::string what;
    int64_t chat = 0, message = 0, time_ms = 0;
    size_t n_bytes = 0;
    words >> what >> chat;
    if (what == "engine" && chat > 0) engines.push_back(static_cast<int>(chat));
    if (what == "said") said.emplace_back(chat, line.substr(line.rfind(' ') + 1));
    if (what == "grown") {
      words >> message >> time_ms >> n_bytes;
      answers[message].chat = chat;
      answers[message].grown.emplace_back(time_ms, n_bytes);
    }
    if (what == "finished") {
      words >> message >> n_bytes;
      answers[message].finished = n_bytes;
    }
    if (what == "replacing") {
      words >> message;
      answers[message].may_be_replaced = true;
    }
    if (what == "deleted") is_deleted[chat] = true;
    if (what == "restored") is_deleted[chat] = false;
    if (what == "deleting" || what == "restoring") is_deleted.erase(chat);  // both outcomes are allowed
  }
};

/// Reads the driver's output until `enough` holds, the driver ends, or the time is over.
void listen(ChildProcess& driver, Acknowledged& acknowledged, int timeout_ms, const std::function<bool()>& enough) {
  const Clock::time_point until = Clock::now() + Milliseconds(timeout_ms);
  std::byte buffer[65536];
  while (!enough()) {
    const auto left = std::chrono::duration_cast<Milliseconds>(until - Clock::now()).count();
    if (left <= 0 || !wait_readable(driver.output(), static_cast<int>(left))) return;
    const size_t n = read_some(driver.output(), buffer);
    if (n == 0) return;
    acknowledged.take({reinterpret_cast<const char*>(buffer), n});
  }
}

/// Whether the process has ended. A zombie that its new parent has not reaped yet counts as ended.
bool is_gone(int process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  std::string text{std::istreambuf_iterator<char>(file), {}};
  const size_t name_end = text.rfind(')');
  return name_end == std::string::npos || text.compare(name_end, 3, ") Z") == 0;
}

bool goes_away(int process) {
  for (int i = 0; i < 3000 && !is_gone(process); ++i) std::this_thread::sleep_for(Milliseconds(1));
  return is_gone(process);
}

void check_chats(const std::string& path, const Acknowledged& acknowledged, int64_t killed_ms) {
  {
    Database database(path, SQLITE_OPEN_READWRITE);
    CHECK(database.text("PRAGMA integrity_check") == "ok");
  }
  ChatStore store = ChatStore::open(path);
  CHECK(store.note() == "");
  CHECK_FALSE(store.read_only());
  std::map<int64_t, std::map<int64_t, StoredMessage>> chats;
  const auto messages_of = [&](int64_t chat) -> const std::map<int64_t, StoredMessage>& {
    auto& messages = chats[chat];
    if (messages.empty())
      for (StoredMessage& message : store.messages(chat)) messages[message.id] = std::move(message);
    return messages;
  };
  for (const auto& [chat, text] : acknowledged.said) {
    bool found = false;
    for (const auto& [id, message] : messages_of(chat))
      found = found || (message.role == "user" && message.content == text);
    INFO("chat " << chat << ": " << text.substr(0, 40));
    CHECK(found);
  }
  for (const auto& [id, answer] : acknowledged.answers) {
    size_t n_expected = answer.finished.value_or(0);
    for (const auto& [time_ms, n_bytes] : answer.grown)
      if (time_ms + 1000 <= killed_ms) n_expected = std::max(n_expected, n_bytes);
    const auto& messages = messages_of(answer.chat);
    const auto stored = messages.find(id);
    if (answer.may_be_replaced && stored == messages.end()) continue;
    INFO("answer " << id << " of chat " << answer.chat);
    if (answer.chat == 0) continue;  // it was there before this driver began
    REQUIRE(stored != messages.end());
    CHECK(stored->second.content.size() >= n_expected);
    CHECK(stored->second.state != MessageState::streaming);
  }
  std::set<int64_t> listed;
  for (const ChatSummary& chat : store.list()) listed.insert(chat.id);
  for (const auto& [chat, deleted] : acknowledged.is_deleted) CHECK(listed.count(chat) == (deleted ? 0 : 1));
}

enum class Victim { window, engine, both };

struct Engine {
  std::string command, model;
  int least_ms, most_ms;        // range of the time until the kill
  bool from_the_first_message;  // count that time from the first message
  bool spares_engine;           // kill only the window, during an answer
};

/// Returns what was acknowledged.
Acknowledged kill_once(const Folder& folder, const Engine& engine, unsigned seed) {
  std::mt19937 random(seed);
  Acknowledged acknowledged;
  ChildProcess driver =
      ChildProcess::start({HEADROOM_DESKTOP_DRIVER, folder / "", engine.model, engine.command, std::to_string(seed)});
  listen(driver, acknowledged, 20'000, [&] { return !acknowledged.engines.empty(); });
  INFO(driver.error_tail());
  REQUIRE(!acknowledged.engines.empty());
  if (engine.from_the_first_message) {
    listen(driver, acknowledged, 60'000, [&] { return !acknowledged.said.empty(); });
    REQUIRE(!acknowledged.said.empty());
  }
  std::uniform_int_distribution<int> wait_ms(engine.least_ms, engine.most_ms);
  listen(driver, acknowledged, wait_ms(random), [] { return false; });

  const auto victim = engine.spares_engine ? Victim::window : static_cast<Victim>(random() % 3);
  INFO("victim " << static_cast<int>(victim));
  if (victim != Victim::window) ::kill(acknowledged.engines.back(), SIGKILL);
  if (victim == Victim::engine) {
    // The window starts another engine, and the chat continues.
    listen(driver, acknowledged, 20'000, [&] { return acknowledged.engines.size() > 1; });
    CHECK(acknowledged.engines.size() > 1);
    const size_t n_said = acknowledged.said.size();
    listen(driver, acknowledged, 60'000, [&] { return acknowledged.said.size() > n_said; });
    CHECK(acknowledged.said.size() > n_said);
  }
  CHECK(driver.how_it_ended() == "");
  ::kill(driver.id(), SIGKILL);
  const int64_t killed_ms = std::chrono::duration_cast<Milliseconds>(Clock::now().time_since_epoch()).count();
  listen(driver, acknowledged, 5000, [] { return false; });
  CHECK(driver.wait(5000));
  check_chats(folder / "chats.sqlite", acknowledged, killed_ms);
  for (const int process : acknowledged.engines) CHECK(goes_away(process));
  return acknowledged;
}

/// Kills n times; the engines alternate.
void kill_many(int n, const std::vector<Engine>& engines) {
  const auto seed = static_cast<unsigned>(
      from_environment("HEADROOM_KILL_SEED", static_cast<int>(std::random_device()() & 0xffffff)));
  std::cout << n << " kills, HEADROOM_KILL_SEED=" << seed << std::endl;
  std::unique_ptr<Folder> folder;
  size_t n_said = 0, n_answers = 0, n_unfinished = 0;
  for (int i = 0; i < n; ++i) {
    // Ten kills share one folder, so that each starts from what the one before left behind.
    if (i % 10 == 0) folder = std::make_unique<Folder>();
    INFO("kill " << i << " with HEADROOM_KILL_SEED=" << seed);
    const Acknowledged acknowledged =
        kill_once(*folder, engines[static_cast<size_t>(i) % engines.size()], seed + static_cast<unsigned>(i));
    n_said += acknowledged.said.size();
    n_answers += acknowledged.answers.size();
    for (const auto& [id, answer] : acknowledged.answers) n_unfinished += !answer.finished;
  }
  std::cout << n_said << " messages acknowledged, " << n_answers << " answers, " << n_unfinished << " unfinished"
            << std::endl;
}

}  // namespace

TEST_CASE("killed at any moment with the fake engine: nothing that was acknowledged is lost", "[kill]") {
  const Engine quick{fake_engine("--tokens-per-second 300 --answer-tokens 60 --prefill-ms 10 --load-ms 8"),
                     "fake.gguf",
                     0,
                     300,
                     false,
                     false};
  // Long answers, killed after more than a second of text.
  const Engine slow{fake_engine("--tokens-per-second 100 --answer-tokens 5000"), "fake.gguf", 1500, 2500, false, true};
  std::vector<Engine> engines(9, quick);
  engines.push_back(slow);
  kill_many(from_environment("HEADROOM_KILLS", n_kills_by_default), engines);
}

TEST_CASE("killed at any moment with the real engine: nothing that was acknowledged is lost", "[kill]") {
  const std::optional<std::string> model = find_model(smollm2_file);
  if (!model || !std::filesystem::exists(HEADROOM_PROGRAM)) {
    WARN("skipped: " << (model ? HEADROOM_PROGRAM : smollm2_file) << " is not there");
    return;
  }
  kill_many(from_environment("HEADROOM_ENGINE_KILLS", n_engine_kills_by_default),
            {{std::string("exec '") + HEADROOM_PROGRAM + "' engine", *model, 0, 4000, true, false}});
}
