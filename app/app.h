// Arguments ─► one command ─► exit code. The whole program but for what a process is: signals, locale, terminals.
#pragma once

#include <string>
#include <vector>

#include "app/streams.h"

namespace headroom {

/// args: without the program's name. 0: done; 1: run-time error; 2: the command line is wrong. Errors are one line on
/// io.err.
int run_main(const std::vector<std::string>& args, Streams& io);

}  // namespace headroom
