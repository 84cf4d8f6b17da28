// The parts that are not portable: mapped files, cores, memory, folders. Only Linux is implemented.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace headroom {

/// A file mapped read-only. If the file shrinks while it is mapped, the lost pages read as zeros and damaged() becomes
/// true. The caller can then report an error; the process survives.
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

int physical_cores();  // that this process may run on; at least 1
int64_t available_memory_bytes();
int64_t resident_bytes();     // of this process, now
std::string cache_folder();   // $XDG_CACHE_HOME/headroom or ~/.cache/headroom
std::string config_folder();  // $XDG_CONFIG_HOME/headroom or ~/.config/headroom
std::string data_folder();    // $XDG_DATA_HOME/headroom or ~/.local/share/headroom
std::string home_folder();

/// Maps anonymous memory; throws Error(out_of_memory). unmap_memory returns it to the system at once.
std::byte* map_memory(size_t bytes);
void unmap_memory(std::byte* memory, size_t bytes);

/// From now on, free returns each large block of malloc to the system; glibc would otherwise raise its threshold and
/// keep them. Call once at start.
void return_large_blocks_to_system();

}  // namespace headroom
