// The program as a process, for what only a process has: descriptors, signals, a terminal. Shared by the tests of
// those; everything else is tested in this process (program.h).
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace headroom::test {

/// How a process ended, and what it wrote.
struct Ending {
  int exit_code = -1;       // -1: a signal ended it
  int signal_number = 0;    // that ended it
  bool was_killed = false;  // it did not end by itself in time
  std::string out, err;
};

struct RealProgramOptions {
  std::vector<std::string> args;
  std::vector<int> closed;            // descriptors that the program starts without
  std::string input;                  // on standard input
  std::function<void()> before_exec;  // in the child; system calls only
  int interrupt_after_output = 0;     // this signal is sent once something was written to standard output
};

/// Runs the program to its end, at most half a minute.
Ending run_real_program(const RealProgramOptions& options);

/// The program in a terminal of its own.
class TerminalProgram {
 public:
  explicit TerminalProgram(const std::vector<std::string>& args);
  ~TerminalProgram();  // kills it
  TerminalProgram(const TerminalProgram&) = delete;
  TerminalProgram& operator=(const TerminalProgram&) = delete;

  /// As keys, or as a terminal does it for a paste.
  void type(std::string_view bytes);
  void send_signal(int signal_number);
  /// Until the text was shown n times, at most half a minute; false then.
  bool wait_for(std::string_view text, size_t n = 1);
  size_t count(std::string_view text) const;
  const std::string& shown() const { return shown_; }
  /// The terminal takes whole lines, as a shell expects it.
  bool is_line_mode() const;
  bool wait_for_line_mode(bool expected) const;
  Ending wait_for_end();

 private:
  bool read_more(int timeout_ms);

  pid_t pid_ = -1;
  int terminal_ = -1;
  std::string shown_;
};

}  // namespace headroom::test
