// A file that the user dropped on the window or chose ─► its kind. The window opens a model, shows a recording, and
// puts text into the message. Reads only the file and changes nothing.
#pragma once

#include <string>

namespace headroom {

enum class FileKind { model, recording, text, other };

struct OpenedFile {
  FileKind kind = FileKind::other;
  std::string text;  // if a text: for the message, with its name and a fence around it
  std::string why;   // if other: a sentence that says why it cannot be opened
};

/// Never throws and never blocks: pipes, devices and folders are not opened.
OpenedFile look_at_file(const std::string& path);

/// Limit of an attached text. It is more than any context holds, and the input field stays fast with it.
inline constexpr size_t max_attached_bytes = 256 << 10;

}  // namespace headroom
