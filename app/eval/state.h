// Finished rows ◄─► a file, so that an interrupted evaluation can continue. The first line holds the settings; each
// further line holds one row and the key of its job. A row found in the file is not computed again.
#pragma once

#include <fstream>
#include <map>
#include <string>

#include "app/eval/runner.h"

namespace headroom::eval {

class StateFile {
 public:
  /// Reads the file, or creates it. If it belongs to other settings or is no state file, throws Error and leaves the
  /// file unchanged. An unfinished last line is dropped; note() says so.
  StateFile(const std::string& path, const Json& settings);

  const std::string& note() const { return note_; }  // a sentence; may be empty
  /// Null if the job is not done.
  const Row* find(const std::string& key) const;
  /// The row is written to the file when this returns. Throws Error if it cannot be written.
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
