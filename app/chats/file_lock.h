// A lock on a file beside the database, held as long as the object lives. Only the first window gets it. The system
// frees it when the process ends, however it ends. Knows nothing of what it guards.
#pragma once

#include <optional>
#include <string>

namespace headroom {

class FileLock {
 public:
  /// Empty if another process or store holds it. Throws Error(io) if the lock file cannot be created.
  static std::optional<FileLock> try_take(const std::string& path);
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  ~FileLock();

 private:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

}  // namespace headroom
