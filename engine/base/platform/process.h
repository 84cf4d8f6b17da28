// A command ─► a child process whose standard input and output we hold (Linux). The last 4 KiB of its standard error
// are kept, so that the caller can say why it died. This file knows nothing about the data on the streams.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace headroom {

class ChildProcess {
 public:
  /// Runs args[0] (a path) with standard input and output on one socket. The child is killed when the calling thread
  /// ends, so call it from a thread that lives as long as the program. Throws Error(io) if the program cannot start.
  static ChildProcess start(const std::vector<std::string>& args);
  /// Runs `/bin/sh -c command` with one pipe per stream. The child has no terminal, so it cannot ask for a password.
  static ChildProcess start_shell(const std::string& command);

  ChildProcess(ChildProcess&&) noexcept;
  ChildProcess& operator=(ChildProcess&&) noexcept;
  /// Closes the streams, kills the child and every process of its group, and waits for the end, at most a second.
  ~ChildProcess();

  // Everything below may be called from several threads.
  int id() const;
  int output() const;  // descriptor to read the child's output from
  int input() const;   // descriptor to write the child's input to; may be the same as output()
  void close_input();  // the child then sees the end of its input
  void kill();
  /// Waits at most timeout_ms; returns true if the child has ended.
  bool wait(int timeout_ms);
  /// For example "ended with exit status 1" or "was killed by signal 9 (out of memory?)". Empty while the child runs.
  std::string how_it_ended();
  /// The last 4 KiB that the child has written to standard error.
  std::string error_tail() const;

 private:
  struct Impl;
  explicit ChildProcess(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Makes this process the first to be killed when memory runs out, before its parent, and disables its core file.
void become_expendable();

}  // namespace headroom
