// What a command reads from and writes to, so that it can run without a process of its own. Results go to `out`,
// everything else to `err`. main.cpp fills it from the standard streams, tests from strings.
#pragma once

#include <atomic>
#include <iosfwd>
#include <stdexcept>
#include <string>

namespace headroom {

/// Ctrl+C, shared with the signal handler. While `armed`, the first one only sets `requested`. A second one while
/// `requested` is still set ends the process, and so does any while not armed.
struct Interrupt {
  std::atomic<bool> armed{false};
  std::atomic<bool> requested{false};
  static_assert(std::atomic<bool>::is_always_lock_free);
};

struct Console {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  Interrupt& interrupt;
  bool in_is_terminal = false;
  bool out_is_terminal = false;
  bool err_is_terminal = false;
  bool use_colour = false;     // on `out`
  bool edit_lines = false;     // `in` and `err` are the process's own terminal, where lines can be edited
  bool error_as_json = false;  // --json was given and no object was written yet: an error is written as an object too
};

/// A signal asked the command to end, and its work is saved. The process then ends by that signal, because a shell ends
/// a loop only if the command died by SIGINT. what(): a sentence, or empty.
class EndedBySignal : public std::runtime_error {
 public:
  EndedBySignal(int signal_number, const std::string& sentence = "")
      : std::runtime_error(sentence), signal_number_(signal_number) {}
  int signal_number() const { return signal_number_; }

 private:
  int signal_number_;
};

/// While this object lives, Ctrl+C sets a request instead of ending the process. Nested inside another guard it changes
/// nothing, and a pending request stays.
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
