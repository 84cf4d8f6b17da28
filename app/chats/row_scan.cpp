// A leaf of a table (type 13) lists its cells in an array of pointers. If that array, the counts of the page and its
// free space are inconsistent, every byte of the page is tried as the beginning of a row. See row_scan.h.
#include "app/chats/row_scan.h"

#include <algorithm>
#include <optional>
#include <set>
#include <unordered_set>

namespace headroom {
namespace {

using Bytes = std::span<const uint8_t>;
using Value = ScannedRow::Value;

constexpr size_t overflow_bytes = page_bytes - 4;                    // payload bytes of a row on each overflow page
constexpr size_t most_on_leaf = page_bytes - 35;                     // a longer row goes to overflow pages …
constexpr size_t least_on_leaf = (page_bytes - 12) * 32 / 255 - 23;  // … but at least this much stays on the leaf
constexpr uint8_t leaf_of_table = 13;
constexpr size_t max_row_bytes = size_t{1} << 30;

/// Reads numbers of one to nine bytes, seven bits each.
class Reader {
 public:
  Reader(Bytes bytes, size_t at) : bytes_(bytes), at_(at) {}
  size_t at() const { return at_; }
  std::optional<uint64_t> varint() {
    uint64_t value = 0;
    for (int i = 0; i < 9; ++i) {
      if (at_ >= bytes_.size()) return std::nullopt;
      const uint8_t byte = bytes_[at_++];
      if (i == 8) return value << 8 | byte;
      value = value << 7 | (byte & 127);
      if (byte < 128) return value;
    }
    return value;
  }

 private:
  Bytes bytes_;
  size_t at_;
};

bool is_integer(uint64_t type) {
  return (type >= 1 && type <= 6) || type == 8 || type == 9;
}
bool is_blob(uint64_t type) {
  return type >= 12 && type % 2 == 0;
}
bool is_text(uint64_t type) {
  return type >= 13 && type % 2 == 1;
}
size_t bytes_of_type(uint64_t type) {
  constexpr size_t of_number[] = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0};
  return type < 12 ? of_number[type] : (type - 12) / 2;
}

/// The position of a row and the types of its columns; its payload is not read yet.
struct Cell {
  RowKind kind = RowKind::chat;
  int64_t id = 0;
  uint64_t payload_bytes = 0;
  std::vector<uint64_t> types;  // of every column; the first is the id's (NULL)
  size_t header_bytes = 0;
  size_t payload_at = 0;  // offset in the page
  size_t on_leaf = 0;     // payload bytes on this page
  size_t end = 0;         // offset of the first byte after it
};

/// The table whose columns have these types (see tables.cpp); empty if there is none.
std::optional<RowKind> kind_of(const std::vector<uint64_t>& types) {
  const auto all = [&](std::initializer_list<bool> conditions) {
    return std::all_of(conditions.begin(), conditions.end(), [](bool is_so) { return is_so; });
  };
  const auto integer_or_null = [&](size_t column) {
    return column >= types.size() || types[column] == 0 || is_integer(types[column]);
  };
  if (types.empty() || types[0] != 0) return std::nullopt;
  if ((types.size() == 4 || types.size() == 6) &&
      all({is_blob(types[1]), is_integer(types[2]), integer_or_null(3), integer_or_null(4), integer_or_null(5)}))
    return RowKind::chat;
  if (types.size() == 4 && all({is_integer(types[1]), is_blob(types[2]), is_blob(types[3])})) return RowKind::piece;
  if ((types.size() == 8 || types.size() == 9) &&
      all({is_integer(types[1]), is_text(types[2]), is_blob(types[3]), is_blob(types[4]), is_integer(types[5]),
           is_blob(types[6]), is_integer(types[7]), integer_or_null(8)}))
    return RowKind::message;
  return std::nullopt;
}

size_t bytes_on_leaf(uint64_t payload_bytes) {
  if (payload_bytes <= most_on_leaf) return payload_bytes;
  const size_t some = least_on_leaf + (payload_bytes - least_on_leaf) % overflow_bytes;
  return some <= most_on_leaf ? some : least_on_leaf;
}

/// Parses a row of any table; kind is valid only if kind_of knows its columns.
std::optional<Cell> cell_at(Bytes page, size_t at, bool any_table) {
  Cell cell;
  Reader reader(page, at);
  const auto payload_bytes = reader.varint();
  const auto id = reader.varint();
  if (!payload_bytes || !id || *payload_bytes < 2 || *payload_bytes > max_row_bytes) return std::nullopt;
  cell.payload_bytes = *payload_bytes;
  cell.id = static_cast<int64_t>(*id);
  cell.payload_at = reader.at();
  cell.on_leaf = bytes_on_leaf(*payload_bytes);
  cell.end = cell.payload_at + cell.on_leaf + (cell.on_leaf < *payload_bytes ? 4 : 0);
  if (cell.end > page.size()) return std::nullopt;
  const auto header_bytes = reader.varint();
  if (!header_bytes || *header_bytes > cell.on_leaf) return std::nullopt;
  cell.header_bytes = *header_bytes;
  if (!any_table && page[reader.at() % page.size()] != 0) return std::nullopt;  // ids are stored as NULL
  uint64_t body_bytes = 0;
  while (reader.at() < cell.payload_at + cell.header_bytes) {
    const auto type = reader.varint();
    if (!type || *type == 10 || *type == 11) return std::nullopt;
    body_bytes += bytes_of_type(*type);
    if (body_bytes > max_row_bytes) return std::nullopt;
    cell.types.push_back(*type);
  }
  if (reader.at() != cell.payload_at + cell.header_bytes) return std::nullopt;
  if (cell.header_bytes + body_bytes != cell.payload_bytes) return std::nullopt;
  const auto kind = kind_of(cell.types);
  if (!kind && !any_table) return std::nullopt;
  if (!any_table && cell.id <= 0) return std::nullopt;
  cell.kind = kind.value_or(RowKind::chat);
  return cell;
}

int64_t integer_in(Bytes bytes) {
  int64_t value = bytes.empty() ? 0 : static_cast<int8_t>(bytes[0]);
  for (size_t i = 1; i < bytes.size(); ++i) value = static_cast<int64_t>(static_cast<uint64_t>(value) << 8 | bytes[i]);
  return value;
}

class Scan {
 public:
  Scan(const PageImage& image, const std::function<void(const ScannedRow&)>& take) : image_(image), take_(take) {}

  void run() {
    const std::vector<uint32_t> numbers = image_.page_numbers();
    std::vector<uint32_t> others;
    for (const uint32_t number : numbers)
      if (!take_whole_leaf(number)) others.push_back(number);
    // Overflow pages of whole rows hold text of the user, which may look like rows.
    std::erase_if(others, [&](uint32_t number) { return continues_.contains(number); });
    for (const uint32_t number : others) take_listed(number);
    for (const uint32_t number : others)
      if (!continues_.contains(number)) try_every_byte(number);
    for (const ScannedRow& row : cut_) take_(row);
  }

 private:
  struct Leaf {
    std::vector<Cell> cells;  // the readable ones
    bool is_whole = false;    // cells and free space account for every byte of the page
  };

  static Leaf look_at(Bytes page, uint32_t number) {
    Leaf leaf;
    const size_t header = number == 1 ? 100 : 0;
    const size_t n_cells = big_endian_16(page, header + 3), first = header + 8;
    const size_t content = big_endian_16(page, header + 5);
    if (first + 2 * n_cells > page.size()) return leaf;
    size_t used = first + 2 * n_cells;
    std::set<std::pair<size_t, size_t>> stretches;  // begin and end within the page
    for (size_t i = 0; i < n_cells; ++i) {
      const size_t at = big_endian_16(page, first + 2 * i);
      const auto cell = at < first + 2 * n_cells ? std::nullopt : cell_at(page, at, true);
      if (!cell) continue;
      stretches.emplace(at, std::max(cell->end, at + 4));
      leaf.cells.push_back(*cell);
    }
    bool adds_up = page[header] == leaf_of_table && leaf.cells.size() == n_cells;
    for (size_t at = big_endian_16(page, header + 1); adds_up && at != 0;) {
      const size_t end = at + 4 > page.size() ? 0 : at + big_endian_16(page, at + 2);
      adds_up = end >= at + 4 && end <= page.size() && stretches.emplace(at, end).second;
      if (adds_up) at = big_endian_16(page, at);
    }
    size_t end = content;
    for (const auto& [begin, stretch_end] : stretches) {
      adds_up = adds_up && begin >= end;
      used += stretch_end - begin;
      end = stretch_end;
    }
    adds_up = adds_up && content >= first + 2 * n_cells && content <= page.size();
    leaf.is_whole = adds_up && used + (content - (first + 2 * n_cells)) + page[header + 7] == page.size();
    return leaf;
  }

  bool take_whole_leaf(uint32_t number) {
    const Bytes page = image_.page(number);
    const Leaf leaf = look_at(page, number);
    if (!leaf.is_whole) return false;
    for (const Cell& cell : leaf.cells)
      if (kind_of(cell.types)) take_cell(page, cell);
    return true;
  }

  /// Passes on the rows that the page's pointer array lists; other page types hold no rows.
  void take_listed(uint32_t number) {
    const Bytes page = image_.page(number);
    if (page[number == 1 ? 100 : 0] != leaf_of_table) return;
    for (const Cell& cell : look_at(page, number).cells)
      if (kind_of(cell.types) && cell.id > 0) take_cell(page, cell);
  }

  /// Tries every offset of the page as the beginning of a row, whatever the page's header says.
  void try_every_byte(uint32_t number) {
    const Bytes page = image_.page(number);
    if (std::all_of(page.begin(), page.end(), [](uint8_t byte) { return byte == 0; })) return;
    for (size_t at = 8; at + 8 < page.size();) {
      const auto cell = cell_at(page, at, false);
      at = cell && take_cell(page, *cell) ? cell->end : at + 1;
    }
  }

  /// Returns false for bytes that only look like a row.
  bool take_cell(Bytes page, const Cell& cell) {
    std::string payload(reinterpret_cast<const char*>(page.data()) + cell.payload_at, cell.on_leaf);
    std::unordered_set<uint32_t> chain;
    uint32_t next = cell.on_leaf < cell.payload_bytes ? big_endian_32(page, cell.payload_at + cell.on_leaf) : 0;
    // Stops at a page that belongs to another row, and at one that was already visited.
    while (payload.size() < cell.payload_bytes && image_.has_page(next) && !continues_.contains(next) &&
           chain.insert(next).second) {
      const Bytes further = image_.page(next);
      payload.append(reinterpret_cast<const char*>(further.data()) + 4,
                     std::min<uint64_t>(overflow_bytes, cell.payload_bytes - payload.size()));
      next = big_endian_32(further, 0);
    }
    const bool is_whole = payload.size() == cell.payload_bytes;
    if (is_whole) {
      const ScannedRow row = row_of(cell, payload);
      if (is_plausible(row)) {
        continues_.insert(chain.begin(), chain.end());
        take_(row);
        return true;
      }
    }
    // Only the part on the leaf is reliable if the overflow chain led to a wrong end. If the chain is broken, the pages
    // before the gap are kept.
    if (cell.kind != RowKind::message || cell.on_leaf == cell.payload_bytes) return false;
    if (is_whole) payload.resize(cell.on_leaf);
    ScannedRow row = row_of(cell, payload);
    row.is_cut = true;
    if (!is_role(row.values[1]) || std::get<std::string>(row.values[2]).empty()) return false;
    cut_.push_back(std::move(row));
    return true;
  }

  static bool is_role(const Value& value) {
    return std::get<std::string>(value) == "user" || std::get<std::string>(value) == "assistant";
  }

  /// The last columns of a row with overflow pages show whether the chain led to its real end.
  static bool is_plausible(const ScannedRow& row) {
    constexpr int64_t latest_ms = int64_t{1} << 45;  // after the year 3000
    const auto number = [&](size_t column) { return std::get<int64_t>(row.values[column]); };
    const auto is_time = [&](size_t column) { return number(column) >= 0 && number(column) < latest_ms; };
    if (row.kind == RowKind::chat) return is_time(1);
    if (row.kind == RowKind::piece) return number(0) > 0;
    return is_role(row.values[1]) && number(4) >= 0 && number(4) <= 3 && is_time(6);
  }

  /// The payload may be shorter than the types say.
  static ScannedRow row_of(const Cell& cell, const std::string& payload) {
    ScannedRow row{.kind = cell.kind, .id = cell.id, .values = {}};
    size_t at = cell.header_bytes;
    for (size_t column = 1; column < cell.types.size(); ++column) {
      const uint64_t type = cell.types[column];
      const size_t n = std::min(bytes_of_type(type), payload.size() - std::min(at, payload.size()));
      const std::string bytes = payload.substr(std::min(at, payload.size()), n);
      at += bytes_of_type(type);
      if (type == 0)
        row.values.emplace_back();
      else if (type == 8 || type == 9)
        row.values.emplace_back(static_cast<int64_t>(type - 8));
      else if (is_integer(type))
        row.values.emplace_back(integer_in({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}));
      else
        row.values.emplace_back(bytes);
    }
    return row;
  }

  const PageImage& image_;
  const std::function<void(const ScannedRow&)>& take_;
  std::unordered_set<uint32_t> continues_;  // overflow pages of whole rows
  std::vector<ScannedRow> cut_;
};

}  // namespace

void scan_rows(const PageImage& image, const std::function<void(const ScannedRow&)>& take) {
  Scan(image, take).run();
}

}  // namespace headroom
