// Child processes: their streams, their last output, and how they end.
#include "engine/base/platform/process.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>

#include "engine/base/error.h"
#include "engine/base/platform/fd_io.h"

using namespace headroom;
using Catch::Matchers::Contains;

namespace {

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const Written written = write_some(fd, std::as_bytes(std::span(text)));
    REQUIRE(written.outcome != WriteOutcome::reader_gone);
    if (written.outcome == WriteOutcome::would_wait) REQUIRE(wait_writable(fd, 5000));
    text.remove_prefix(written.n_bytes);
  }
}

std::string read_all(int fd) {
  std::string text;
  std::byte buffer[4096];
  while (true) {
    REQUIRE(wait_readable(fd, 5000));
    const size_t n = read_some(fd, buffer);
    if (n == 0) return text;
    text.append(reinterpret_cast<const char*>(buffer), n);
  }
}

bool is_alive(int pid) {
  return kill(pid, 0) == 0;
}

}  // namespace

TEST_CASE("what is written to a child it reads, and the other way round") {
  const bool by_shell = GENERATE(false, true);
  ChildProcess process = by_shell ? ChildProcess::start_shell("cat") : ChildProcess::start({"/bin/cat"});
  write_all(process.input(), "over and back");
  CHECK(process.how_it_ended().empty());
  process.close_input();
  CHECK(read_all(process.output()) == "over and back");
  REQUIRE(process.wait(5000));
  CHECK(process.how_it_ended() == "ended with exit status 0");
}

TEST_CASE("a child's end is told in words, with the last it wrote to standard error") {
  ChildProcess failing = ChildProcess::start_shell("echo no such model >&2; exit 3");
  REQUIRE(failing.wait(5000));
  CHECK(failing.how_it_ended() == "ended with exit status 3");
  CHECK(read_all(failing.output()).empty());
  CHECK_THAT(failing.error_tail(), Contains("no such model"));

  ChildProcess killed = ChildProcess::start({"/bin/sleep", "60"});
  killed.kill();
  REQUIRE(killed.wait(5000));
  CHECK(killed.how_it_ended() == "was killed by signal 9 (out of memory?)");

  ChildProcess crashed = ChildProcess::start_shell("kill -SEGV $$");
  REQUIRE(crashed.wait(5000));
  CHECK_THAT(crashed.how_it_ended(), Contains("signal 11") && Contains("fault"));
}

TEST_CASE("a child that never stops writing to standard error is not held up, and its last 4 KiB stay") {
  ChildProcess process = ChildProcess::start_shell("for i in $(seq 20000); do echo line $i; done >&2; echo done");
  CHECK(read_all(process.output()) == "done\n");
  REQUIRE(process.wait(5000));
  CHECK(process.how_it_ended() == "ended with exit status 0");
  CHECK(process.error_tail().size() == 4096);
  CHECK_THAT(process.error_tail(), Catch::Matchers::EndsWith("line 20000\n"));
}

TEST_CASE("a program that cannot be started is a sentence") {
  CHECK_THROWS_WITH(ChildProcess::start({"/nowhere/headroom", "engine"}),
                    Contains("/nowhere/headroom") && Contains("No such"));
  CHECK_THROWS_WITH(ChildProcess::start({"/"}), Contains("cannot be started"));
  ChildProcess process = ChildProcess::start_shell("/nowhere/headroom engine");
  REQUIRE(process.wait(5000));
  CHECK(process.how_it_ended() == "ended with exit status 127");
  CHECK_THAT(process.error_tail(), Contains("/nowhere/headroom"));
}

TEST_CASE("its owner's end is a child's end within a second, deaf ones and their children too") {
  const auto start = std::chrono::steady_clock::now();
  int child = 0, grandchild = 0;
  {
    ChildProcess process = ChildProcess::start_shell("trap '' TERM HUP PIPE; sleep 60 & echo $!; wait; sleep 60");
    child = process.id();
    std::string line;
    while (line.find('\n') == std::string::npos) {
      REQUIRE(wait_readable(process.output(), 5000));
      std::byte byte;
      REQUIRE(read_some(process.output(), {&byte, 1}) == 1);
      line += static_cast<char>(byte);
    }
    grandchild = std::stoi(line);
    CHECK(is_alive(grandchild));
  }
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(2));
  CHECK_FALSE(is_alive(child));
  // It became a child of the system's first process, which may reap it later.
  for (int i = 0; i < 1000 && is_alive(grandchild); ++i) {
    std::string state;
    const Descriptor file(open(("/proc/" + std::to_string(grandchild) + "/stat").c_str(), O_RDONLY | O_CLOEXEC));
    if (file.get() < 0) break;
    char buffer[256] = {};
    if (read(file.get(), buffer, sizeof(buffer) - 1) > 0 && std::string(buffer).find(") Z") != std::string::npos) break;
    usleep(1000);
    REQUIRE(i < 999);
  }
}

TEST_CASE("a child gets no descriptors but its three") {
  const Descriptor extra(open("/dev/null", O_RDONLY));  // not closed on exec
  ChildProcess process = ChildProcess::start_shell("ls /proc/self/fd | wc -l");
  CHECK(read_all(process.output()) == "4\n");  // three, and the folder that ls reads
}

TEST_CASE("writing to a reader that is gone is an outcome, and to one that sleeps does not wait") {
  block_broken_pipe_signal();
  const bool by_pipe = GENERATE(true, false);
  auto [reader, writer] = by_pipe ? make_pipe() : make_socket_pair();
  std::vector<std::byte> bytes(1 << 20);
  Written written;
  size_t n_total = 0;
  while ((written = write_some(writer.get(), bytes)).outcome == WriteOutcome::written) n_total += written.n_bytes;
  CHECK(written.outcome == WriteOutcome::would_wait);
  CHECK(n_total > 1000);
  reader.close();
  CHECK(write_some(writer.get(), bytes).outcome == WriteOutcome::reader_gone);
}

TEST_CASE("a wakeup ends a wait, and stays") {
  auto [reader, writer] = make_pipe();
  Wakeup wakeup;
  CHECK_FALSE(wait_readable(reader.get(), 1, &wakeup));
  wakeup.wake();
  CHECK_FALSE(wait_readable(reader.get(), no_timeout, &wakeup));
  CHECK_FALSE(wait_readable(reader.get(), no_timeout, &wakeup));
}

TEST_CASE("the running program knows where it is") {
  CHECK_THAT(program_path(), Catch::Matchers::EndsWith("test_base"));
}
