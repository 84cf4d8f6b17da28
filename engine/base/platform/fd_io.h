// File descriptors as streams of bytes (Linux): owning them, waiting for them, reading and writing without being
// stopped by the other side. Under the engine's stream and the processes that carry it; knows no message.
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
  /// From now on whoever asked has to close it.
  int release() { return std::exchange(fd_, -1); }
  void close();

 private:
  int fd_ = -1;
};

/// Both ends, closed on exec. Throw Error(io).
std::pair<Descriptor, Descriptor> make_pipe();
std::pair<Descriptor, Descriptor> make_socket_pair();

/// Wakes a thread that waits in wait_readable; stays awake.
class Wakeup {
 public:
  Wakeup();  // throws Error(io)
  void wake();
  int fd() const { return fd_.get(); }

 private:
  Descriptor fd_;
};

inline constexpr int no_timeout = -1;

/// True where reading would give something, the end or an error; false after the time, or where `wakeup` was woken
/// (null: nobody does).
bool wait_readable(int fd, int timeout_ms, const Wakeup* wakeup = nullptr);
bool wait_writable(int fd, int timeout_ms, const Wakeup* wakeup = nullptr);

/// Bytes read, at least one; 0 at the end of the input, also where the other side broke off. Throws Error(io).
size_t read_some(int fd, std::span<std::byte> to);

enum class WriteOutcome { written, would_wait, reader_gone };
struct Written {
  WriteOutcome outcome = WriteOutcome::written;
  size_t n_bytes = 0;
};
/// Writes what can be written at once, to pipes, sockets and files alike, whatever their mode is; no SIGPIPE is left
/// behind. Throws Error(io) for anything but a reader that is gone.
Written write_some(int fd, std::span<const std::byte> bytes);

/// Keeps SIGPIPE from the calling thread, so that a write to a reader that is gone is an outcome and not the end.
void block_broken_pipe_signal();

/// From now on everything that the program writes to its standard output goes to standard error; gives the real
/// standard output, for a stream that nothing else may write to. Throws Error(io).
Descriptor take_standard_output();

/// Opens /dev/null for each of the descriptors 0, 1 and 2 that is closed, so that no file which is opened later takes
/// one of their numbers and is then read as input or written as output. To be called first thing in main. Reading 0
/// gives the end of the input then; writing to 1 fails, so that results are not lost in silence; what goes to 2 goes
/// nowhere. Throws Error(io).
void open_closed_standard_descriptors();

/// Path of the running program.
std::string program_path();

}  // namespace headroom
