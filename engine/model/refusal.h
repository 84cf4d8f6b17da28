// Error messages of this folder. All have the form "file: field: found this, expected that", on one line whatever the
// file contains. The header reader and the code that interprets the metadata use it; knows no GGUF.
#pragma once

#include <string>
#include <string_view>

#include "engine/base/error.h"

namespace headroom {

/// Untrusted text made safe for a message: bytes outside printable ASCII as \xNN, long texts cut with "...".
std::string shown(std::string_view text);
/// shown(text) in single quotes.
std::string quoted(std::string_view text);
/// The field name in a message about a metadata key: "metadata key '…'".
std::string key_field(std::string_view key);

/// Throws Error(bad_input). `file` is a path, `field` is the place in the file.
[[noreturn]] void refuse(const std::string& file, const std::string& field, const std::string& found,
                         const std::string& expected);
/// Throws Error(unsupported): the file can be valid, but this program does not support what it needs.
[[noreturn]] void refuse_unsupported(const std::string& file, const std::string& field, const std::string& found,
                                     const std::string& expected);

}  // namespace headroom
