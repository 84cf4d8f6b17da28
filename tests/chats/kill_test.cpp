// A window that is killed at any moment: a child process writes and reports what the store acknowledged. The parent
// kills it and checks that all of that is stored.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <map>
#include <random>
#include <set>

#include "app/chats/chat_store.h"
#include "tests/chats/chats_folder.h"

using namespace headroom;
using namespace headroom::test;

namespace {

struct Report {
  enum Kind : int64_t { chat, user, begun, appended, finished, deleted } kind;
  int64_t id;
  int64_t n_bytes;
};

void report(int descriptor, Report::Kind kind, int64_t id, int64_t n_bytes = 0) {
  const Report what{kind, id, n_bytes};
  if (write(descriptor, &what, sizeof what) != sizeof what) _exit(3);
}

std::string user_text(int64_t seed) {
  return "message " + std::to_string(seed) + std::string(seed % 7000, 'u');
}

// Types, streams, saves, regenerates and deletes until it is killed.
[[noreturn]] void write_until_killed(const std::string& path, int descriptor, uint32_t seed) {
  ChatStore store = ChatStore::open(path);
  if (store.read_only()) _exit(4);
  for (std::mt19937 random(seed);;) {
    const int64_t chat = store.create_chat("chat");
    report(descriptor, Report::chat, chat);
    for (int turn = 0; turn < 4; ++turn) {
      const int64_t n_bytes = random() % 100'000;
      report(descriptor, Report::user, store.add_user_message(chat, user_text(n_bytes)), n_bytes);
      int64_t answer = 0;
      for (int attempt = 0; attempt < 2; ++attempt) {
        answer = store.begin_answer(chat, answer);  // the second one is another version of the first
        report(descriptor, Report::begun, answer);
        const int64_t n_tokens = random() % 40;
        for (int64_t token = 0; token < n_tokens; ++token) {
          store.append_answer(answer, "abcd", {static_cast<int32_t>(token)});
          report(descriptor, Report::appended, answer, 4 * (token + 1));
        }
        store.finish_answer(answer, MessageState::complete, "{}");
        report(descriptor, Report::finished, answer, 4 * n_tokens);
      }
    }
    if (random() % 4 == 0) {
      store.delete_chat(chat);
      store.purge_deleted();
      report(descriptor, Report::deleted, chat);
    }
  }
}

// Data that was acknowledged and must be stored.
struct Acknowledged {
  std::set<int64_t> chats;
  std::map<int64_t, std::pair<int64_t, std::string>> users;  // by message: chat, content
  std::map<int64_t, std::pair<int64_t, int64_t>> answers;    // by message: chat, bytes at least
  std::set<int64_t> finished;
  int64_t last_chat = 0;

  void take(const Report& report) {
    switch (report.kind) {
      case Report::chat:
        chats.insert(last_chat = report.id);
        break;
      case Report::user:
        users[report.id] = {last_chat, user_text(report.n_bytes)};
        break;
      case Report::begun:
        answers[report.id] = {last_chat, 0};
        break;
      case Report::finished:
        finished.insert(report.id);
        [[fallthrough]];
      case Report::appended:
        answers[report.id].second = report.n_bytes;
        break;
      case Report::deleted:
        forget(report.id);
        break;
    }
  }
  void forget(int64_t chat) {
    chats.erase(chat);
    std::erase_if(users, [&](const auto& entry) { return entry.second.first == chat; });
    std::erase_if(answers, [&](const auto& entry) { return entry.second.first == chat; });
  }
};

}  // namespace

TEST_CASE("a killed window loses nothing that was acknowledged") {
  const ChatsFolder here;
  Acknowledged acknowledged;
  std::mt19937 random(3);
  size_t n_users = 0;
  constexpr int n_rounds = 50;
  for (int round = 0; round < n_rounds; ++round) {
    INFO("round " << round);
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    const auto seed = static_cast<uint32_t>(random());
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      close(ends[0]);
      try {
        write_until_killed(here.path(), ends[1], seed);
      } catch (...) {
        _exit(5);
      }
    }
    close(ends[1]);
    // Wait for a number of reports, so that a slow disk tests as much as a fast one, then for a random short time.
    std::vector<Report> reports;
    Report next;
    const auto receive = [&] { return read(ends[0], &next, sizeof next) == sizeof next; };
    for (auto n_before = random() % 100; reports.size() < n_before && receive();) reports.push_back(next);
    usleep(static_cast<useconds_t>(random() % 3'000));
    kill(child, SIGKILL);
    while (receive()) reports.push_back(next);
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    REQUIRE(WIFSIGNALED(status));
    for (const Report& report : reports) acknowledged.take(report);

    ChatStore store = here.open();
    REQUIRE_FALSE(store.read_only());
    REQUIRE(store.note().empty());
    std::map<int64_t, StoredMessage> found;
    std::set<int64_t> chats, versions;
    for (const ChatSummary& chat : store.list()) {
      chats.insert(chat.id);
      for (const StoredMessage& message : store.messages(chat.id)) {
        CHECK(message.state != MessageState::streaming);
        found[message.id] = message;
        versions.insert(message.versions.begin(), message.versions.end());
        // The conversation continues from the second version. The first ones are checked in the last round only.
        if (message.versions.size() < 2 || round + 1 < n_rounds) continue;
        store.choose_version(chat.id, message.versions.front());
        found[message.versions.front()] = store.messages(chat.id).back();
        store.choose_version(chat.id, message.id);
      }
    }
    // The kill may fall between a deletion and its report.
    const int64_t last = acknowledged.last_chat;
    if (last != 0 && !chats.contains(last)) acknowledged.forget(last);
    for (const int64_t chat : acknowledged.chats) CHECK(chats.contains(chat));
    for (const auto& [id, user] : acknowledged.users) {
      const bool is_there = found.contains(id) && found[id].content == user.second;
      CHECK(is_there);
    }
    for (const auto& [id, answer] : acknowledged.answers) {
      REQUIRE(versions.contains(id));
      if (!found.contains(id)) continue;
      CHECK(static_cast<int64_t>(found[id].content.size()) >= answer.second);
      CHECK(found[id].ids.size() * 4 == found[id].content.size());
      if (acknowledged.finished.contains(id)) CHECK(found[id].state == MessageState::complete);
    }
    n_users = acknowledged.users.size();
    CHECK(here.sql("PRAGMA integrity_check") == "ok");
  }
  CHECK(n_users > 50);
}

TEST_CASE("a killed window frees the lock") {
  const ChatsFolder here;
  WaitingProcess other(here, [](ChatStore&) {});
  CHECK(here.open().read_only());
  other.kill_now();
  CHECK_FALSE(here.open().read_only());
}
