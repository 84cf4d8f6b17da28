// The engine process: Commands from one file descriptor ─► Session ─► Events to another. One thread reads commands
// (this one), one runs the model (model_thread.h), one writes (event_queue.h); the engine never waits for its reader.
#pragma once

#include <string>

namespace headroom {

/// Serves one stream until Quit, the end of the input, or a reader that is gone; ends within a second of each. Empty
/// where it ended in order; else why not, in a sentence that the reader got as a Failure too. Never throws or prints.
/// version: of the program, for Hello.
std::string serve(int in_fd, int out_fd, const std::string& version);

}  // namespace headroom
