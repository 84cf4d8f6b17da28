// Reads files, pipes and standard input, with a limit. See text_input.h.
#include "app/text_input.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <istream>
#include <ostream>
#include <vector>

#include "app/format.h"
#include "engine/base/error.h"
#include "engine/base/platform/fd_io.h"

namespace headroom {
namespace {

constexpr int silent_wait_ms = 300;
constexpr size_t block_bytes = size_t{64} << 10;

[[noreturn]] void refuse(const std::string& what, const std::string& reason) {
  throw Error(ErrorKind::io, what + (reason.empty() ? "" : ": " + reason));
}

void check_size(const std::string& name, size_t n_bytes, size_t max_bytes) {
  if (n_bytes > max_bytes)
    refuse(name + " has more than " + std::to_string(max_bytes) + " bytes, expected at most that many", "");
}

/// True for a named pipe. An unnamed one, such as the shell's <(command), already has its writer.
bool is_named_pipe(int fd, const struct stat& status) {
  constexpr decltype(statfs::f_type) pipe_file_system = 0x50495045;
  struct statfs system {};
  return S_ISFIFO(status.st_mode) && (fstatfs(fd, &system) != 0 || system.f_type != pipe_file_system);
}

/// Waits until a writer has opened the pipe and written something, or has closed it again.
void wait_for_writer(int fd, const std::string& path, std::ostream& notes) {
  if (wait_readable(fd, silent_wait_ms)) return;
  notes << "headroom: " << printable(path) << " is a named pipe; waiting for a program that writes to it" << std::endl;
  wait_readable(fd, no_timeout);
}

std::string read_all(std::istream& in, size_t max_bytes) {
  std::string text;
  std::vector<char> block(block_bytes);
  errno = 0;
  while (in) {
    in.read(block.data(), static_cast<std::streamsize>(block.size()));
    text.append(block.data(), static_cast<size_t>(in.gcount()));
    check_size("standard input", text.size(), max_bytes);
  }
  if (in.bad()) refuse("standard input cannot be read", errno == 0 ? "" : std::strerror(errno));
  return text;
}

}  // namespace

std::string read_text(const std::string& path, Console& io) {
  return path == "-" ? read_all(io.in, max_text_bytes) : read_file(path, io.err);
}

std::string read_file(const std::string& path, std::ostream& notes, size_t max_bytes) {
  // Without O_NONBLOCK, opening a named pipe would wait for its writer without a note.
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) refuse("cannot open " + path, std::strerror(errno));
  struct stat status {};
  if (fstat(file.get(), &status) != 0) refuse("cannot read " + path, std::strerror(errno));
  if (S_ISDIR(status.st_mode)) refuse(path + " is a folder, expected a file", "");
  if (is_named_pipe(file.get(), status)) wait_for_writer(file.get(), path, notes);
  fcntl(file.get(), F_SETFL, 0);

  std::string text;
  std::vector<char> block(block_bytes);
  while (true) {
    const ssize_t n_read = read(file.get(), block.data(), block.size());
    if (n_read == 0) return text;
    if (n_read < 0 && errno == EINTR) continue;
    if (n_read < 0) refuse("cannot read " + path, std::strerror(errno));
    text.append(block.data(), static_cast<size_t>(n_read));
    check_size(path, text.size(), max_bytes);
  }
}

}  // namespace headroom
