// Strict numbers, nearest names, and CLI11 behind them.
#include "app/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>

#include "app/format.h"

namespace headroom {
namespace {

std::string first_name(const std::string& names) {
  return names.substr(0, names.find(','));
}

std::string number_text(double value) {
  return format("%g", value);
}

}  // namespace

int64_t parse_int(std::string_view option, std::string_view text, int64_t min, int64_t max) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < min || value > max)
    throw UsageError(std::string(option) + " is '" + std::string(text) + "', expected a whole number from " +
                     std::to_string(min) + " to " + std::to_string(max));
  return value;
}

double parse_number(std::string_view option, std::string_view text, double min, double max) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  // Tests "in range" and not "out of range", because a NaN compares false with everything.
  const bool in_range = value >= min && value <= max;
  if (error != std::errc() || end != text.data() + text.size() || !in_range)
    throw UsageError(std::string(option) + " is '" + std::string(text) + "', expected a number from " +
                     number_text(min) + " to " + number_text(max));
  return value;
}

int64_t parse_bytes(std::string_view option, std::string_view text) {
  constexpr std::pair<std::string_view, int64_t> units[] = {{"", 1},          {"B", 1},           {"KB", 1000},
                                                            {"MB", 1000000},  {"GB", 1000000000}, {"KiB", 1 << 10},
                                                            {"MiB", 1 << 20}, {"GiB", 1 << 30}};
  const size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + digits, value);
  for (const auto& [unit, bytes] : units)
    if (error == std::errc() && end == text.data() + digits && digits > 0 && text.substr(digits) == unit &&
        value * static_cast<double>(bytes) >= 1 && value * static_cast<double>(bytes) < 1e15)
      return static_cast<int64_t>(value * static_cast<double>(bytes));
  throw UsageError(std::string(option) + " is '" + std::string(text) +
                   "', expected a size such as 24MiB, with B, KB, MB, GB, KiB, MiB or GiB");
}

std::vector<int32_t> parse_ints(std::string_view option, std::string_view text, int64_t min, int64_t max) {
  std::vector<int32_t> values;
  while (true) {
    const size_t comma = text.find(',');
    values.push_back(static_cast<int32_t>(parse_int(option, text.substr(0, comma), min, max)));
    if (comma == std::string_view::npos) return values;
    text.remove_prefix(comma + 1);
  }
}

std::string nearest_name(std::string_view name, const std::vector<std::string>& names) {
  const auto bare = [](std::string_view text) {
    text.remove_prefix(std::min(text.find_first_not_of("-/"), text.size()));
    return text;
  };
  const std::string_view wanted = bare(name);
  std::string best;
  size_t best_distance = wanted.size() / 2 + 1;
  for (const std::string& candidate : names) {
    const std::string_view offered = bare(candidate);
    if (wanted.empty() || offered.empty()) continue;
    // If one is a prefix of the other ("--temperature", "--temp"), they count as near.
    const size_t common = std::min(wanted.size(), offered.size());
    const bool prefix = common >= 2 && wanted.substr(0, common) == offered.substr(0, common);
    const size_t distance = prefix ? 1 : edit_distance(wanted, offered);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

struct CommandLine::Impl {
  std::string command;
  CLI::App app;
  std::string group = "Options";

  std::string title() const { return command.empty() ? "headroom" : "headroom " + command; }

  CLI::Option* add(const std::string& names, const std::string& value, const std::string& what,
                   std::function<void(const std::string&)> take) {
    CLI::Option* option = app.add_option_function<std::string>(names, std::move(take), what);
    option->type_name(value)->group(group)->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    return option;
  }
};

CommandLine::CommandLine(std::string command, const std::string& what, const std::string& examples)
    : impl_(std::make_unique<Impl>()) {
  impl_->command = std::move(command);
  CLI::App& app = impl_->app;
  app.name(impl_->title());
  app.description(what);
  app.footer("Examples:\n" + examples);
  app.set_help_flag("-h,--help", "this text")->group("Options");
  app.allow_extras();  // refused below, with the nearest valid option as a suggestion
  app.get_formatter()->column_width(34);
}

CommandLine::~CommandLine() = default;

void CommandLine::begin_group(const std::string& heading) {
  impl_->group = heading;
}

void CommandLine::add_text(const std::string& names, const std::string& value, const std::string& what,
                           std::optional<std::string>& to) {
  impl_->add(names, value, what, [&to](const std::string& text) { to = text; });
}

void CommandLine::add_choice(const std::string& names, const std::string& value, const std::string& what,
                             const std::vector<std::string>& known, std::optional<std::string>& to) {
  impl_->add(names, value, what, [=, &to](const std::string& text) {
    std::string list;
    for (const std::string& name : known) list += (list.empty() ? "" : ", ") + name;
    if (std::find(known.begin(), known.end(), text) == known.end())
      throw UsageError(first_name(names) + " is '" + text + "', expected one of " + list);
    to = text;
  });
}

void CommandLine::add_repeated_text(const std::string& names, const std::string& value, const std::string& what,
                                    std::vector<std::string>& to) {
  CLI::Option* option = impl_->app.add_option_function<std::vector<std::string>>(
      names, [&to](const std::vector<std::string>& texts) { to = texts; }, what);
  option->type_name(value)->group(impl_->group);
  option->allow_extra_args(false)->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

void CommandLine::add_flag(const std::string& names, const std::string& what, bool& to) {
  impl_->app.add_flag(names, to, what)->group(impl_->group);
}

void CommandLine::add_int(const std::string& names, const std::string& what, int64_t min, int64_t max,
                          std::optional<int64_t>& to) {
  impl_->add(names, "N", what,
             [=, &to](const std::string& text) { to = parse_int(first_name(names), text, min, max); });
}

void CommandLine::add_number(const std::string& names, const std::string& what, double min, double max,
                             std::optional<double>& to, Lowest lowest) {
  impl_->add(names, "X", what, [=, &to](const std::string& text) {
    const double value = parse_number(first_name(names), text, min, max);
    if (lowest == Lowest::excluded && value == min)
      throw UsageError(first_name(names) + " is '" + text + "', expected a number above " + number_text(min) +
                       ", at most " + number_text(max));
    to = value;
  });
}

void CommandLine::add_ints(const std::string& names, const std::string& what, int64_t min, int64_t max,
                           std::vector<int32_t>& to) {
  impl_->add(names, "N,N,...", what,
             [=, &to](const std::string& text) { to = parse_ints(first_name(names), text, min, max); });
}

void CommandLine::add_positional(const std::string& name, const std::string& what, std::optional<std::string>& to) {
  impl_->add(name, "", what, [&to](const std::string& text) { to = text; })
      ->group("Arguments")
      ->multi_option_policy(CLI::MultiOptionPolicy::Throw);
}

void CommandLine::parse(const std::vector<std::string>& args, Console& io) {
  const auto has_json = [&] {
    const CLI::Option* json = impl_->app.get_option_no_throw("--json");
    return json != nullptr && json->count() > 0;
  };
  try {
    parse(args);
  } catch (const UsageError&) {
    io.error_as_json = has_json();
    throw;
  }
  io.error_as_json = has_json();
}

void CommandLine::parse(const std::vector<std::string>& args) {
  CLI::App& app = impl_->app;
  try {
    app.parse(std::vector<std::string>(args.rbegin(), args.rend()));
  } catch (const CLI::CallForHelp&) {
    throw HelpRequested(app.help());
  } catch (const CLI::ParseError& error) {
    fail(error.what());
  }
  const std::vector<std::string> extras = app.remaining();
  if (extras.empty()) return;
  const std::string& found = extras.front();
  const std::string hint = "`" + impl_->title() + " --help` lists all options";
  if (found.size() < 2 || found[0] != '-') fail("unexpected argument '" + found + "'; " + hint);
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    for (const std::string& name : option->get_snames()) names.push_back("-" + name);
  }
  const std::string option = found.substr(0, found.find('='));
  const std::string nearest = nearest_name(option, names);
  fail("unknown option " + option + "; " + (nearest.empty() ? hint : "the nearest is " + nearest));
}

void CommandLine::fail(const std::string& sentence) const {
  throw UsageError((impl_->command.empty() ? "" : impl_->command + ": ") + sentence);
}

}  // namespace headroom
