// How the program handles closed descriptors, signals and limits, and the modes of the files it writes.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <thread>

#include "app/end_signals.h"
#include "engine/base/platform/platform.h"
#include "tests/app/program.h"
#include "tests/app/real_program.h"
#include "tests/support/setting.h"

using namespace headroom;
using namespace headroom::test;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

std::vector<std::string> with_model(std::vector<std::string> args) {
  args.insert(args.end(), {"-m", tiny_model_path(), "--backend", "cpu", "-t", "1"});
  return args;
}

fs::perms mode_of(const std::string& path) {
  return fs::status(path).permissions() & fs::perms::all;
}

constexpr fs::perms owner_only = fs::perms::owner_read | fs::perms::owner_write;

/// Sets this process's handler of a signal for the time of a test.
template <int signal_number>
class Handling {
 public:
  explicit Handling(void (*handler)(int)) : old_(std::signal(signal_number, handler)) {}
  ~Handling() { std::signal(signal_number, old_); }

 private:
  void (*old_)(int);
};

/// Sets the umask to 0 for the time of a test, so that it hides no mode bits.
class OpenUmask {
 public:
  OpenUmask() : old_(umask(0)) {}
  ~OpenUmask() { umask(old_); }

 private:
  mode_t old_;
};

}  // namespace

TEST_CASE("a standard input that is closed reads as an empty one") {
  for (const std::vector<std::string>& args : {with_model({"tokenize"}),
                                               with_model({"run"}),
                                               with_model({"chat", "--terminal"}),
                                               with_model({"run", "-f", "-"}),
                                               with_model({"eval", "-f", "-", "-n", "2"}),
                                               {"engine"}}) {
    CAPTURE(args);
    const Ending empty = run_real_program({.args = args});
    const Ending closed = run_real_program({.args = args, .closed = {0}});
    CHECK(!closed.was_killed);
    CHECK(closed.exit_code == empty.exit_code);
    CHECK(closed.out.size() == empty.out.size());  // only the size: the engine's Hello contains its time
    CHECK(closed.err == empty.err);
    CHECK_THAT(closed.err, !Contains("filebuf"));
  }
}

TEST_CASE("results do not vanish into a standard output that is closed, and no file becomes one") {
  const std::string path = temporary_path("closed.hrtrace");
  const Ending run =
      run_real_program({.args = with_model({"run", "-p", "Hello", "-n", "3", "--trace", path}), .closed = {0, 1, 2}});
  CHECK(run.exit_code == 1);
  std::string magic(8, '\0');
  std::ifstream(path, std::ios::binary).read(magic.data(), 8);
  CHECK(magic == "HRTRACE\n");
  std::remove(path.c_str());
  CHECK(run_real_program({.args = with_model({"tokenize"}), .closed = {1}, .input = "Hello"}).exit_code == 1);
  const Ending silent = run_real_program({.args = with_model({"run", "-p", "Hello", "-n", "3"}), .closed = {2}});
  CHECK(silent.exit_code == 0);
  CHECK(!silent.out.empty());
}

TEST_CASE("a folder as standard input gets one sentence") {
  const auto take_folder = [] {
    close(0);
    open("/", O_RDONLY);
  };
  for (const std::vector<std::string>& args :
       {with_model({"run"}), with_model({"run", "-f", "-"}), with_model({"tokenize"})}) {
    const Ending ending = run_real_program({.args = args, .before_exec = take_folder});
    CAPTURE(args, ending.err);
    CHECK(ending.exit_code == 1);
    CHECK_THAT(ending.err, Contains("headroom: standard input cannot be read: Is a directory\n"));
    CHECK_THAT(ending.err, !Contains("filebuf"));
  }
}

TEST_CASE("a text from a pipe: one with a name is waited for, aloud; one without is read at once") {
  const std::string path = temporary_path("prompt.fifo");
  REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  std::thread writer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    std::ofstream(path) << "Hello" << std::flush;
  });
  const Outcome outcome = run_program(with_model({"profile", "-f", path, "--json"}));
  writer.join();
  std::remove(path.c_str());
  CHECK(outcome.exit_code == 0);
  CHECK_THAT(outcome.err, Contains("is a named pipe; waiting for a program that writes to it"));
  CHECK(outcome.json()["n_tokens"] == run_program(with_model({"profile", "-p", "Hello", "--json"})).json()["n_tokens"]);

  int ends[2];
  REQUIRE(pipe(ends) == 0);
  close(ends[1]);  // the writer is gone and wrote nothing
  const Outcome nothing = run_program(with_model({"run", "-f", "/dev/fd/" + std::to_string(ends[0])}));
  close(ends[0]);
  CHECK(nothing.exit_code == 1);
  CHECK_THAT(nothing.err, Contains("is empty"));
}

TEST_CASE("Ctrl+C ends run by the signal, with what there is of the answer") {
  const Ending text = run_real_program(
      {.args = with_model({"run", "-p", "Hello", "-n", "4000", "-c", "4096"}), .interrupt_after_output = SIGINT});
  CHECK(text.signal_number == SIGINT);
  CHECK(!text.out.empty());
  CHECK_THAT(text.err, Contains("cancelled"));
}

TEST_CASE("a window hears of a signal, and of none that it was started to ignore") {
  std::atomic<int> n_woken{0};
  {
    Handling<SIGHUP> ignored(SIG_IGN);
    const EndSignals signals([&] { ++n_woken; });
    kill(getpid(), SIGHUP);
    CHECK(signals.received() == 0);
    kill(getpid(), SIGTERM);
    for (int i = 0; i < 2000 && n_woken == 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    CHECK(signals.received() == SIGTERM);
    CHECK(n_woken == 1);
  }
  sigset_t mask;
  pthread_sigmask(SIG_BLOCK, nullptr, &mask);
  CHECK(sigismember(&mask, SIGTERM) == 0);
}

TEST_CASE("a limit on a file's size ends what is written, not the program") {
  const auto limit = [] {
    const rlimit small{2000, 2000};
    setrlimit(RLIMIT_FSIZE, &small);
  };
  const std::string path = temporary_path("limited.hrtrace");
  const Ending traced =
      run_real_program({.args = with_model({"run", "-p", "Hello", "-n", "3", "--trace", path}), .before_exec = limit});
  CHECK(traced.exit_code == 0);
  CHECK(!traced.out.empty());
  CHECK_THAT(traced.err, Contains("the recording ended") && Contains("File too large"));
  std::remove(path.c_str());

  const std::string out = temporary_path("limited.out");
  const Ending inspected = run_real_program({.args = {"inspect", tiny_model_path(), "--json"}, .before_exec = [&] {
                                               limit();
                                               close(1);
                                               open(out.c_str(), O_WRONLY | O_CREAT, 0600);
                                             }});
  CHECK(inspected.exit_code == 1);
  CHECK_THAT(inspected.err, Contains("cannot write to standard output"));
  std::remove(out.c_str());
}

TEST_CASE("set-up looks for models where the program does") {
  const std::string setup = (fs::path(HEADROOM_TEST_DATA).parent_path().parent_path() / "cmake/setup.sh").string();
  const auto set_up_cache = [&] {
    const std::string command = "bash -c 'set -euo pipefail; source " + setup + "; echo \"$cache\"'";
    std::FILE* output = popen(command.c_str(), "r");
    std::string text(4096, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), output));
    CHECK(pclose(output) == 0);
    return text;
  };
  for (const char* home : {static_cast<const char*>(nullptr), "relative", "/somewhere"}) {
    for (const char* cache : {static_cast<const char*>(nullptr), "", "relative", "/elsewhere"}) {
      const Setting home_setting("HOME", home), cache_setting("XDG_CACHE_HOME", cache);
      CHECK(set_up_cache() == cache_folder() + "\n");
    }
  }
}

TEST_CASE("what holds words of a conversation is for its owner alone") {
  const OpenUmask nothing_is_hidden;
  const std::string trace = temporary_path("private.hrtrace"), state = temporary_path("private.state");
  CHECK(run_program(with_model({"run", "-p", "Hello", "-n", "3", "--trace", trace})).exit_code == 0);
  CHECK(mode_of(trace) == owner_only);
  CHECK(run_program(with_model({"eval", "-p", "Hello you", "-n", "2", "--config", "streaming", "--resume", state}))
            .exit_code == 0);
  CHECK(mode_of(state) == owner_only);
  std::remove(trace.c_str());
  std::remove(state.c_str());
}
