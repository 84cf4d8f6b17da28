// `headroom` and `headroom chat`: a conversation in the window, or in the terminal if there is no display.
#include <filesystem>
#include <ostream>

#include "app/chat.h"
#include "app/commands.h"
#include "app/desktop_window.h"
#include "app/format.h"
#include "app/options.h"
#include "engine/base/error.h"

namespace headroom {
namespace {

struct ChatOptions {
  CommonOptions common;
  PromptOptions prompt;
  SamplingOptions sampling;
  CacheOptions cache;
  std::optional<std::string> engine;
  bool terminal = false;
};

ControllerOptions controller_options(const ChatOptions& options, const std::optional<CacheConfig>& cache,
                                     const TurnOptions& turn, const TemplateChoice& chat_template) {
  ControllerOptions result;
  result.chat_template = chat_template;
  // --engine may start a program on another machine: a path given with it is a path of that machine. Without a model
  // the window opens too, and says how to get one.
  result.model_path = options.engine ? options.common.model.value_or("") : options.common.named_model_path();
  if (!options.engine) {
    result.default_model_path = default_model_path();
    if (result.model_path.empty() && std::filesystem::exists(result.default_model_path))
      result.model_path = result.default_model_path;
  }
  result.backend = options.common.backend.value_or("");
  result.n_threads = static_cast<int32_t>(options.common.n_threads.value_or(0));
  result.n_ctx = static_cast<int32_t>(options.common.n_ctx.value_or(0));
  result.config = cache;
  result.sampler = turn.sampler;
  result.max_tokens = turn.max_tokens;
  result.stop_strings = turn.stop_strings;
  result.system_prompt = options.prompt.system.value_or("");
  result.engine_command = options.engine.value_or("");
  return result;
}

}  // namespace

void chat_command(const Arguments& args, Console& io) {
  ChatOptions options;
  CommandLine line("chat", "Chat in the window; without a display in the terminal, where /help lists the commands.",
                   "  headroom\n"
                   "  headroom chat -m model.gguf --system \"You are a patient teacher.\"\n"
                   "  headroom chat --threshold 0.9 --temp 0\n"
                   "  headroom chat --engine \"ssh gpubox headroom engine\" -m /models/there.gguf");
  line.begin_group("Chat");
  line.add_text("--system", "TEXT", "system prompt (also -sys)", options.prompt.system);
  options.prompt.chat_template.add_to(line);
  line.add_text("--engine", "COMMAND", "command that runs the engine over its standard streams (default: this program)",
                options.engine);
  line.add_flag("--terminal", "chat in the terminal, even if there is a display", options.terminal);
  options.sampling.add_to(line);
  options.cache.add_to(line,
                       "default: headroom for a model with a table of importance, else paper; headroom with --keep or "
                       "--cache-type, paper with what shapes its policies");
  options.common.add_to(line);
  line.parse(args, io);
  if (options.common.json) throw UsageError("--json is for single answers: headroom run -p TEXT --json");
  if (options.terminal && options.engine)
    throw UsageError("--engine is for the window; --terminal runs in this process");
  std::optional<CacheConfig> cache;
  if (options.cache.given()) cache = options.cache.make_config("headroom");
  const TurnOptions turn = options.sampling.make_turn_options();
  const TemplateChoice chat_template = options.prompt.chat_template.choose(io);
  if (!options.terminal) {
    const std::string no_window = show_chat_window(controller_options(options, cache, turn, chat_template));
    if (no_window.empty()) return;
    if (options.engine) throw Error(ErrorKind::device, no_window);
    io.err << "headroom: " << printable(no_window) << "; the chat is in the terminal" << std::endl;
  }
  chat_in_terminal(options.common, chat_template, options.prompt.system.value_or(""), cache, turn, {}, io);
}

}  // namespace headroom
