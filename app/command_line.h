// A command's arguments ─► values. Every number is checked against its range; a value that does not fit is an error of
// one sentence. A thin layer over CLI11, which parses and writes the help.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "app/console.h"

namespace headroom {

/// The command line itself is wrong: exit code 2, one line.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// --help was asked for; what() is the text.
class HelpRequested : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The whole text must be one number from min to max, both included. Throws a UsageError that names the option.
int64_t parse_int(std::string_view option, std::string_view text, int64_t min, int64_t max);
/// "24MiB", "1.5GB", "65536".
int64_t parse_bytes(std::string_view option, std::string_view text);
double parse_number(std::string_view option, std::string_view text, double min, double max);
/// "1,2,3"
std::vector<int32_t> parse_ints(std::string_view option, std::string_view text, int64_t min, int64_t max);

/// The entry of `names` that is nearest to a mistyped name; empty if none is near.
std::string nearest_name(std::string_view name, const std::vector<std::string>& names);

/// Options are added, then parse() fills the variables they were added with. The variables must outlive this object.
class CommandLine {
 public:
  /// command: "run"; examples: lines at the end of the help.
  CommandLine(std::string command, const std::string& what, const std::string& examples);
  ~CommandLine();

  /// The help lists options added after this call under this heading.
  void begin_group(const std::string& heading);
  /// names: "-m,--model"; value: the placeholder for the value in the help.
  void add_text(const std::string& names, const std::string& value, const std::string& what,
                std::optional<std::string>& to);
  /// A text that is one of `known`.
  void add_choice(const std::string& names, const std::string& value, const std::string& what,
                  const std::vector<std::string>& known, std::optional<std::string>& to);
  void add_repeated_text(const std::string& names, const std::string& value, const std::string& what,
                         std::vector<std::string>& to);
  void add_flag(const std::string& names, const std::string& what, bool& to);
  void add_int(const std::string& names, const std::string& what, int64_t min, int64_t max, std::optional<int64_t>& to);
  enum class Lowest { included, excluded };
  void add_number(const std::string& names, const std::string& what, double min, double max, std::optional<double>& to,
                  Lowest lowest = Lowest::included);
  void add_ints(const std::string& names, const std::string& what, int64_t min, int64_t max, std::vector<int32_t>& to);
  void add_positional(const std::string& name, const std::string& what, std::optional<std::string>& to);

  /// If an option is given twice the last one counts, unless it was added as one that may be repeated. Throws
  /// UsageError or HelpRequested. Sets io.error_as_json.
  void parse(const std::vector<std::string>& args, Console& io);
  void parse(const std::vector<std::string>& args);
  [[noreturn]] void fail(const std::string& sentence) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headroom
