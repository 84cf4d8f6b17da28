// Finds the command, runs it, turns whatever it throws into one line and an exit code.
#include "app/app.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <ostream>

#include "app/command_line.h"
#include "app/commands.h"
#include "app/format.h"
#include "app/json_report.h"
#include "engine/base/error.h"

namespace headroom {
namespace {

struct Command {
  const char* name;
  void (*function)(const Arguments&, Console&);
  const char* what;
};

constexpr Command commands[] = {
    {"chat", chat_command, "chat in the window; the default command"},
    {"run", run_command, "one answer (-p, -f), or a chat in the terminal"},
    {"chats", chats_command, "print the chats of the window, also from a damaged database"},
    {"profile", profile_command, "prefill a prompt and show what each head keeps"},
    {"tokenize", tokenize_command, "turn text on standard input into token ids"},
    {"bench", bench_command, "measure the speed of prefill and generation"},
    {"calibrate", calibrate_command, "measure once how important each head of a model is"},
    {"eval", eval_command, "compare the quality of a compressed cache with the full one"},
    {"inspect", inspect_command, "show what is in a GGUF file, and whether it can run here"},
    {"devices", devices_command, "list backends and devices of this machine"},
    {"replay", replay_command, "show a recording in the window, or write a picture of it (--png)"},
    {"engine", engine_command, "run the engine without a window, on the standard streams"},
};

std::string main_help() {
  std::string text =
      "Headroom " HEADROOM_VERSION
      ": chat with a language model on this machine. Every attention head keeps only\n"
      "the part of the KV cache that it uses (FastGen); the rest of the memory is returned to the system.\n\n"
      "Usage: headroom [COMMAND] [OPTIONS]\n\nCommands:\n";
  for (const Command& command : commands) text += format("  %-10s %s\n", command.name, command.what);
  return text +
         "\n`headroom COMMAND --help` explains a command; --version prints the version.\n\nExamples:\n"
         "  headroom                                   the window, with the default model\n"
         "  headroom run -p \"What is gravity?\"         one answer\n"
         "  headroom profile -f notes.txt              the head map of a text\n"
         "  headroom run -m model.gguf --cache full    another model, nothing evicted\n";
}

void dispatch(Arguments args, Console& io) {
  for (std::string& arg : args)
    if (arg == "-sys") arg = "--system";  // a short option of several letters, which CLI11 does not know
  if (args.empty() || (args[0].size() > 1 && args[0][0] == '-')) {
    if (!args.empty() && (args[0] == "--help" || args[0] == "-h")) throw HelpRequested(main_help());
    if (!args.empty() && args[0] == "--version") {
      io.out << "headroom " HEADROOM_VERSION "\n";
      return;
    }
    const bool has_prompt = std::any_of(args.begin(), args.end(), [](const std::string& arg) {
      return arg == "-p" || arg == "-f" || arg == "--prompt" || arg == "--file" || arg.starts_with("--prompt=") ||
             arg.starts_with("--file=");
    });
    return has_prompt ? run_command(args, io) : chat_command(args, io);
  }
  const Arguments rest(args.begin() + 1, args.end());
  std::vector<std::string> names;
  for (const Command& command : commands) {
    if (args[0] == command.name) return command.function(rest, io);
    names.emplace_back(command.name);
  }
  io.error_as_json = std::find(rest.begin(), rest.end(), "--json") != rest.end();
  const std::string nearest = nearest_name(args[0], names);
  throw UsageError("unknown command '" + args[0] + "'; " +
                   (nearest.empty() ? "`headroom --help` lists all commands" : "the nearest is " + nearest));
}

int report(Console& io, const std::string& sentence, int exit_code) {
  if (!sentence.empty()) io.err << "headroom: " << printable(sentence) << std::endl;
  if (io.error_as_json && !sentence.empty()) io.out << json_line({{"error", sentence}}) << std::flush;
  return exit_code;
}

/// Throws Error if some output could not be written.
void check_output(Console& io) {
  errno = 0;
  io.out.flush();
  if (io.out) return;
  // If an earlier write failed, errno no longer says why.
  const std::string reason = errno == 0 ? "" : std::string(": ") + std::strerror(errno);
  io.error_as_json = false;
  throw Error(ErrorKind::io, "cannot write to standard output" + reason);
}

}  // namespace

int run_main(const std::vector<std::string>& args, Console& io) {
  try {
    try {
      dispatch(args, io);
    } catch (const HelpRequested& help) {
      io.out << help.what();
    }
    check_output(io);
    return 0;
  } catch (const EndedBySignal& end) {
    report(io, end.what(), 0);
    io.out.flush();
    return signal_exit_base + end.signal_number();
  } catch (const UsageError& error) {
    return report(io, error.what(), 2);
  } catch (const std::bad_alloc&) {
    return report(io, "out of memory", 1);
  } catch (const std::exception& error) {
    return report(io, error.what(), 1);
  }
}

}  // namespace headroom
