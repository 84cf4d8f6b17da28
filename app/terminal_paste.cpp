// Bracketed paste on and off, with the signals that end or stop a process. See terminal_paste.h.
#include "app/terminal_paste.h"

#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace headroom {
namespace {

constexpr std::string_view ask = "\x1b[?2004h", take_back = "\x1b[?2004l";
constexpr int ends[] = {SIGHUP, SIGTERM, SIGQUIT};
constexpr int stops[] = {SIGTSTP, SIGCONT};

volatile sig_atomic_t is_asked = 0;
bool has_modes = false;
termios modes;  // before a line was edited

void tell(std::string_view sequence) {
  [[maybe_unused]] const ssize_t n = write(STDERR_FILENO, sequence.data(), sequence.size());
}

void on_end(int signal_number) {
  restore_terminal();
  signal(signal_number, SIG_DFL);
  raise(signal_number);
}

/// Turns the marks off while the job is stopped, since the shell does not expect them, and on again when it continues.
void on_stop(int signal_number) {
  const int saved_errno = errno;
  if (signal_number == SIGCONT) {
    tell(ask);
  } else {
    tell(take_back);
    raise(SIGSTOP);
  }
  errno = saved_errno;
}

/// A signal that is already handled or ignored stays so.
void handle(int signal_number, void (*handler)(int)) {
  struct sigaction action {};
  sigaction(signal_number, nullptr, &action);
  if (action.sa_handler != SIG_DFL) return;
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigaction(signal_number, &action, nullptr);
}

void leave(int signal_number, void (*handler)(int)) {
  struct sigaction action {};
  sigaction(signal_number, nullptr, &action);
  if (action.sa_handler == handler) signal(signal_number, SIG_DFL);
}

bool understands_sequences() {
  const char* terminal = std::getenv("TERM");
  return terminal == nullptr || std::strcmp(terminal, "dumb") != 0;
}

}  // namespace

BracketedPaste::BracketedPaste() {
  if (!understands_sequences()) return;
  has_modes = tcgetattr(STDIN_FILENO, &modes) == 0;
  is_asked = 1;
  for (const int signal_number : ends) handle(signal_number, on_end);
  for (const int signal_number : stops) handle(signal_number, on_stop);
  tell(ask);
}

BracketedPaste::~BracketedPaste() {
  if (is_asked == 0) return;
  for (const int signal_number : stops) leave(signal_number, on_stop);
  for (const int signal_number : ends) leave(signal_number, on_end);
  tell(take_back);
  is_asked = 0;
}

void restore_terminal() {
  if (is_asked == 0) return;
  tell(take_back);
  if (has_modes) tcsetattr(STDIN_FILENO, TCSANOW, &modes);
}

}  // namespace headroom
