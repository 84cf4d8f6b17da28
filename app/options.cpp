// Shared options ─► engine values; every contradiction is one sentence.
#include "app/options.h"

#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <ostream>
#include <random>

#include "app/format.h"
#include "app/text_input.h"
#include "engine/backend/registry.h"
#include "engine/base/error.h"
#include "engine/base/platform/platform.h"
#include "engine/run/prompt.h"
#include "engine/text/named_templates.h"

namespace headroom {
namespace {

constexpr const char* default_model_name = "SmolLM2-135M-Instruct.Q4_1.gguf";
constexpr int64_t max_tokens_limit = max_position;

/// Blocks SIGINT in threads that start while this lives, so that Ctrl+C always interrupts the main thread's read.
class SignalsToMainThread {
 public:
  SignalsToMainThread() {
    sigset_t interrupt;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    pthread_sigmask(SIG_BLOCK, &interrupt, &before_);
  }
  ~SignalsToMainThread() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

template <typename Value, typename Option>
void set_if_given(Value& value, const std::optional<Option>& option) {
  if (option) value = static_cast<Value>(*option);
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::vector<Policy> parse_policy_set(const std::string& text) {
  std::vector<Policy> policies;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string name = text.substr(begin, end - begin);
    const std::optional<Policy> policy = parse_policy(name);
    if (!policy)
      throw UsageError("--policy-set names '" + name +
                       "', expected unions such as special+punct of special, punct, frequent, first, local, or full");
    if (std::find(policies.begin(), policies.end(), *policy) != policies.end())
      throw UsageError("--policy-set names " + policy_name(*policy) + " twice, expected each policy once");
    policies.push_back(*policy);
    begin = end + 1;
  }
  return policies;
}

}  // namespace

void add_backend_option(CommandLine& line, std::optional<std::string>& backend) {
  line.add_choice(
      "--backend", "NAME", "backend (default: HEADROOM_BACKEND, else the first of `headroom devices`)",
      {"cuda", "vulkan", "cpu", "cpu-reference", "vulkan-lane", "vulkan-subgroup", "vulkan-dot", "vulkan-own-memory"},
      backend);
}

void CommonOptions::add_to(CommandLine& line) {
  line.begin_group("Model and machine");
  line.add_text("-m,--model", "FILE", "GGUF file (default: HEADROOM_MODEL, else the model that ./run.sh downloads)",
                model);
  line.add_int("-t,--threads", "threads (default: physical cores)", 1, 1024, n_threads);
  add_backend_option(line, backend);
  line.add_int("-c,--ctx-size", "context in tokens (default: the model's, at most what memory allows)", 1,
               max_tokens_limit, n_ctx);
  line.add_flag("--json", "one JSON object on standard output; an error is {\"error\": \"...\"}", json);
}

std::string default_model_path() {
  return cache_folder() + "/models/" + default_model_name;
}

std::string CommonOptions::named_model_path() const {
  if (model) return *model;
  const char* named = std::getenv("HEADROOM_MODEL");
  return named != nullptr ? named : "";
}

std::string CommonOptions::model_path() const {
  if (std::string named = named_model_path(); !named.empty() || model) return named;
  const std::string path = default_model_path();
  if (!std::filesystem::exists(path))
    throw Error(ErrorKind::io,
                "the default model is not at " + path + ": ./run.sh fetches it, or -m FILE names another GGUF file");
  return path;
}

std::unique_ptr<Backend> CommonOptions::open_backend() const {
  const SignalsToMainThread block;
  return make_backend({.name = backend.value_or(""), .n_threads = static_cast<int>(n_threads.value_or(0))});
}

void CommonOptions::prepare_backend() const {
  const SignalsToMainThread block;
  headroom::prepare_backend({.name = backend.value_or("")});
}

RestartableBackend CommonOptions::open_restartable_backend() const {
  const SignalsToMainThread block;
  return RestartableBackend({.name = backend.value_or(""), .n_threads = static_cast<int>(n_threads.value_or(0))});
}

void CacheOptions::add_to(CommandLine& line, const std::string& default_config) {
  line.begin_group("What a head keeps");
  line.add_text("--cache", "full|fastgen", "full keeps every token in every head (default: fastgen)", cache);
  line.add_text("--config", "NAME",
                "paper, headroom, local, streaming, h2o, snapkv, adakv, uniform, uniform-expected, full, or an "
                "ablation of paper, which /config in a chat lists (" +
                    default_config + ")",
                config);
  line.add_text("--policy-set", "A,B+C,...",
                "policies to choose from, cheapest first: unions of special, punct, frequent, first, local; full",
                policy_set);
  line.add_number("--r-local", "share of the tokens that `local` keeps, from the end (default: 0.3)", 0, 1, r_local);
  line.add_number("--r-frequent", "share of the tokens that `frequent` keeps (default: 0.3)", 0, 1, r_frequent);
  line.add_number("--threshold", "share of the attention that a policy must recover (default: 0.95)", 0, max_threshold,
                  threshold);
  line.add_number("--keep",
                  "share of a prompt's tokens that all heads together keep (default: 0.5 if budgets are shared, else "
                  "what the policies keep); paper solves for the threshold",
                  0, 1, keep);
  line.add_text("--kv-budget", "SIZE",
                "upper bound for the live bytes of the cache, such as 24MiB; implies --config headroom", kv_budget);
  line.add_text("--cache-type", "f16|q8_0", "storage type of keys and values (default: f16)", cache_type);
  line.add_text("--calibration", "FILE",
                "importance of each head, made by `headroom calibrate` (default: the model's own table)", calibration);
  line.add_text("--group", "min|mean", "how to combine the recoveries of a group's query heads (default: min)", group);
}

CacheConfig named_cache_config(const std::string& name) {
  if (const std::optional<CacheConfig> found = find_cache_config(name)) return *found;
  const std::string nearest = nearest_name(name, cache_config_names());
  throw UsageError("unknown configuration '" + name + "'; " +
                   (nearest.empty() ? "expected one of " + joined(cache_config_names()) : "the nearest is " + nearest));
}

bool CacheOptions::given() const {
  return cache || config || policy_set || group || kv_budget || cache_type || calibration || r_local || r_frequent ||
         threshold || keep;
}

CacheConfig CacheOptions::make_config(const std::string& unnamed) const {
  const std::string kind = cache.value_or(config == "full" ? "full" : "fastgen");
  if (kind != "full" && kind != "fastgen") throw UsageError("--cache is '" + kind + "', expected full or fastgen");
  if (cache_type && *cache_type != "f16" && *cache_type != "q8_0")
    throw UsageError("--cache-type is '" + *cache_type + "', expected f16 or q8_0");
  const CacheType type = cache_type == "q8_0" ? CacheType::q8_0 : CacheType::f16;
  if (kind == "full") {
    const bool shaped = policy_set || r_local || r_frequent || threshold || keep || group || kv_budget || calibration;
    if (shaped || (config && config != "full"))
      throw UsageError(std::string(cache ? "--cache full" : "--config full") +
                       " keeps every token and contradicts the other options of what a head keeps");
    CacheConfig result = named_cache_config("full");
    result.cache_type = type;
    return result;
  }
  if (config == "full") throw UsageError("--cache fastgen contradicts --config full, expected one of them");
  if (config && policy_set) throw UsageError("--config and --policy-set both name the policies, expected one of them");
  if (group && *group != "min" && *group != "mean")
    throw UsageError("--group is '" + *group + "', expected min or mean");

  const bool shapes_paper = policy_set || r_local || r_frequent || threshold || group;
  const std::string by_options = kv_budget && !policy_set ? "headroom" : shapes_paper ? "paper" : unnamed;
  CacheConfig result = named_cache_config(config.value_or(by_options));
  if (policy_set) {
    result.name = "custom";
    result.policy_set = parse_policy_set(*policy_set);
  }
  if (keep) set_keep(result);
  if (kv_budget) {
    if (result.budget != BudgetKind::shared)
      throw UsageError("--kv-budget needs budgets that heads share, as those of --config headroom or uniform; found " +
                       result.name);
    result.kv_budget_bytes = parse_bytes("--kv-budget", *kv_budget);
    if (!keep) result.keep = 1;  // only the byte budget decides
  }
  if (calibration) {
    if (result.importance != ImportanceKind::calibrated)
      throw UsageError("--calibration needs a configuration that counts importance, such as headroom; found " +
                       result.name);
    result.calibration_file = *calibration;
  }
  if ((r_local || r_frequent || threshold) && result.budget != BudgetKind::fixed)
    throw UsageError("--r-local, --r-frequent and --threshold shape fixed budgets; the budgets of " + result.name +
                     " follow --keep");
  set_if_given(result.r_local, r_local);
  set_if_given(result.r_frequent, r_frequent);
  set_if_given(result.threshold, threshold);
  if (group) result.group = *group == "mean" ? GroupReduce::mean : GroupReduce::min;
  result.cache_type = type;
  return result;
}

void CacheOptions::set_keep(CacheConfig& result) const {
  if (*keep <= 0) throw UsageError("--keep is 0, expected a share above 0");
  if (result.budget == BudgetKind::fixed) {
    if (r_local || r_frequent)
      throw UsageError("--keep sets the shares that --r-local and --r-frequent set, expected one of them");
    if (threshold && result.policy_set.size() > 1)
      throw UsageError("--keep finds the threshold that --threshold sets, expected one of them");
  }
  if (!takes_keep(result)) throw UsageError("--keep has no share to set in " + policy_name(result.policy_set.front()));
  result = with_keep(std::move(result), *keep);
}

void TemplateOption::add_to(CommandLine& line) {
  line.add_text("--chat-template", "FILE|NAME",
                "use this chat template instead of the file's own: a Jinja file, or one of " + template_name_list(),
                text);
}

TemplateChoice TemplateOption::choose(Console& io) const {
  if (!text) return {};
  if (const NamedTemplate* named = find_named_template(*text))
    return {.name = std::string(named->name), .source = std::string(named->source)};
  std::error_code error;
  if (text->empty() || !std::filesystem::exists(*text, error)) {
    const std::string nearest = nearest_name(*text, template_names());
    throw UsageError("--chat-template is '" + *text + "', which is no file and no name" +
                     (nearest.empty() ? "" : " (the nearest is " + nearest + ")") + "; the names are " +
                     template_name_list());
  }
  TemplateChoice choice{.name = *text, .source = read_file(*text, io.err, TemplateLimits{}.max_source_bytes)};
  if (choice.source.find_first_not_of(" \t\r\n") == std::string::npos)
    throw Error("the chat template " + *text + " is empty; a template in Jinja was expected");
  try {
    const ChatTemplate parsed(choice.source);
  } catch (const Error& refusal) {
    throw Error(refusal.kind(), "the chat template " + *text + " cannot be used: " + refusal.what());
  }
  return choice;
}

void check_template(const Model& model, Console& io) {
  if (!model.template_problem().empty()) throw Error(model.template_problem());
  if (!model.template_note().empty()) io.err << "note: " << printable(model.template_note()) << std::endl;
}

void PromptOptions::add_to(CommandLine& line) {
  line.begin_group("Prompt");
  line.add_text("-p,--prompt", "TEXT", "the message", prompt);
  line.add_text("-f,--file", "FILE", "read the message from a file, unchanged; - reads standard input", file);
  line.add_text("--system", "TEXT", "system prompt (also -sys)", system);
  chat_template.add_to(line);
  line.add_flag("--raw", "send the text without the chat template", raw);
  line.add_flag("--special", "with --raw: let control-token text become control tokens", special);
}

void PromptOptions::check() const {
  if (prompt && file) throw UsageError("-p and -f both give the prompt, expected one of them");
  if (raw && system) throw UsageError("--raw takes the text without the chat template, so --system has no place in it");
  if (raw && chat_template.text)
    throw UsageError("--raw takes the text without a chat template, so --chat-template has no place in it");
  if (special && !raw) throw UsageError("--special needs --raw: a chat message never becomes a control token");
  if (raw && !given()) throw UsageError("--raw needs a prompt: -p TEXT or -f FILE");
}

std::string PromptOptions::read(Console& io) const {
  if (prompt) {
    check_prompt_text(*prompt, "the prompt");
    return *prompt;
  }
  const std::string text = read_text(*file, io);
  check_prompt_text(text, *file == "-" ? "the prompt on standard input" : "the prompt in " + *file);
  return text;
}

std::vector<ChatMessage> PromptOptions::messages(const std::string& text) const {
  std::vector<ChatMessage> messages;
  if (system) messages.push_back({.role = "system", .content = *system, .ids = {}});
  messages.push_back({.role = "user", .content = text, .ids = {}});
  return messages;
}

void SamplingOptions::add_to(CommandLine& line) {
  line.begin_group("Answer");
  line.add_int("-n,--predict", "generate at most this many tokens; -1: to the end of the turn (default: -1)", -1,
               max_tokens_limit, max_tokens);
  line.add_number("--temp", "temperature; 0 takes the most likely token (default: 0.7)", 0, 100, temperature);
  line.add_int("--top-k", "sample from the k most likely tokens; 0: off (default: 40)", 0,
               std::numeric_limits<int32_t>::max(), top_k);
  line.add_number("--top-p", "sample from the smallest set with this total probability; 1: off (default: 0.95)", 0, 1,
                  top_p, CommandLine::Lowest::excluded);
  line.add_number("--min-p", "drop tokens below this share of the top probability; 0: off (default: 0.05)", 0, 1,
                  min_p);
  line.add_number("--repeat-penalty", "divide the logits of recent tokens by this; 1: off (default: 1)", 0.01, 100,
                  repeat_penalty);
  line.add_int("-s,--seed", "seed; the same seed gives the same answer (default: random)", 0,
               std::numeric_limits<int64_t>::max(), seed);
  line.add_repeated_text("--stop", "TEXT", "stop before this text; may be repeated", stop_strings);
}

TurnOptions SamplingOptions::make_turn_options() const {
  TurnOptions options;
  SamplerOptions& sampler = options.sampler;
  set_if_given(sampler.temperature, temperature);
  set_if_given(sampler.top_k, top_k);
  set_if_given(sampler.top_p, top_p);
  set_if_given(sampler.min_p, min_p);
  set_if_given(sampler.repeat_penalty, repeat_penalty);
  // 32 bits, so that every JSON reader can represent a random seed exactly.
  sampler.seed = seed ? static_cast<uint64_t>(*seed) : std::random_device{}();
  set_if_given(options.max_tokens, max_tokens);
  for (const std::string& stop : stop_strings)
    if (stop.empty()) throw UsageError("--stop is empty, expected a text");
  options.stop_strings = stop_strings;
  return options;
}

void print_cache_note(const Session& session, Console& io) {
  if (!session.cache_note().empty()) io.err << "note: " << printable(session.cache_note()) << std::endl;
}

SessionOptions make_session_options(const CommonOptions& common, const CacheConfig& cache) {
  return {.cache = cache, .n_ctx = static_cast<int32_t>(common.n_ctx.value_or(0))};
}

}  // namespace headroom
