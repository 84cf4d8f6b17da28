// File descriptors as byte streams (Linux): owning them, waiting for them, reading and writing without blocking on the
// other side. The engine's stream and its processes use it. It knows nothing about messages.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <utility>

namespace headroom {

/// Owns a file descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() { close(); }
  int get() const { return fd_; }
  /// Gives up ownership: the caller has to close the descriptor.
  int release() { return std::exchange(fd_, -1); }
  void close();

 private:
  int fd_ = -1;
};

/// Both ends, with close-on-exec set. Throw Error(io).
std::pair<Descriptor, Descriptor> make_pipe();
std::pair<Descriptor, Descriptor> make_socket_pair();

/// Wakes a thread that waits in wait_readable or wait_writable. It is never reset: later waits return at once.
class Wakeup {
 public:
  Wakeup();  // throws Error(io)
  void wake();
  int fd() const { return fd_.get(); }

 private:
  Descriptor fd_;
};

inline constexpr int no_timeout = -1;

/// wait_readable returns true if a read would return data, the end of input or an error; wait_writable is its
/// equivalent for writes. Both return false on timeout or if `wakeup` was woken (may be null).
bool wait_readable(int fd, int timeout_ms, const Wakeup* wakeup = nullptr);
bool wait_writable(int fd, int timeout_ms, const Wakeup* wakeup = nullptr);

/// Number of bytes read, at least 1; 0 at the end of the input, also if the other side reset the connection. Throws
/// Error(io).
size_t read_some(int fd, std::span<std::byte> to);

enum class WriteOutcome { written, would_wait, reader_gone };
struct Written {
  WriteOutcome outcome = WriteOutcome::written;
  size_t n_bytes = 0;
};
/// Writes what can be written without blocking, to a pipe, a socket or a file in any mode. Writes to a pipe raise
/// SIGPIPE if its reader is gone, unless the thread called block_broken_pipe_signal. A reader that is gone is an
/// outcome; any other failure throws Error(io).
Written write_some(int fd, std::span<const std::byte> bytes);

/// Blocks SIGPIPE in the calling thread, so that a write to a reader that is gone returns an outcome and does not end
/// the process.
void block_broken_pipe_signal();

/// Returns the real standard output, for a stream that nothing else may write to. From now on, what the program writes
/// to its standard output goes to standard error. Throws Error(io).
Descriptor take_standard_output();

/// Opens /dev/null for each of the descriptors 0, 1 and 2 that is closed. Otherwise a file opened later could get one
/// of these numbers and be used as standard input or output. Call it first in main. Afterwards reading from 0 returns
/// the end of the input, and writes to 2 are discarded. Writes to 1 fail, so that no result is lost silently.
/// Throws Error(io).
void open_closed_standard_descriptors();

/// Path of the running program.
std::string program_path();

}  // namespace headroom
