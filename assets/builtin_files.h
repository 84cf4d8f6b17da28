// Files of this folder that the program brings along, as text in it. The build writes the functions from the files.
#pragma once

#include <span>
#include <string_view>

namespace headroom {

struct BuiltinFile {
  std::string_view name;
  std::string_view text;
};

/// Tables of importance (engine/run/calibration_table.h), one a model.
std::span<const BuiltinFile> builtin_calibrations();
/// Texts that `headroom calibrate` measures on; their names say which kind they are.
std::span<const BuiltinFile> builtin_calibration_texts();

}  // namespace headroom
