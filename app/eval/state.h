// The file of an evaluation that may be interrupted: a line with its settings, then a line for each finished row with
// the key of its job. What was read back is not computed again.
#pragma once

#include <fstream>
#include <map>
#include <string>

#include "app/eval/runner.h"

namespace headroom::eval {

class StateFile {
 public:
  /// Reads what is there, or begins the file. Throws Error, and leaves the file as it is, where it belongs to other
  /// settings or is no such file. A last line that was not finished is dropped; note() says so.
  StateFile(const std::string& path, const Json& settings);

  const std::string& note() const { return note_; }  // a sentence; may be empty
  /// Null where the job is not done.
  const Row* find(const std::string& key) const;
  /// On disk when it returns. Throws Error where it cannot be written.
  void add(const std::string& key, const Row& row);

 private:
  void read(const std::string& text, const Json& settings);
  void write_line(const Json& object);

  std::string path_;
  std::string note_;
  std::map<std::string, Row> rows_;
  std::ofstream file_;
};

}  // namespace headroom::eval
