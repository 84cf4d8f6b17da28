// `headroom engine`: the engine process on its standard streams, for a window here or on another machine.
#include <unistd.h>

#include "app/command_line.h"
#include "app/commands.h"
#include "engine/base/error.h"
#include "engine/base/platform/fd_io.h"
#include "engine/serve/serve.h"

namespace headroom {

void engine_command(const Arguments& args, Console& io) {
  CommandLine line("engine",
                   "The engine without a window: commands on standard input, events on standard output, both in the\n"
                   "form of Headroom's stream. The window starts it by itself; this is for one on another machine.",
                   "  headroom chat --engine \"ssh gpubox headroom engine\"");
  line.parse(args, io);
  if (io.in_is_terminal || io.out_is_terminal)
    throw UsageError("engine speaks to a window and not to a terminal; `headroom chat --engine COMMAND` starts it");
  // Only the stream may reach the other side, even if a library prints something.
  const Descriptor output = take_standard_output();
  const std::string failure = serve(STDIN_FILENO, output.get(), HEADROOM_VERSION);
  if (!failure.empty()) throw Error(failure);
}

}  // namespace headroom
