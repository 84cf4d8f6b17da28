// What a command reads from and writes to, so that it can be called without a process: results to `out`, everything
// else to `err`. Filled by main.cpp from the standard streams, by tests from strings.
#pragma once

#include <atomic>
#include <iosfwd>
#include <stdexcept>
#include <string>

namespace headroom {

/// Ctrl+C, shared with the signal handler. While `armed` the first one only sets `requested`; a second one that nobody
/// has taken up, or any while not armed, ends the process.
struct Interrupt {
  std::atomic<bool> armed{false};
  std::atomic<bool> requested{false};
  static_assert(std::atomic<bool>::is_always_lock_free);
};

struct Streams {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  Interrupt& interrupt;
  bool in_is_terminal = false;
  bool out_is_terminal = false;
  bool err_is_terminal = false;
  bool use_colour = false;     // on `out`
  bool edit_lines = false;     // `in` and `err` are the process's own terminal, so that lines can be edited there
  bool error_as_json = false;  // --json was given and no object is written yet: an error is one, too
};

/// A signal asked the command to end, and its work is put away. The process ends by that signal, so that whoever
/// started it sees so: a shell ends a loop only where the command died by SIGINT. what(): a sentence, or nothing.
class EndedBySignal : public std::runtime_error {
 public:
  EndedBySignal(int signal_number, const std::string& sentence = "")
      : std::runtime_error(sentence), signal_number_(signal_number) {}
  int signal_number() const { return signal_number_; }

 private:
  int signal_number_;
};

/// Ctrl+C asks instead of ending the process, as long as this lives. Inside another one it changes nothing: what was
/// asked for stays asked for.
class InterruptGuard {
 public:
  explicit InterruptGuard(Interrupt& interrupt) : interrupt_(interrupt), is_outer_(!interrupt.armed) {
    if (!is_outer_) return;
    interrupt_.requested = false;
    interrupt_.armed = true;
  }
  ~InterruptGuard() {
    if (is_outer_) interrupt_.armed = false;
  }
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

 private:
  Interrupt& interrupt_;
  bool is_outer_;
};

}  // namespace headroom
