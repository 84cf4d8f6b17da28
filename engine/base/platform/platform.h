// What is not portable: mapping files, cores, memory, folders. Linux today; other systems get a file beside this one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace headroom {

/// A file mapped read-only. If the file shrinks while it is mapped, pages that are gone read as zeros from then on
/// and damaged() turns true, so that whoever computes with them can stop with a sentence and the process lives.
class MappedFile {
 public:
  /// Throws Error(io) with the path and the system's reason; an empty file maps to no bytes.
  static MappedFile open(const std::string& path);
  MappedFile(MappedFile&&) noexcept;
  MappedFile& operator=(MappedFile&&) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const;
  const std::string& path() const;
  bool damaged() const;

 private:
  struct Impl;
  explicit MappedFile(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

int physical_cores();          // at most what this process may run on; at least 1
int64_t total_memory_bytes();  // of the machine, or of the control group where that is less
int64_t available_memory_bytes();
int64_t resident_bytes();     // of this process, now
std::string cache_folder();   // $XDG_CACHE_HOME/headroom or ~/.cache/headroom
std::string config_folder();  // $XDG_CONFIG_HOME/headroom or ~/.config/headroom
std::string data_folder();    // $XDG_DATA_HOME/headroom or ~/.local/share/headroom
std::string home_folder();

/// Anonymous memory straight from the system; throws Error(out_of_memory). unmap gives it back at once.
std::byte* map_memory(size_t bytes);
void unmap_memory(std::byte* memory, size_t bytes);

/// Large blocks of malloc come from and go back to the system one by one, from now on (glibc's moving threshold would
/// keep them). Called once at start.
void return_large_blocks_to_system();

}  // namespace headroom
