// The process around the commands: Ctrl+C, the locale's characters, which standard stream is a terminal.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <clocale>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include "app/app.h"
#include "app/terminal_paste.h"
#include "engine/backend/registry.h"
#include "engine/base/platform/fd_io.h"
#include "engine/base/platform/platform.h"

namespace {

headroom::Interrupt interrupt;

/// Ends the process the way the signal does without a handler.
void end_by(int signal_number) {
  signal(signal_number, SIG_DFL);
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, signal_number);
  raise(signal_number);
  pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
}

/// The first Ctrl+C of an answer asks it to stop; every other one ends the process as usual.
void on_interrupt(int signal_number) {
  if (interrupt.armed && !interrupt.requested) {
    interrupt.requested = true;
    return;
  }
  headroom::restore_terminal();
  end_by(signal_number);
}

bool wants_colour() {
  const char* no_colour = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  const bool refused = no_colour != nullptr && *no_colour != '\0';
  return !refused && terminal != nullptr && std::strcmp(terminal, "dumb") != 0;
}

}  // namespace

int main(int n_args, char** args) {
  try {
    headroom::open_closed_standard_descriptors();
  } catch (const std::exception& error) {
    std::cerr << "headroom: " << error.what() << std::endl;
    return 1;
  }
  signal(SIGXFSZ, SIG_IGN);  // exceeding the file size limit is then a write error, like a full disk
  // A child process queries the Vulkan drivers, since they may crash; this may be that child. It ends by _Exit, so that
  // no driver code runs at exit.
  constexpr const char* probe_command = "probe-vulkan";
  if (n_args == 3 && std::strcmp(args[1], probe_command) == 0) {
    headroom::answer_probe(args[2]);
    std::_Exit(0);
  }
  headroom::set_probe_program({"/proc/self/exe", probe_command});
  headroom::return_large_blocks_to_system();
  // Only LC_CTYPE: numbers keep the format of the C locale.
  if (std::setlocale(LC_CTYPE, "") == nullptr || MB_CUR_MAX < 4) std::setlocale(LC_CTYPE, "C.UTF-8");

  struct sigaction action {};
  action.sa_handler = on_interrupt;  // without SA_RESTART, so that reading a line ends too
  sigaction(SIGINT, &action, nullptr);

  std::ios::sync_with_stdio(false);
  const bool in_is_terminal = isatty(STDIN_FILENO) == 1;
  const bool out_is_terminal = isatty(STDOUT_FILENO) == 1;
  const bool err_is_terminal = isatty(STDERR_FILENO) == 1;
  headroom::Console io{.in = std::cin,
                       .out = std::cout,
                       .err = std::cerr,
                       .interrupt = interrupt,
                       .in_is_terminal = in_is_terminal,
                       .out_is_terminal = out_is_terminal,
                       .err_is_terminal = err_is_terminal,
                       .use_colour = out_is_terminal && wants_colour(),
                       .edit_lines = in_is_terminal && err_is_terminal};
  const int exit_code = headroom::run_main(std::vector<std::string>(args + std::min(n_args, 1), args + n_args), io);
  if (exit_code > headroom::signal_exit_base) end_by(exit_code - headroom::signal_exit_base);
  return exit_code;
}
