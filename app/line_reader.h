// Where the lines of a conversation come from: the terminal with editing, history and pastes, or any stream.
#pragma once

#include <memory>
#include <string>

#include "app/streams.h"

namespace headroom {

/// What was entered at once: a line, or several where a paste brought line feeds along.
struct InputLine {
  std::string text;  // without the line feeds at its end
  /// Its first and last character were typed and not pasted: only what is typed can be a command, or go on in the next
  /// line.
  bool begins_typed = true, ends_typed = true;
};

class LineReader {
 public:
  enum class Outcome {
    line,
    interrupted,  // Ctrl+C while a line was being typed: the line is gone
    quit,         // Ctrl+C at an empty prompt, or the end of the input
  };

  virtual ~LineReader() = default;
  /// prompt is shown only in a terminal. Throws Error where the input cannot be read.
  virtual Outcome read(const std::string& prompt, InputLine& line) = 0;
};

std::unique_ptr<LineReader> make_line_reader(Streams& io);

/// The text of a paste as a message has it: each end of a line is a line feed, what is no UTF-8 is U+FFFD, and there
/// are no NUL bytes.
std::string pasted_text(const std::string& bytes);

}  // namespace headroom
