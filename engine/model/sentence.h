// The one form of every refusal in this folder: "file: field: found this, expected that", on one line whatever the
// file contains. Used by the reader and by what interprets the metadata; knows no GGUF.
#pragma once

#include <string>
#include <string_view>

#include "engine/base/error.h"

namespace headroom {

/// A stranger's text fit for a sentence: bytes outside printable ASCII as \xNN, long texts cut with "...".
std::string shown(std::string_view text);
/// The same in single quotes.
std::string quoted(std::string_view text);
/// The field of a refusal that a metadata key stands for.
std::string key_field(std::string_view key);

/// Throws Error(bad_input). `file` is a path, `field` names the place in it.
[[noreturn]] void refuse(const std::string& file, const std::string& field, const std::string& found,
                         const std::string& expected);
/// Throws Error(unsupported): the file may be right, but this program does not offer what it asks for.
[[noreturn]] void refuse_unsupported(const std::string& file, const std::string& field, const std::string& found,
                                     const std::string& expected);

}  // namespace headroom
