// A path ─► the bytes of a regular file (Linux). The kind is checked on the open descriptor, so that the file cannot be
// replaced between the check and the read.
#include "engine/base/platform/regular_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <span>

#include "engine/base/error.h"
#include "engine/base/platform/fd_io.h"

namespace headroom {
namespace {

const char* kind_of(mode_t mode) {
  return S_ISDIR(mode)    ? "a folder"
         : S_ISFIFO(mode) ? "a named pipe"
         : S_ISSOCK(mode) ? "a socket"
         : S_ISCHR(mode)  ? "a device"
         : S_ISBLK(mode)  ? "a device"
                          : "not a regular file";
}

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw Error(ErrorKind::io, path + " " + why);
}

void expect_regular(const std::string& path, const struct stat& status) {
  if (!S_ISREG(status.st_mode)) refuse(path, std::string("is ") + kind_of(status.st_mode) + ", expected a file");
}

}  // namespace

bool regular_file_exists(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return false;
    refuse(path, std::string("cannot be examined: ") + std::strerror(errno));
  }
  expect_regular(path, status);
  return true;
}

std::optional<std::string> read_regular_file(const std::string& path, size_t max_bytes) {
  // Check before opening: opening a device can have effects.
  if (!regular_file_exists(path)) return std::nullopt;
  // If a named pipe replaces the file now, open without O_NONBLOCK would wait for a writer forever.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (file.get() < 0) refuse(path, std::string("cannot be opened: ") + std::strerror(errno));
  struct stat status {};
  if (fstat(file.get(), &status) != 0) refuse(path, std::string("cannot be examined: ") + std::strerror(errno));
  expect_regular(path, status);
  const auto n_bytes = static_cast<uint64_t>(status.st_size);
  const auto too_long = [&](const std::string& found) {
    refuse(path, "has " + found + " bytes, expected at most " + std::to_string(max_bytes));
  };
  if (n_bytes > max_bytes) too_long(std::to_string(n_bytes));
  // Read to the end and ignore the size: a file can grow while it is read, and files in /proc have size 0.
  std::string text;
  std::byte piece[16384];
  while (const size_t n = read_some(file.get(), piece)) {
    text.append(reinterpret_cast<const char*>(piece), n);
    if (text.size() > max_bytes) too_long("more than " + std::to_string(max_bytes));
  }
  return text;
}

}  // namespace headroom
