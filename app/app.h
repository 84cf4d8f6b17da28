// Arguments ─► one command ─► exit code. The whole program except what belongs to the process: signals, locale,
// terminals.
#pragma once

#include <string>
#include <vector>

#include "app/console.h"

namespace headroom {

/// A shell reports a process that a signal ended as this plus the signal's number.
inline constexpr int signal_exit_base = 128;

/// args: without the program's name. 0: done; 1: run-time error; 2: the command line is wrong; above signal_exit_base:
/// a signal asked for the end, and the process must end by that signal. An error is one line on io.err. With --json it
/// is the object {"error": "..."} on io.out too.
int run_main(const std::vector<std::string>& args, Console& io);

}  // namespace headroom
