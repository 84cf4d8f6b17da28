// A lock on a file beside the database, held as long as the object lives: it tells the first window from the second.
// The system frees it when the process ends, however it ends. Knows nothing of what it guards.
#pragma once

#include <optional>
#include <string>

namespace headroom {

class FileLock {
 public:
  /// Nothing where another holds it. Throws Error(io) where the lock file cannot be made.
  static std::optional<FileLock> try_take(const std::string& path);
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  ~FileLock();

 private:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

}  // namespace headroom
