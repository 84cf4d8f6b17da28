// `headroom profile`: a prompt ─► what every head would keep of its KV cache, as a map or as JSON. Nothing is
// generated.
#include <ostream>

#include "app/commands.h"
#include "app/format.h"
#include "app/json_report.h"
#include "app/options.h"
#include "app/terminal_head_map.h"
#include "app/turn_printer.h"
#include "engine/base/error.h"
#include "engine/run/prompt.h"

namespace headroom {
namespace {

std::string profile_text(const Model& model, const Backend& backend, const TurnResult& result, const CacheState& state,
                         const CacheConfig& config, bool use_colour) {
  std::string text = format("%s on %s (%s)\n", printable(file_name(model.path())).c_str(), backend.info().name.c_str(),
                            backend.info().device.c_str());
  text += format("%d tokens read in %.0f ms (%.1f/s), %.1f ms of it for profiling; configuration %s",
                 result.n_prompt_tokens, result.prefill_ms, result.prompt_tokens_per_s, result.profile_ms,
                 config.name.c_str());
  if (config.policy_set.size() > 1)
    text += format(", recovery at least %g (%s of the query group)", config.threshold,
                   config.group == GroupReduce::min ? "min" : "mean");
  text += "\n\n" + head_map_text(state, config, use_colour);
  text += "\nKV " + kv_share_text(state) +
          format(" live, %s taken from the system\n", bytes_text(state.kv_pool_bytes).c_str());
  return text;
}

}  // namespace

void profile_command(const Arguments& args, Console& io) {
  CommonOptions common;
  PromptOptions prompt;
  CacheOptions cache;
  CommandLine line("profile", "Reads a prompt and shows which policy every head takes and what it keeps.",
                   "  headroom profile -f notes.txt\n"
                   "  headroom profile -f notes.txt --threshold 0.9 --group mean\n"
                   "  headroom profile -p \"Hello\" --policy-set special,special+local,full\n"
                   "  headroom profile --raw -f prompt.txt --json");
  prompt.add_to(line);
  cache.add_to(line);
  common.add_to(line);
  line.parse(args, io);
  prompt.check();
  if (!prompt.given()) throw UsageError("profile needs a prompt: -p TEXT or -f FILE");
  const CacheConfig config = cache.make_config();

  const TemplateChoice chat_template = prompt.chat_template.choose(io);
  const std::string text = prompt.read(io);
  common.prepare_backend();
  const Model model(common.model_path(), chat_template);
  if (!prompt.raw) check_template(model, io);
  const std::unique_ptr<Backend> backend = common.open_backend();
  Session session(model, *backend, make_session_options(common, config));
  print_cache_note(session, io);

  TurnResult result;
  {
    TurnPrinter printer(io, false);
    TurnOptions turn;
    turn.max_tokens = 0;
    std::string note;
    result = prompt.raw ? session.run_ids(encode_raw(model, text, prompt.special, &note), turn, printer)
                        : session.run_turn(prompt.messages(text), turn, printer);
    if (result.stop_message.empty()) result.stop_message = note;
  }
  if (result.stop_reason == StopReason::out_of_memory) throw Error(ErrorKind::out_of_memory, result.stop_message);
  if (!result.stop_message.empty()) io.err << printable(result.stop_message) << std::endl;
  const CacheState state = session.cache_state();
  if (common.json)
    io.out << json_line(profile_json({.model_path = model.path(),
                                      .backend = backend->info(),
                                      .config = state.config,
                                      .state = state,
                                      .result = result}));
  else
    io.out << profile_text(model, *backend, result, state, state.config, io.use_colour);
}

}  // namespace headroom
