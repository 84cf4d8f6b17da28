// A frame of the log is whole if its checksum continues the one stored in the frame before it. SQLite stops at the
// first frame that is not whole. This reader continues, because the salt still separates later frames from old ones.
#include "app/chats/page_image.h"

#include <algorithm>
#include <numeric>

#include "engine/base/error.h"
#include "engine/base/platform/regular_file.h"

namespace headroom {
namespace {

constexpr size_t max_file_bytes = size_t{4} << 30;  // more than people can type and read
constexpr size_t max_log_bytes = size_t{1} << 30;
constexpr size_t log_header_bytes = 32, frame_header_bytes = 24;
constexpr size_t frame_bytes = frame_header_bytes + page_bytes;
constexpr uint32_t log_magic = 0x377f0682;  // if its last bit is set, checksums are computed over big-endian numbers

std::span<const uint8_t> file_bytes(const MappedFile& file, size_t begin, size_t n) {
  return {reinterpret_cast<const uint8_t*>(file.bytes().data()) + begin, n};
}

struct Checksum {
  uint32_t a = 0, b = 0;
  bool operator==(const Checksum&) const = default;

  static Checksum stored(std::span<const uint8_t> from, size_t at) {
    return {big_endian_32(from, at), big_endian_32(from, at + 4)};
  }
  void add(std::span<const uint8_t> bytes, bool is_big_endian) {
    const auto number = [&](size_t at) {
      if (is_big_endian) return big_endian_32(bytes, at);
      return static_cast<uint32_t>(bytes[at] | bytes[at + 1] << 8 | bytes[at + 2] << 16) |
             static_cast<uint32_t>(bytes[at + 3]) << 24;
    };
    for (size_t at = 0; at + 8 <= bytes.size(); at += 8) {
      a += number(at) + b;
      b += number(at + 4) + a;
    }
  }
};

}  // namespace

LogContents read_log(const std::string& path) {
  LogContents log;
  if (!regular_file_exists(path)) return log;
  log.file = MappedFile::open(path);
  const size_t n_bytes = std::min(log.file->bytes().size(), max_log_bytes);
  if (n_bytes < log_header_bytes + frame_bytes) return log;
  const auto header = file_bytes(*log.file, 0, log_header_bytes);
  const bool is_big_endian = (big_endian_32(header, 0) & 1) != 0;
  Checksum of_header;
  of_header.add(header.first(24), is_big_endian);
  const bool header_is_whole = (big_endian_32(header, 0) & ~1u) == log_magic &&
                               big_endian_32(header, 8) == page_bytes && of_header == Checksum::stored(header, 24);
  const auto frame_at = [&](size_t at) { return file_bytes(*log.file, at, frame_bytes); };
  // Frames with another salt belong to an earlier log in the same file.
  const auto salt = header_is_whole ? header.subspan(16, 8) : frame_at(log_header_bytes).subspan(8, 8);

  std::unordered_map<uint32_t, size_t> open;  // pages of the current transaction
  bool sqlite_reads_it = header_is_whole;
  Checksum before = Checksum::stored(header, 24);
  for (size_t at = log_header_bytes; at + frame_bytes <= n_bytes; at += frame_bytes) {
    const auto frame = frame_at(at);
    Checksum checksum = before;
    checksum.add(frame.first(8), is_big_endian);
    checksum.add(frame.subspan(frame_header_bytes), is_big_endian);
    before = Checksum::stored(frame, 16);
    const uint32_t number = big_endian_32(frame, 0);
    const bool is_whole = std::equal(salt.begin(), salt.end(), frame.begin() + 8) && checksum == before && number > 0;
    if (!is_whole) {
      sqlite_reads_it = false;
      continue;
    }
    open[number] = at + frame_header_bytes;
    if (big_endian_32(frame, 4) == 0) continue;  // not the last frame of the transaction
    for (const auto& [page, place] : open) log.pages[page] = place;
    open.clear();
    log.is_damaged = log.is_damaged || !sqlite_reads_it;
  }
  return log;
}

PageImage::PageImage(const std::string& path)
    : file_(MappedFile::open(path)), no_page_(page_bytes), log_(read_log(path + "-wal")) {
  const size_t n_bytes = file_.bytes().size();
  if (n_bytes > max_file_bytes)
    throw Error(ErrorKind::io,
                path + " has " + std::to_string(n_bytes) + " bytes, chats at most " + std::to_string(max_file_bytes));
  n_pages_in_file_ = static_cast<uint32_t>((n_bytes + page_bytes - 1) / page_bytes);
  if (const size_t n_left = n_bytes % page_bytes; n_left > 0) {
    const auto left = file_bytes(file_, n_bytes - n_left, n_left);
    last_page_.assign(left.begin(), left.end());
    last_page_.resize(page_bytes);
  }
}

std::vector<uint32_t> PageImage::page_numbers() const {
  std::vector<uint32_t> numbers(n_pages_in_file_);
  std::iota(numbers.begin(), numbers.end(), 1);
  for (const auto& [number, place] : log_.pages)
    if (number > n_pages_in_file_) numbers.push_back(number);
  std::sort(numbers.begin() + n_pages_in_file_, numbers.end());
  return numbers;
}

bool PageImage::has_page(uint32_t number) const {
  return (number > 0 && number <= n_pages_in_file_) || log_.pages.contains(number);
}

std::span<const uint8_t> PageImage::page(uint32_t number) const {
  if (const auto in_log = log_.pages.find(number); in_log != log_.pages.end())
    return file_bytes(*log_.file, in_log->second, page_bytes);
  if (number == 0 || number > n_pages_in_file_) return no_page_;
  if (number == n_pages_in_file_ && !last_page_.empty()) return last_page_;
  return file_bytes(file_, (static_cast<size_t>(number) - 1) * page_bytes, page_bytes);
}

}  // namespace headroom
