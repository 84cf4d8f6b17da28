// A terminal (with editing, history and pastes) or any stream ─► the lines of a conversation.
#pragma once

#include <memory>
#include <string>

#include "app/console.h"

namespace headroom {

/// One input: a line, or several if a paste contained line feeds.
struct InputLine {
  std::string text;  // without the line feeds at its end
  /// Whether the first and the last character were typed, not pasted. Only typed text can be a command or continue in
  /// the next line.
  bool begins_typed = true, ends_typed = true;
};

class LineReader {
 public:
  enum class Outcome {
    line,
    interrupted,  // Ctrl+C while a line was being typed: the line is discarded
    quit,         // Ctrl+C at an empty prompt, or the end of the input
  };

  virtual ~LineReader() = default;
  /// prompt is shown only in a terminal. Throws Error if the input cannot be read.
  virtual Outcome read(const std::string& prompt, InputLine& line) = 0;
};

std::unique_ptr<LineReader> make_line_reader(Console& io);

/// Normalizes a paste for a message: every line ending becomes a line feed, invalid UTF-8 becomes U+FFFD, NUL bytes are
/// removed.
std::string pasted_text(const std::string& bytes);

}  // namespace headroom
