// How long work is cancelled: its caller passes a StopQuestion, the work calls it now and then, and the caller catches
// Cancelled.
#pragma once

#include <functional>

namespace headroom {

/// Returns true if the work is no longer wanted. An empty function is never called.
using StopQuestion = std::function<bool()>;

/// Thrown by work whose StopQuestion returned true. Whoever passed the question catches it.
struct Cancelled {};

}  // namespace headroom
