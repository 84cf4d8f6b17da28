// The CPU backend: class Backend with vectorised, threaded operations on host memory. Runs where no GPU does.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "engine/backend/backend.h"

namespace headroom {

struct CpuOptions {
  int n_threads = 0;          // 0: physical cores
  size_t kv_limit_bytes = 0;  // slabs beyond it are refused with Error(out_of_memory); 0: no limit
};

/// Throws Error where HEADROOM_CPU names instructions that this processor does not have.
std::unique_ptr<Backend> make_cpu_backend(const CpuOptions& options = {});

/// "AVX-512 VNNI, 2 threads"
std::string cpu_device_title(int n_threads);

}  // namespace headroom
