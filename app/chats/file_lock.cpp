// Uses flock. The lock belongs to the open file, not to the process. So a second store in the same process is refused
// too, and closing the database's own descriptors cannot release it. Child processes do not inherit it.
#include "app/chats/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "engine/base/error.h"
#include "engine/base/platform/regular_file.h"

namespace headroom {

std::optional<FileLock> FileLock::try_take(const std::string& path) {
  regular_file_exists(path);
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
  if (descriptor < 0) throw Error(ErrorKind::io, path + " cannot be written: " + std::strerror(errno));
  FileLock lock(descriptor);
  if (flock(descriptor, LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno == EWOULDBLOCK) return std::nullopt;
  throw Error(ErrorKind::io, path + " cannot be locked: " + std::strerror(errno));
}

FileLock::FileLock(FileLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace headroom
