// A folder for one test with a chat database in it; removed at the end. Reads and writes the file's bytes. Knows file
// names, no tables.
#pragma once

#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "app/chats/chat_store.h"

namespace headroom::test {

class ChatsFolder {
 public:
  ChatsFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "headroom-chats-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no folder for the test");
    folder_ = name;
  }
  ~ChatsFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  ChatsFolder(const ChatsFolder&) = delete;
  ChatsFolder& operator=(const ChatsFolder&) = delete;

  const std::string& folder() const { return folder_; }
  std::string path() const { return folder_ + "/chats.sqlite"; }
  ChatStore open() const { return ChatStore::open(path()); }

  std::string bytes(const std::string& suffix = "") const {
    std::ifstream file(path() + suffix, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void write(const std::string& bytes, const std::string& suffix = "") const {
    std::ofstream(path() + suffix, std::ios::binary | std::ios::trunc) << bytes;
  }
  bool exists(const std::string& suffix) const { return std::filesystem::exists(path() + suffix); }

  /// Runs SQL without the store, like another program.
  std::string sql(const std::string& statement) const {
    sqlite3* handle = nullptr;
    sqlite3_open(path().c_str(), &handle);
    std::string result;
    const auto take = [](void* text, int, char** values, char**) {
      *static_cast<std::string*>(text) += values[0] == nullptr ? "" : values[0];
      return 0;
    };
    char* message = nullptr;
    if (sqlite3_exec(handle, statement.c_str(), take, &result, &message) != SQLITE_OK) result = message;
    sqlite3_free(message);
    sqlite3_close(handle);
    return result;
  }

 private:
  std::string folder_;
};

/// Another process that works with the chats, then waits with its store open until it is killed.
class WaitingProcess {
 public:
  template <typename Work>
  WaitingProcess(const ChatsFolder& here, Work work) {
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    child_ = fork();
    REQUIRE(child_ >= 0);
    if (child_ == 0) {
      ChatStore store = here.open();
      work(store);
      if (::write(ends[1], "x", 1) != 1) _exit(3);
      for (;;) pause();
    }
    char ready = 0;
    REQUIRE(read(ends[0], &ready, 1) == 1);
    close(ends[0]);
    close(ends[1]);
  }
  ~WaitingProcess() { kill_now(); }
  WaitingProcess(const WaitingProcess&) = delete;
  WaitingProcess& operator=(const WaitingProcess&) = delete;

  void kill_now() {
    if (child_ <= 0) return;
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
    child_ = -1;
  }

 private:
  pid_t child_ = -1;
};

inline std::vector<std::string> contents(ChatStore& store, int64_t chat) {
  std::vector<std::string> texts;
  for (const StoredMessage& message : store.messages(chat)) texts.push_back(message.content);
  return texts;
}

}  // namespace headroom::test
