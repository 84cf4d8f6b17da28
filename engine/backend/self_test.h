// A second's work on a backend whose driver is somebody else's, before it is trusted: a product, the attention of a
// prompt and of a step, an eviction, against the same on another backend.
#pragma once

#include <string>

#include "engine/backend/backend.h"

namespace headroom {

/// The first operation whose result differs, as a sentence; empty where all agree. Neither backend may hold a cache.
/// Errors of the tested backend are such sentences too.
std::string self_test(Backend& tested, Backend& trusted);

}  // namespace headroom
