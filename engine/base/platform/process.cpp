// fork, exec, and the end of a child. See process.h.
#include "engine/base/platform/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <fstream>
#include <mutex>
#include <thread>

#include "engine/base/error.h"
#include "engine/base/platform/fd_io.h"

namespace headroom {
namespace {

constexpr size_t error_tail_bytes = 4096;
constexpr int last_moments_ms = 800;
constexpr int last_words_ms = 100;  // how long to wait for the rest of a dead child's standard error

/// Everything that the child needs, prepared before fork. Between fork and exec, the child of a program with threads
/// may only make async-signal-safe calls.
struct ChildPlan {
  std::vector<char*> args;  // ends with null
  int in = -1, out = -1, err = -1, report = -1;
  bool dies_with_parent = false;
  pid_t parent = 0;
};

[[noreturn]] void become(const ChildPlan& plan) {
  // A session of its own lets the parent kill the whole group, and Ctrl+C in the terminal reaches only the parent.
  setsid();
  if (plan.dies_with_parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != plan.parent) _exit(127);  // the parent died before the line above
  }
  sigset_t no_signals;
  sigemptyset(&no_signals);
  sigprocmask(SIG_SETMASK, &no_signals, nullptr);
  signal(SIGPIPE, SIG_DFL);
  // Ignored signals stay ignored across exec, so they are reset here.
  for (const int ignored : {SIGINT, SIGXFSZ, SIGHUP, SIGTERM}) signal(ignored, SIG_DFL);
  // All descriptors of the plan are above 3 (see start_child), so no dup2 overwrites one that is still needed.
  dup2(plan.in, STDIN_FILENO);
  dup2(plan.out, STDOUT_FILENO);
  dup2(plan.err, STDERR_FILENO);
  const int report = dup2(plan.report, 3);
  fcntl(report, F_SETFD, FD_CLOEXEC);
  syscall(SYS_close_range, 4u, ~0u, 0u);
  execv(plan.args[0], plan.args.data());
  const int reason = errno;
  [[maybe_unused]] const ssize_t n = write(report, &reason, sizeof(reason));
  _exit(127);
}

/// A copy of the descriptor with a number above 3.
Descriptor lifted(Descriptor descriptor) {
  Descriptor high(fcntl(descriptor.get(), F_DUPFD_CLOEXEC, 4));
  if (high.get() < 0) throw Error(ErrorKind::io, std::string("no file descriptor is left: ") + std::strerror(errno));
  return high;
}

std::string status_in_words(int status) {
  if (WIFEXITED(status)) return "ended with exit status " + std::to_string(WEXITSTATUS(status));
  const int signal_number = WTERMSIG(status);
  std::string words = "was killed by signal " + std::to_string(signal_number);
  if (signal_number == SIGKILL) return words + " (out of memory?)";
  const char* name = sigdescr_np(signal_number);
  return name == nullptr ? words : words + " (" + name + ")";
}

}  // namespace

struct ChildProcess::Impl {
  pid_t pid = -1;
  Descriptor streams[2];  // [0]: its output; [1]: its input, or empty if both are one socket
  bool is_socket = false;
  Descriptor err;
  Wakeup stop_reading;
  std::mutex life_mutex;  // protects pid: after waitpid the number may belong to another process
  std::string ending;
  mutable std::mutex tail_mutex;
  std::string tail;
  bool tail_is_whole = false;
  std::condition_variable tail_changed;
  std::thread err_reader;

  ~Impl() {
    if (pid > 0) end();
    stop_reading.wake();
    if (err_reader.joinable()) err_reader.join();
  }

  void end() {
    streams[0].close();
    streams[1].close();
    kill_group();
    wait(last_moments_ms);
  }

  void kill_group() {
    const std::lock_guard lock(life_mutex);
    if (!ending.empty()) return;
    ::kill(-pid, SIGKILL);
    ::kill(pid, SIGKILL);  // in case the child has not called setsid yet
  }

  bool wait(int timeout_ms) {
    for (int waited_ms = 0; !has_ended(); ++waited_ms) {
      if (waited_ms >= timeout_ms) return false;
      poll(nullptr, 0, 1);
    }
    std::unique_lock lock(tail_mutex);
    tail_changed.wait_for(lock, std::chrono::milliseconds(last_words_ms), [&] { return tail_is_whole; });
    return true;
  }

  bool has_ended() {
    const std::lock_guard lock(life_mutex);
    if (!ending.empty()) return true;
    int status = 0;
    const pid_t found = waitpid(pid, &status, WNOHANG);
    if (found == 0 || (found < 0 && errno == EINTR)) return false;
    ending = found == pid ? status_in_words(status) : "ended; its exit status is not known";
    if (found == pid) ::kill(-pid, SIGKILL);  // processes that it started and left running
    return true;
  }

  void read_errors() {
    std::byte buffer[error_tail_bytes];
    try {
      while (wait_readable(err.get(), no_timeout, &stop_reading)) {
        const size_t n = read_some(err.get(), buffer);
        if (n == 0) break;
        const std::lock_guard lock(tail_mutex);
        tail.append(reinterpret_cast<const char*>(buffer), n);
        if (tail.size() > error_tail_bytes) tail.erase(0, tail.size() - error_tail_bytes);
      }
    } catch (const std::exception&) {  // what was read so far is kept
    }
    const std::lock_guard lock(tail_mutex);
    tail_is_whole = true;
    tail_changed.notify_all();
  }

  /// in, out: the child's ends.
  void start_child(std::vector<std::string> args, Descriptor in, Descriptor out, bool dies_with_parent) {
    auto [err_from, err_to] = make_pipe();
    auto [report_from, report_to] = make_pipe();
    const Descriptor high_in = lifted(std::move(in)), high_out = lifted(std::move(out)),
                     high_err = lifted(std::move(err_to));
    Descriptor high_report = lifted(std::move(report_to));
    ChildPlan plan{.args = {},
                   .in = high_in.get(),
                   .out = high_out.get(),
                   .err = high_err.get(),
                   .report = high_report.get(),
                   .dies_with_parent = dies_with_parent,
                   .parent = getpid()};
    for (std::string& arg : args) plan.args.push_back(arg.data());
    plan.args.push_back(nullptr);
    pid = fork();
    if (pid == 0) become(plan);
    if (pid < 0) throw Error(ErrorKind::io, std::string("the system refused a new process: ") + std::strerror(errno));
    high_report.close();
    int reason = 0;
    if (read_some(report_from.get(), std::as_writable_bytes(std::span(&reason, 1))) == sizeof(reason))
      throw Error(ErrorKind::io, args[0] + " cannot be started: " + std::strerror(reason));
    err = std::move(err_from);
    err_reader = std::thread([this] { read_errors(); });
  }
};

ChildProcess::ChildProcess(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ChildProcess::ChildProcess(ChildProcess&&) noexcept = default;
ChildProcess& ChildProcess::operator=(ChildProcess&&) noexcept = default;
ChildProcess::~ChildProcess() = default;

ChildProcess ChildProcess::start(const std::vector<std::string>& args) {
  auto impl = std::make_unique<Impl>();
  auto [ours, theirs] = make_socket_pair();
  impl->streams[0] = std::move(ours);
  impl->is_socket = true;
  Descriptor copy(fcntl(theirs.get(), F_DUPFD_CLOEXEC, 4));
  impl->start_child(args, std::move(theirs), std::move(copy), true);
  return ChildProcess(std::move(impl));
}

ChildProcess ChildProcess::start_shell(const std::string& command) {
  auto impl = std::make_unique<Impl>();
  auto [in_from, in_to] = make_pipe();
  auto [out_from, out_to] = make_pipe();
  impl->streams[0] = std::move(out_from);
  impl->streams[1] = std::move(in_to);
  impl->start_child({"/bin/sh", "-c", command}, std::move(in_from), std::move(out_to), false);
  return ChildProcess(std::move(impl));
}

int ChildProcess::id() const {
  return impl_->pid;
}

int ChildProcess::output() const {
  return impl_->streams[0].get();
}

int ChildProcess::input() const {
  return impl_->streams[impl_->is_socket ? 0 : 1].get();
}

void ChildProcess::close_input() {
  if (impl_->is_socket)
    shutdown(impl_->streams[0].get(), SHUT_WR);
  else
    impl_->streams[1].close();
}

void ChildProcess::kill() {
  impl_->kill_group();
}

bool ChildProcess::wait(int timeout_ms) {
  return impl_->wait(timeout_ms);
}

std::string ChildProcess::how_it_ended() {
  impl_->wait(0);
  const std::lock_guard lock(impl_->life_mutex);
  return impl_->ending;
}

std::string ChildProcess::error_tail() const {
  const std::lock_guard lock(impl_->tail_mutex);
  return impl_->tail;
}

void become_expendable() {
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  std::ofstream("/proc/self/oom_score_adj") << 1000;
}

}  // namespace headroom
