// A one-second test of a backend that depends on a third-party driver, run before the backend is trusted. It compares
// a product, the attention of a prompt and of a step, and an eviction with the results of another backend.
#pragma once

#include <string>

#include "engine/backend/backend.h"

namespace headroom {

/// A sentence that names the first operation whose result differs; empty if all agree. An Error of the tested backend
/// is returned as a sentence too. Neither backend may hold a cache.
std::string self_test(Backend& tested, Backend& trusted);

}  // namespace headroom
