// The engine process: Commands from one file descriptor ─► Session ─► Events to another. The calling thread reads
// commands, one thread runs the model (model_thread.h), one writes events (event_queue.h). The engine never waits for
// its reader.
#pragma once

#include <string>

namespace headroom {

/// Serves one stream until Quit, the end of the input, or until the reader is gone; returns within a second of it.
/// Returns an empty string if everything is in order, else a sentence with the reason; a client gets it as a Failure
/// too. Never throws or prints. version: the program's version, for Hello.
std::string serve(int in_fd, int out_fd, const std::string& version);

}  // namespace headroom
