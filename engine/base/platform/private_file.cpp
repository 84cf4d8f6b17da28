// Creates files and folders with the modes that private files need. See private_file.h.
#include "engine/base/platform/private_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "engine/base/error.h"

namespace headroom {
namespace {

constexpr mode_t file_mode = S_IRUSR | S_IWUSR;
constexpr mode_t folder_mode = S_IRWXU;
constexpr mode_t others = S_IRWXG | S_IRWXO;

[[noreturn]] void refuse_file(const std::string& what) {
  throw Error(ErrorKind::io, what + ": " + std::strerror(errno));
}

bool is_folder(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

}  // namespace

void make_private_folders(const std::string& path) {
  for (size_t end = 0; end < path.size();) {
    end = std::min(path.find('/', end + 1), path.size());
    const std::string part = path.substr(0, end);
    // EEXIST alone is not enough: something other than a folder may have this name.
    if (mkdir(part.c_str(), folder_mode) != 0 && !is_folder(part))
      refuse_file("the folder " + part + " cannot be created");
  }
}

void own_private_folder(const std::string& path) {
  make_private_folders(path);
  const Descriptor folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  close_to_others(folder.get());
}

Descriptor create_new_private_file(const std::string& path) {
  Descriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, file_mode));
  if (file.get() < 0) refuse_file(path + " could not be created");
  return file;
}

void ensure_private_file(const std::string& path) {
  const Descriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, file_mode));
  // ENXIO: the path is a named pipe without a reader yet. That is accepted; a later write waits for the reader.
  if (file.get() < 0 && errno != ENXIO) refuse_file("cannot write " + path);
}

void close_to_others(int fd) {
  struct stat status {};
  if (fd < 0 || fstat(fd, &status) != 0 || status.st_uid != geteuid() || (status.st_mode & others) == 0) return;
  // On a file system without modes fchmod fails; nothing can be restricted there.
  [[maybe_unused]] const int result = fchmod(fd, status.st_mode & 07777 & ~others);
}

void write_private_file(const std::string& path, const std::string& text) {
  const std::string fresh = path + ".new";
  unlink(fresh.c_str());  // left by a crash
  {
    const Descriptor file = create_new_private_file(fresh);
    for (size_t done = 0; done < text.size();) {
      const ssize_t n = write(file.get(), text.data() + done, text.size() - done);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) refuse_file("cannot write " + fresh);
      done += static_cast<size_t>(n);
    }
  }
  if (std::rename(fresh.c_str(), path.c_str()) != 0) refuse_file("cannot write " + path);
}

}  // namespace headroom
