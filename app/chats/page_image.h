// A database file and the write-ahead log beside it ─► its pages after the last transaction. Reads without SQLite, so
// that a damaged byte cannot hide the rest. Used by the salvage; knows no tables. The format is in
// https://sqlite.org/fileformat2.html.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/base/platform/platform.h"

namespace headroom {

/// The page size of every chat database: SQLite's default, which this program never changes.
inline constexpr size_t page_bytes = 4096;

/// The contents of a log that its checksums confirm.
struct LogContents {
  std::optional<MappedFile> file;
  std::unordered_map<uint32_t, size_t> pages;  // number ─► where its last whole version of a finished transaction is
  bool is_damaged = false;                     // SQLite would ignore a transaction that was written completely
};
/// Empty if there is no log. Throws Error(io).
LogContents read_log(const std::string& path);

class PageImage {
 public:
  /// Throws Error(io), also if the file is larger than any chat database.
  explicit PageImage(const std::string& path);
  PageImage(const PageImage&) = delete;
  PageImage& operator=(const PageImage&) = delete;
  /// Ascending, from 1.
  std::vector<uint32_t> page_numbers() const;
  bool has_page(uint32_t number) const;
  /// A page cut off by the end of the file is padded with zeros; a missing page is all zeros.
  std::span<const uint8_t> page(uint32_t number) const;

 private:
  MappedFile file_;
  std::vector<uint8_t> last_page_, no_page_;
  uint32_t n_pages_in_file_ = 0;
  LogContents log_;
};

inline uint32_t big_endian_16(std::span<const uint8_t> from, size_t at) {
  return static_cast<uint32_t>(from[at] << 8 | from[at + 1]);
}
inline uint32_t big_endian_32(std::span<const uint8_t> from, size_t at) {
  return big_endian_16(from, at) << 16 | big_endian_16(from, at + 2);
}

}  // namespace headroom
