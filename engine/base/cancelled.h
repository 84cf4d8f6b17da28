// How long work is broken off: whoever asks for it gives a question that is asked now and then, and catches Cancelled.
#pragma once

#include <functional>

namespace headroom {

/// True: the work is no longer wanted. An empty one is never asked.
using StopQuestion = std::function<bool()>;

/// Thrown out of work that was told to stop; whoever gave the question catches it.
struct Cancelled {};

}  // namespace headroom
