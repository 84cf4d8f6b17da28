// Where the lines of a conversation come from: the terminal with editing and history, or any stream.
#pragma once

#include <memory>
#include <string>

#include "app/streams.h"

namespace headroom {

class LineReader {
 public:
  enum class Outcome {
    line,
    interrupted,  // Ctrl+C while a line was being typed: the line is gone
    quit,         // Ctrl+C at an empty prompt, or the end of the input
  };

  virtual ~LineReader() = default;
  /// prompt is shown only in a terminal. The line comes without its line feed.
  virtual Outcome read(const std::string& prompt, std::string& line) = 0;
};

std::unique_ptr<LineReader> make_line_reader(Streams& io);

}  // namespace headroom
