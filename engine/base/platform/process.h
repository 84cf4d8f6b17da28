// A command ─► a child process whose standard input and output are ours (Linux). What it writes to standard error is
// kept, the last few KiB, so that whoever started it can say why it died. Knows nothing of what goes over the streams.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace headroom {

class ChildProcess {
 public:
  /// Runs args[0], a path, with both standard streams on one socket. It dies with the thread that calls this: call it
  /// from one that lives as long as the program. Throws Error(io) where the program cannot be started.
  static ChildProcess start(const std::vector<std::string>& args);
  /// `/bin/sh -c command` with a pipe for each stream. It has no terminal, so it cannot ask for a password there.
  static ChildProcess start_shell(const std::string& command);

  ChildProcess(ChildProcess&&) noexcept;
  ChildProcess& operator=(ChildProcess&&) noexcept;
  /// Closes the streams, kills what is left of it with all that it started, and takes leave of it within a second.
  ~ChildProcess();

  // Everything below may be called from several threads.
  int id() const;
  int output() const;  // what it writes is read from this descriptor
  int input() const;   // what is written to this one it reads; may be the same
  void close_input();  // it sees the end of its input
  void kill();
  /// True once it has ended; waits for that at most so long.
  bool wait(int timeout_ms);
  /// In words: "ended with exit status 1", "was killed by signal 9 (out of memory?)". Empty while it runs.
  std::string how_it_ended();
  /// The last 4 KiB that it wrote to standard error; of one that has ended, all that came.
  std::string error_tail() const;

 private:
  struct Impl;
  explicit ChildProcess(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// This process may end badly: where memory ends it goes before its parent, and it leaves no core file.
void become_expendable();

}  // namespace headroom
