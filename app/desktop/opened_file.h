// A file that somebody dropped on the window or chose ─► what it is and what the window does with it: a model is
// opened, a recording is shown, text goes into the message. Looks at the file only; changes nothing.
#pragma once

#include <string>

namespace headroom {

enum class FileKind { model, recording, text, other };

struct OpenedFile {
  FileKind kind = FileKind::other;
  std::string text;  // of a text: for the message, with its name and a fence around it
  std::string why;   // of another: a sentence
};

/// Never throws, and never waits: of pipes, devices and folders only the kind is looked at.
OpenedFile look_at_file(const std::string& path);

/// More than any context holds of it; a field for typing stays quick with so much.
inline constexpr size_t max_attached_bytes = 256 << 10;

}  // namespace headroom
