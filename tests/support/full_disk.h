// Simulates a full disk while the object lives: files of this process end at a size, and a write behind it fails.
#pragma once

#include <sys/resource.h>

#include <csignal>
#include <cstdint>

namespace headroom::test {

class FullDisk {
 public:
  explicit FullDisk(uint64_t max_file_bytes) : previous_action_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &previous_);
    const rlimit limit{max_file_bytes, previous_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FullDisk() {
    setrlimit(RLIMIT_FSIZE, &previous_);
    std::signal(SIGXFSZ, previous_action_);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 private:
  rlimit previous_{};
  void (*previous_action_)(int);
};

}  // namespace headroom::test
