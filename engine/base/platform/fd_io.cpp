// Reading, writing and waiting on the descriptors of pipes, sockets and files. See fd_io.h.
#include "engine/base/platform/fd_io.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

#include "engine/base/error.h"

namespace headroom {
namespace {

[[noreturn]] void refuse(const std::string& what) {
  throw Error(ErrorKind::io, what + ": " + std::strerror(errno));
}

bool wait_for(int fd, short events, int timeout_ms, const Wakeup* wakeup) {
  pollfd watched[2] = {{fd, events, 0}, {wakeup != nullptr ? wakeup->fd() : -1, POLLIN, 0}};
  int n_ready = 0;
  do n_ready = poll(watched, 2, timeout_ms);
  while (n_ready < 0 && errno == EINTR);
  return n_ready > 0 && watched[0].revents != 0 && watched[1].revents == 0;
}

}  // namespace

void Descriptor::close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

std::pair<Descriptor, Descriptor> make_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) refuse("the system refused a pipe");
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

std::pair<Descriptor, Descriptor> make_socket_pair() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) refuse("the system refused a socket pair");
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

Wakeup::Wakeup() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (fd_.get() < 0) refuse("the system refused an event descriptor");
}

void Wakeup::wake() {
  const uint64_t one = 1;
  // The write fails only if the counter is full (2^64 wakes), and then the descriptor is readable anyway.
  [[maybe_unused]] const ssize_t n = write(fd_.get(), &one, sizeof(one));
}

bool wait_readable(int fd, int timeout_ms, const Wakeup* wakeup) {
  return wait_for(fd, POLLIN, timeout_ms, wakeup);
}

bool wait_writable(int fd, int timeout_ms, const Wakeup* wakeup) {
  return wait_for(fd, POLLOUT, timeout_ms, wakeup);
}

size_t read_some(int fd, std::span<std::byte> to) {
  while (true) {
    const ssize_t n = read(fd, to.data(), to.size());
    if (n >= 0) return static_cast<size_t>(n);
    if (errno == ECONNRESET) return 0;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
      wait_readable(fd, no_timeout);
    else if (errno != EINTR)
      refuse("the input could not be read");
  }
}

Written write_some(int fd, std::span<const std::byte> bytes) {
  while (true) {
    ssize_t n = send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == ENOTSOCK) {
      // A writable pipe accepts PIPE_BUF bytes without blocking. O_NONBLOCK would change the pipe for every process
      // that shares it.
      if (!wait_writable(fd, 0)) return {WriteOutcome::would_wait, 0};
      n = write(fd, bytes.data(), std::min<size_t>(bytes.size(), PIPE_BUF));
    }
    if (n >= 0) return {WriteOutcome::written, static_cast<size_t>(n)};
    if (errno == EAGAIN || errno == EWOULDBLOCK) return {WriteOutcome::would_wait, 0};
    if (errno == EPIPE || errno == ECONNRESET) return {WriteOutcome::reader_gone, 0};
    if (errno != EINTR) refuse("the output could not be written");
  }
}

void block_broken_pipe_signal() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

Descriptor take_standard_output() {
  Descriptor output(fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
  if (output.get() < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) refuse("the standard output cannot be used");
  return output;
}

void open_closed_standard_descriptors() {
  // open returns the lowest free number, so opening in ascending order gives each its own number.
  for (const auto& [fd, flags] :
       {std::pair(STDIN_FILENO, O_RDONLY), std::pair(STDOUT_FILENO, O_RDONLY), std::pair(STDERR_FILENO, O_RDWR)}) {
    if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    if (open("/dev/null", flags) != fd)
      refuse("descriptor " + std::to_string(fd) + " is closed and /dev/null cannot be opened for it");
  }
}

std::string program_path() {
  char path[PATH_MAX];
  const ssize_t n = readlink("/proc/self/exe", path, sizeof(path));
  if (n <= 0) refuse("the path of this program is not known");
  return {path, static_cast<size_t>(n)};
}

}  // namespace headroom
