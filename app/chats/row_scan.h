// Pages of a damaged database ─► the rows of our tables that lie whole on them, found by their shape. Neither the
// tables' first pages nor the pages between those and the rows are asked, so that none of them has to be whole.
// Between PageImage and the salvage; the shapes are those of tables.cpp, every version of them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "app/chats/page_image.h"

namespace headroom {

enum class RowKind { chat, message, piece };

struct ScannedRow {
  using Value = std::variant<std::monostate, int64_t, std::string>;  // NULL, a number, bytes
  RowKind kind = RowKind::chat;
  int64_t id = 0;
  std::vector<Value> values;  // one for each column behind the id; older tables have fewer
  bool is_cut = false;        // a message: pages that it goes on were lost, and the content ends early
};

/// First the rows of leaves that are whole, then what is found on damaged ones, then messages that are cut: of two rows
/// with one id the first is the better one.
void scan_rows(const PageImage& image, const std::function<void(const ScannedRow&)>& take);

}  // namespace headroom
