// `headroom run`: a prompt, or a conversation in the terminal ─► answers.
#include <csignal>
#include <ostream>

#include "app/chat.h"
#include "app/commands.h"
#include "app/format.h"
#include "app/json_report.h"
#include "app/options.h"
#include "app/recording.h"
#include "app/turn_printer.h"
#include "engine/base/error.h"
#include "engine/run/calibration_table.h"
#include "engine/run/prompt.h"

namespace headroom {
namespace {

struct RunOptions {
  CommonOptions common;
  PromptOptions prompt;
  SamplingOptions sampling;
  CacheOptions cache;
  std::optional<std::string> trace;
};

void run_one_turn(const RunOptions& options, const CacheConfig& cache, const TurnOptions& turn, Console& io) {
  const TemplateChoice chat_template = options.prompt.chat_template.choose(io);
  const std::string text = options.prompt.read(io);
  options.common.prepare_backend();
  const Model model(options.common.model_path(), chat_template);
  if (!options.prompt.raw) check_template(model, io);
  const std::unique_ptr<Backend> backend = options.common.open_backend();
  Session session(model, *backend, make_session_options(options.common, cache));
  print_cache_note(session, io);
  Recording recording(options.trace, model, session, io);

  const InterruptGuard guard(io.interrupt);
  TurnPrinter printer(io, !options.common.json);
  const TurnResult result = options.prompt.raw ? recording.run_raw(text, options.prompt.special, turn, printer)
                                               : recording.run_turn(options.prompt.messages(text), turn, printer);
  const CacheState state = session.cache_state();
  printer.finish(result, state, state.config);
  if (options.common.json) {
    io.error_as_json = false;  // the object says how the turn ended
    io.out << json_line(run_json({.model_path = model.path(),
                                  .backend = backend->info(),
                                  .config = state.config,
                                  .state = state,
                                  .result = result,
                                  .seed = turn.sampler.seed}));
  }
  if (result.stop_reason == StopReason::out_of_memory) throw Error(ErrorKind::out_of_memory, result.stop_message);
  if (!result.stop_message.empty()) io.err << printable(result.stop_message) << std::endl;
  if (io.interrupt.requested) throw EndedBySignal(SIGINT);
}

}  // namespace

void chat_in_terminal(const CommonOptions& common, const TemplateChoice& chat_template, const std::string& system,
                      const std::optional<CacheConfig>& cache, const TurnOptions& turn,
                      const std::optional<std::string>& trace, Console& io) {
  common.prepare_backend();
  const Model model(common.model_path(), chat_template);
  check_template(model, io);
  RestartableBackend backend = common.open_restartable_backend();
  Session session(model, backend.get(), make_session_options(common, cache ? *cache : default_chat_config(model)));
  print_cache_note(session, io);
  Recording recording(trace, model, session, io);
  chat(model, session, recording, backend, turn, system, io);
}

void run_command(const Arguments& args, Console& io) {
  RunOptions options;
  CommandLine line("run", "One answer to -p or -f; a chat in the terminal without them.",
                   "  headroom run -p \"What is gravity?\"\n"
                   "  headroom run -f question.txt -n 200 --temp 0 --json\n"
                   "  cat notes.txt | headroom run -f - --system \"Summarise in two sentences.\"\n"
                   "  headroom run --config h2o --keep 0.4 -p \"…\"\n"
                   "  headroom run -m old-chat.gguf --chat-template vicuna\n"
                   "  headroom run --raw --special -p \"<|im_start|>user\"");
  options.prompt.add_to(line);
  line.add_text("--trace", "FILE", "record the turns for `headroom replay`; an existing file is refused",
                options.trace);
  options.sampling.add_to(line);
  options.cache.add_to(line);
  options.common.add_to(line);
  line.parse(args, io);
  options.prompt.check();
  const CacheConfig cache = options.cache.make_config();
  const TurnOptions turn = options.sampling.make_turn_options();
  if (options.prompt.given()) return run_one_turn(options, cache, turn, io);
  if (options.common.json) throw UsageError("--json needs one prompt: -p TEXT or -f FILE");
  chat_in_terminal(options.common, options.prompt.chat_template.choose(io), options.prompt.system.value_or(""), cache,
                   turn, options.trace, io);
}

}  // namespace headroom
