// The platform layer: mapped files that shrink, memory returned to the system, limits of a process.
#include "engine/base/platform/platform.h"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>

#include "engine/base/error.h"
#include "tests/support/gguf_writer.h"

using namespace headroom;
using namespace headroom::test;

namespace platform_test {
namespace {

class TemporaryFile {
 public:
  explicit TemporaryFile(size_t n_bytes) : path_(temporary_path("mapped")) {
    write_file(path_, Bytes(n_bytes, std::byte{7}));
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

int sum(std::span<const std::byte> bytes) {
  int total = 0;
  for (const std::byte byte : bytes) total += std::to_integer<int>(byte);
  return total;
}

}  // namespace

TEST_CASE("a mapped file is its bytes") {
  const TemporaryFile file(10'000);
  const MappedFile mapped = MappedFile::open(file.path());
  CHECK(mapped.path() == file.path());
  CHECK(mapped.bytes().size() == 10'000);
  CHECK(sum(mapped.bytes()) == 70'000);
  CHECK_FALSE(mapped.damaged());
  const TemporaryFile empty(0);
  CHECK(MappedFile::open(empty.path()).bytes().empty());
  CHECK_FALSE(MappedFile::open(empty.path()).damaged());
}

TEST_CASE("what cannot be mapped is an error with the path and the reason") {
  const auto sentence_of = [](const std::string& path) {
    try {
      MappedFile::open(path);
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::io);
      return std::string(error.what());
    }
    return std::string("mapped");
  };
  CHECK(sentence_of("/nowhere/at.all") == "/nowhere/at.all: cannot open the file: No such file or directory");
  CHECK(sentence_of("/tmp") == "/tmp: is not a regular file");
  CHECK(sentence_of("/dev/null") == "/dev/null: is not a regular file");
}

TEST_CASE("pages that a shrunken file has lost read as zeros and the mapping is damaged") {
  const TemporaryFile file(100'000);
  const TemporaryFile other(100'000);
  const MappedFile mapped = MappedFile::open(file.path());
  const MappedFile whole = MappedFile::open(other.path());
  std::filesystem::resize_file(file.path(), 4096);
  CHECK(sum(mapped.bytes()) == 4096 * 7);
  CHECK(mapped.damaged());
  CHECK_FALSE(whole.damaged());
  CHECK(sum(whole.bytes()) == 700'000);
}

TEST_CASE("a loss inside the last page raises no signal and is still noticed") {
  const TemporaryFile file(100);
  const MappedFile mapped = MappedFile::open(file.path());
  std::filesystem::resize_file(file.path(), 99);
  CHECK(mapped.damaged());
}

TEST_CASE("several threads may meet lost pages at once, and mappings may come and go meanwhile") {
  const TemporaryFile file(4'000'000);
  const MappedFile mapped = MappedFile::open(file.path());
  std::filesystem::resize_file(file.path(), 0);
  std::vector<int> sums(4, -1);
  std::vector<std::thread> threads;
  for (int& result : sums) threads.emplace_back([&mapped, &result] { result = sum(mapped.bytes()); });
  const TemporaryFile other(5000);
  for (int i = 0; i < 100; ++i) CHECK(sum(MappedFile::open(other.path()).bytes()) == 35'000);
  for (std::thread& thread : threads) thread.join();
  CHECK(sums == std::vector<int>(4, 0));
  CHECK(mapped.damaged());
}

TEST_CASE("a mapping can be moved") {
  const TemporaryFile file(5000);
  MappedFile first = MappedFile::open(file.path());
  MappedFile second = std::move(first);
  const TemporaryFile other(3000);
  first = MappedFile::open(other.path());
  second = std::move(first);
  CHECK(sum(second.bytes()) == 21'000);
}

TEST_CASE("a bus error elsewhere still ends the process by its signal") {
  const TemporaryFile file(5000);
  const MappedFile mapped = MappedFile::open(file.path());  // installs the handler
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    close(STDERR_FILENO);  // hides a sanitizer's report
    raise(SIGBUS);         // runs the handler, which finds no mapping and restores the default
    raise(SIGBUS);
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  // A sanitizer's handler, installed before ours, reports and exits with an error of its own.
  CHECK(((WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS) || (WIFEXITED(status) && WEXITSTATUS(status) != 0)));
}

TEST_CASE("memory from the system counts as resident when it is touched, and no longer when it is given back") {
  constexpr size_t n_bytes = size_t{64} << 20;
  const int64_t before = resident_bytes();
  CHECK(before > 0);
  std::byte* memory = map_memory(n_bytes);
  CHECK(std::to_integer<int>(memory[n_bytes - 1]) == 0);
  std::memset(memory, 1, n_bytes);
  CHECK(resident_bytes() >= before + static_cast<int64_t>(n_bytes) * 9 / 10);
  unmap_memory(memory, n_bytes);
  CHECK(resident_bytes() < before + static_cast<int64_t>(n_bytes) / 10);
}

TEST_CASE("memory that the system refuses is an error") {
  try {
    map_memory(size_t{1} << 62);
    FAIL("mapped");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::out_of_memory);
    CHECK_THAT(error.what(), Catch::Matchers::Contains("4611686018427387904 bytes"));
  }
}

TEST_CASE("cores and memory are plausible") {
  CHECK(physical_cores() >= 1);
  CHECK(physical_cores() <= static_cast<int>(std::thread::hardware_concurrency()));
  CHECK(available_memory_bytes() > 0);
  CHECK(resident_bytes() > 0);
}

TEST_CASE("folders follow the environment, where it is absolute") {
  const char* old_value = std::getenv("XDG_CACHE_HOME");
  const std::string old = old_value != nullptr ? old_value : "";
  setenv("XDG_CACHE_HOME", "/somewhere", 1);
  CHECK(cache_folder() == "/somewhere/headroom");
  setenv("XDG_CACHE_HOME", "relative", 1);
  CHECK(cache_folder() == home_folder() + "/.cache/headroom");
  unsetenv("XDG_CACHE_HOME");
  CHECK(cache_folder() == home_folder() + "/.cache/headroom");
  if (old_value != nullptr) setenv("XDG_CACHE_HOME", old.c_str(), 1);
  CHECK(home_folder().front() == '/');
}

}  // namespace platform_test
