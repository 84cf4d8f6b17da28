// Runs the program as a real process, for tests of descriptors, signals and the terminal. Everything else is tested
// inside the test's own process (program.h).
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
  int signal_number = 0;    // the signal that ended it
  bool was_killed = false;  // it did not end in time, so the test killed it
  std::string out, err;
};

struct RealProgramOptions {
  std::string program{};  // empty: headroom
  std::vector<std::string> args{};
  std::vector<int> closed{};            // descriptors that the program starts without
  std::string input{};                  // on standard input
  std::function<void()> before_exec{};  // in the child; system calls only
  int interrupt_after_output = 0;       // a signal to send once there is standard output; 0: none
};

/// Runs the program to its end, for at most half a minute.
Ending run_real_program(const RealProgramOptions& options);

/// The program in a terminal of its own.
class TerminalProgram {
 public:
  explicit TerminalProgram(const std::vector<std::string>& args);
  ~TerminalProgram();  // kills it
  TerminalProgram(const TerminalProgram&) = delete;
  TerminalProgram& operator=(const TerminalProgram&) = delete;

  /// Sends bytes as a terminal does for keys and pastes.
  void type(std::string_view bytes);
  void send_signal(int signal_number);
  /// Waits until the text was shown n times; false after half a minute.
  bool wait_for(std::string_view text, size_t n = 1);
  /// libedit shows its prompt before it takes the terminal out of line mode, which changes what is typed ahead.
  bool wait_for_first_prompt();
  size_t count(std::string_view text) const;
  const std::string& shown() const { return shown_; }
  /// Whether the terminal is in line mode, as a shell expects.
  bool is_line_mode() const;
  Ending wait_for_end();

 private:
  bool read_more(int timeout_ms);

  pid_t pid_ = -1;
  int terminal_ = -1;
  std::string shown_;
};

}  // namespace headroom::test
