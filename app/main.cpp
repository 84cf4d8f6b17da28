// The process around the commands: Ctrl+C, the locale's characters, which standard stream is a terminal.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <clocale>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include "app/app.h"
#include "engine/base/platform/platform.h"

namespace {

headroom::Interrupt interrupt;

/// The first Ctrl+C of an answer asks it to stop; every other one ends the process as usual.
void on_interrupt(int signal_number) {
  if (interrupt.armed && !interrupt.requested) {
    interrupt.requested = true;
    return;
  }
  signal(signal_number, SIG_DFL);
  raise(signal_number);
}

bool wants_colour() {
  const char* no_colour = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  const bool refused = no_colour != nullptr && *no_colour != '\0';
  return !refused && terminal != nullptr && std::strcmp(terminal, "dumb") != 0;
}

}  // namespace

int main(int n_args, char** args) {
  headroom::return_large_blocks_to_system();
  // Characters only: numbers keep the C locale's form.
  if (std::setlocale(LC_CTYPE, "") == nullptr || MB_CUR_MAX < 4) std::setlocale(LC_CTYPE, "C.UTF-8");

  struct sigaction action {};
  action.sa_handler = on_interrupt;  // without SA_RESTART, so that reading a line ends too
  sigaction(SIGINT, &action, nullptr);

  std::ios::sync_with_stdio(false);
  const bool in_is_terminal = isatty(STDIN_FILENO) == 1;
  const bool out_is_terminal = isatty(STDOUT_FILENO) == 1;
  const bool err_is_terminal = isatty(STDERR_FILENO) == 1;
  headroom::Streams io{.in = std::cin,
                       .out = std::cout,
                       .err = std::cerr,
                       .interrupt = interrupt,
                       .in_is_terminal = in_is_terminal,
                       .out_is_terminal = out_is_terminal,
                       .err_is_terminal = err_is_terminal,
                       .use_colour = out_is_terminal && wants_colour(),
                       .edit_lines = in_is_terminal && err_is_terminal};
  return headroom::run_main(std::vector<std::string>(args + std::min(n_args, 1), args + n_args), io);
}
