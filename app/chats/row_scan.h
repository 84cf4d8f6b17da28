// Pages of a damaged database ─► the rows of our tables on them, found by their shape. The tables' root and interior
// pages are not used, so they may be damaged. Stands between PageImage and the salvage. The shapes are those of every
// version in tables.cpp.
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
  std::vector<Value> values;  // one per column after the id; older tables have fewer
  bool is_cut = false;        // a message whose overflow pages were lost, so the content ends early
};

/// First passes rows of undamaged leaves to `take`, then rows of damaged ones, then cut messages. So if two rows have
/// one id, the first is the better one.
void scan_rows(const PageImage& image, const std::function<void(const ScannedRow&)>& take);

}  // namespace headroom
