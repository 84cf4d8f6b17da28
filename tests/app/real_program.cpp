// Starts the program with fork and exec. See real_program.h.
#include "tests/app/real_program.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "engine/base/platform/fd_io.h"

namespace headroom::test {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto patience = std::chrono::seconds(30);

/// Resets signals that the parent of the tests ignores (nohup ignores SIGHUP), since the program would inherit that.
void take_default_signals() {
  for (const int signal_number : {SIGHUP, SIGINT, SIGQUIT, SIGTERM}) signal(signal_number, SIG_DFL);
}

/// They point into what is given.
std::vector<char*> arguments(const std::string& program, const std::vector<std::string>& args) {
  std::vector<char*> list{const_cast<char*>(program.c_str())};
  for (const std::string& arg : args) list.push_back(const_cast<char*>(arg.c_str()));
  list.push_back(nullptr);
  return list;
}

Ending wait_for(pid_t pid) {
  Ending ending;
  int status = 0;
  const auto end = Clock::now() + patience;
  while (waitpid(pid, &status, WNOHANG) == 0) {
    if (Clock::now() > end) {
      ending.was_killed = true;
      kill(pid, SIGKILL);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  if (WIFEXITED(status)) ending.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) ending.signal_number = WTERMSIG(status);
  return ending;
}

}  // namespace

Ending run_real_program(const RealProgramOptions& options) {
  auto [in_from, in_to] = make_pipe();
  auto [out_from, out_to] = make_pipe();
  auto [err_from, err_to] = make_pipe();
  const std::string program = options.program.empty() ? HEADROOM_PROGRAM : options.program;
  const std::vector<char*> args = arguments(program, options.args);
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(in_from.get(), 0);
    dup2(out_to.get(), 1);
    dup2(err_to.get(), 2);
    for (const int fd : options.closed) close(fd);
    take_default_signals();
    if (options.before_exec) options.before_exec();
    execv(args[0], args.data());
    _exit(127);
  }
  in_from.close();
  out_to.close();
  err_to.close();
  std::string out, err;
  std::thread writer([&, to = std::move(in_to)]() mutable {
    block_broken_pipe_signal();
    [[maybe_unused]] const ssize_t n = write(to.get(), options.input.data(), options.input.size());
    to.close();
  });
  std::thread err_reader([&] {
    char block[4096];
    for (ssize_t n = 0; (n = read(err_from.get(), block, sizeof block)) > 0;) err.append(block, static_cast<size_t>(n));
  });
  std::thread out_reader([&] {
    char block[4096];
    for (ssize_t n = 0; (n = read(out_from.get(), block, sizeof block)) > 0;) {
      if (out.empty() && options.interrupt_after_output != 0) kill(pid, options.interrupt_after_output);
      out.append(block, static_cast<size_t>(n));
    }
  });
  Ending ending = wait_for(pid);
  for (std::thread* thread : {&writer, &err_reader, &out_reader}) thread->join();
  ending.out = std::move(out);
  ending.err = std::move(err);
  return ending;
}

TerminalProgram::TerminalProgram(const std::vector<std::string>& args) {
  const std::string program = HEADROOM_PROGRAM;
  const std::vector<char*> list = arguments(program, args);
  const winsize size{.ws_row = 24, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
  pid_ = forkpty(&terminal_, nullptr, nullptr, &size);
  if (pid_ == 0) {
    take_default_signals();
    setenv("TERM", "xterm", 1);
    setenv("HOME", "/nonexistent", 1);  // no ~/.editrc
    execv(list[0], list.data());
    _exit(127);
  }
}

TerminalProgram::~TerminalProgram() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  if (terminal_ >= 0) close(terminal_);
}

void TerminalProgram::type(std::string_view bytes) {
  // Read the output meanwhile; otherwise both sides would wait for each other.
  while (!bytes.empty()) {
    pollfd ready{terminal_, POLLIN | POLLOUT, 0};
    if (poll(&ready, 1, 30'000) <= 0) return;
    if ((ready.revents & POLLIN) != 0) read_more(0);
    if ((ready.revents & POLLOUT) != 0) {
      const ssize_t n = write(terminal_, bytes.data(), std::min<size_t>(bytes.size(), 512));
      if (n <= 0) return;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    if ((ready.revents & (POLLERR | POLLHUP)) != 0) return;
  }
}

void TerminalProgram::send_signal(int signal_number) {
  kill(pid_, signal_number);
}

bool TerminalProgram::read_more(int timeout_ms) {
  pollfd ready{terminal_, POLLIN, 0};
  if (poll(&ready, 1, timeout_ms) <= 0) return true;
  char block[4096];
  const ssize_t n = read(terminal_, block, sizeof block);
  if (n <= 0) return false;
  shown_.append(block, static_cast<size_t>(n));
  return true;
}

size_t TerminalProgram::count(std::string_view text) const {
  size_t n = 0;
  for (size_t at = shown_.find(text); at != std::string::npos; at = shown_.find(text, at + 1)) ++n;
  return n;
}

bool TerminalProgram::wait_for(std::string_view text, size_t n) {
  const auto end = Clock::now() + patience;
  while (count(text) < n && Clock::now() < end)
    if (!read_more(20)) break;
  return count(text) >= n;
}

bool TerminalProgram::is_line_mode() const {
  termios modes{};
  return tcgetattr(terminal_, &modes) == 0 && (modes.c_lflag & ICANON) != 0;
}

bool TerminalProgram::wait_for_first_prompt() {
  if (!wait_for("> ")) return false;
  const auto end = Clock::now() + patience;
  while (is_line_mode() && Clock::now() < end) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  return !is_line_mode();
}

Ending TerminalProgram::wait_for_end() {
  // Reading from the terminal fails once no process has it open.
  const auto end = Clock::now() + patience;
  while (Clock::now() < end && read_more(20)) {
  }
  Ending ending = test::wait_for(pid_);
  pid_ = -1;
  return ending;
}

}  // namespace headroom::test
