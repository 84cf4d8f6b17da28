// The table of architectures as values, and the functions that search it. See architecture.h.
#include "engine/base/architecture.h"

#include <algorithm>
#include <iterator>

namespace headroom {
namespace {

#define HEADROOM_ROW(row_name, ...) {.architecture = Architecture::row_name, .name = #row_name, __VA_ARGS__},
constexpr ArchitectureTraits architecture_rows[] = {HEADROOM_ARCHITECTURES(HEADROOM_ROW)};
#undef HEADROOM_ROW

}  // namespace

std::span<const ArchitectureTraits> architectures() {
  return architecture_rows;
}

const ArchitectureTraits& architecture_traits(Architecture architecture) {
  return architecture_rows[static_cast<size_t>(architecture)];
}

const ArchitectureTraits* find_architecture(std::string_view name) {
  const auto* found = std::find_if(std::begin(architecture_rows), std::end(architecture_rows),
                                   [&](const ArchitectureTraits& row) { return row.name == name; });
  return found == std::end(architecture_rows) ? nullptr : found;
}

std::string architecture_list(std::string_view last) {
  std::string list;
  for (const ArchitectureTraits& row : architecture_rows) {
    if (&row == std::end(architecture_rows) - 1 && !list.empty())
      list += " " + std::string(last) + " ";
    else if (!list.empty())
      list += ", ";
    list += row.name;
  }
  return list;
}

}  // namespace headroom
