// Reads and appends the lines of a state file.
#include "app/eval/state.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <ostream>

#include "app/json_report.h"
#include "app/text_input.h"
#include "engine/base/error.h"
#include "engine/base/platform/private_file.h"

namespace headroom::eval {
namespace {

/// A row of a state file: an object with a key and a row, nothing else.
bool is_row_line(const Json& object) {
  return object.is_object() && object.contains("key") && object["key"].is_string() && object.contains("row") &&
         object["row"].is_object();
}

}  // namespace

StateFile::StateFile(const std::string& path, const Json& settings) : path_(path) {
  const bool exists = std::filesystem::exists(path) && std::filesystem::file_size(path) > 0;
  if (exists) {
    std::ostream nothing(nullptr);
    read(read_file(path, nothing), settings);
  }
  ensure_private_file(path);
  file_.open(path, std::ios::binary | std::ios::app);
  if (!file_) throw Error(ErrorKind::io, "cannot open " + path + ": " + std::strerror(errno));
  if (!exists) write_line({{"headroom_eval_state", 1}, {"settings", settings}});
}

void StateFile::read(const std::string& text, const Json& settings) {
  size_t begin = 0;
  for (int line = 1; begin < text.size(); ++line) {
    const size_t end = text.find('\n', begin);
    const bool last = end == std::string::npos || end + 1 == text.size();
    const Json object = Json::parse(text.substr(begin, end - begin), nullptr, false);
    if (line == 1) {
      if (end == std::string::npos || !object.is_object() || !object.contains("headroom_eval_state") ||
          !object.contains("settings"))
        throw Error(path_ + " is not the state of an evaluation; --resume expects such a file, or a new name");
      const std::string difference = first_difference(settings, object["settings"]);
      if (!difference.empty())
        throw Error(path_ + " is the state of an evaluation with other " + difference +
                    "; expected the same settings, or a new name");
    } else if (is_row_line(object) && end != std::string::npos) {
      rows_[object["key"]] = object["row"];
    } else if (last) {
      note_ = path_ + ": the last line was not finished and is ignored; its row is computed again";
      std::filesystem::resize_file(path_, begin);  // so that the next row does not continue it
      return;
    } else {
      throw Error(path_ + ":" + std::to_string(line) + " is not a row of an evaluation; the file is damaged");
    }
    if (end == std::string::npos) return;
    begin = end + 1;
  }
}

const Row* StateFile::find(const std::string& key) const {
  const auto found = rows_.find(key);
  return found == rows_.end() ? nullptr : &found->second;
}

void StateFile::add(const std::string& key, const Row& row) {
  rows_[key] = row;
  write_line({{"key", key}, {"row", row}});
}

void StateFile::write_line(const Json& object) {
  file_ << json_line(object) << std::flush;
  if (!file_) throw Error(ErrorKind::io, "cannot write to " + path_ + ": " + std::strerror(errno));
}

}  // namespace headroom::eval
