// Arguments ─► one command ─► exit code. The whole program but for what a process is: signals, locale, terminals.
#pragma once

#include <string>
#include <vector>

#include "app/streams.h"

namespace headroom {

/// What a shell shows for a process that a signal ended is this and the signal's number.
inline constexpr int signal_exit_base = 128;

/// args: without the program's name. 0: done; 1: run-time error; 2: the command line is wrong; above signal_exit_base:
/// a signal asked for the end, and the process is to end by it. Errors are one line on io.err, and with --json the
/// object
/// {"error": "..."} on io.out too.
int run_main(const std::vector<std::string>& args, Streams& io);

}  // namespace headroom
