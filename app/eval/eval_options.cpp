// Checks the arguments of `headroom eval` one by one and against each other, and reads the texts they name.
#include "app/eval/eval_options.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "app/format.h"
#include "app/json_report.h"
#include "app/text_input.h"
#include "engine/base/error.h"
#include "engine/run/prompt.h"

namespace headroom::eval {
namespace {

constexpr const char* default_configs = "headroom,paper,h2o,streaming";

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

/// A duplicate would give two rows with one name.
template <typename Value>
void check_different(const std::vector<Value>& values, const char* option) {
  std::vector<Value> sorted = values;
  std::sort(sorted.begin(), sorted.end());
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
    throw UsageError(std::string(option) + " names something twice, expected each once");
}

std::string base_name(const std::string& path) {
  return path == "-" ? "standard input" : file_name(path);
}

Text read_prompt(const std::string& path, Console& io) {
  Text text{.name = base_name(path), .text = read_text(path, io)};
  check_prompt_text(text.text, path == "-" ? "the prompt on standard input" : "the prompt in " + path);
  return text;
}

std::vector<std::string> text_files(const std::string& folder) {
  std::error_code error;
  std::vector<std::string> paths;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    if (entry->path().extension() == ".txt" && !entry->is_directory()) paths.push_back(entry->path().string());
  if (error) throw Error(ErrorKind::io, "cannot read the folder " + folder + ": " + error.message());
  if (paths.empty()) throw Error("the folder " + folder + " holds no .txt file, expected one for each prompt");
  std::sort(paths.begin(), paths.end());
  return paths;
}

void check_names(const std::vector<Text>& texts, const char* what) {
  std::set<std::string> names;
  for (const Text& text : texts)
    if (!names.insert(text.name).second)
      throw UsageError(std::string("two ") + what + " are named " + text.name + ", expected different names");
}

std::vector<ModelFileName> find_models(const EvalOptions& options) {
  std::vector<std::string> paths = options.models;
  if (paths.empty()) paths.push_back(options.common.model_path());
  std::vector<ModelFileName> models;
  for (const std::string& path : paths) {
    std::error_code error;
    const auto size_bytes = std::filesystem::file_size(path, error);
    if (error) throw Error(ErrorKind::io, "cannot open " + path + ": " + error.message());
    for (const ModelFileName& other : models)
      if (other.name == file_name(path))
        throw UsageError("two models are named " + other.name + ", expected different file names");
    models.push_back({.path = path, .name = file_name(path), .size_bytes = static_cast<int64_t>(size_bytes)});
  }
  return models;
}

std::vector<double> parse_keeps(const std::optional<std::string>& text) {
  std::vector<double> keeps;
  if (!text) return keeps;
  for (const std::string& part : split(*text)) keeps.push_back(parse_number("--keep", part, 0.01, 1));
  check_different(keeps, "--keep");
  return keeps;
}

std::vector<CacheType> parse_cache_types(const std::optional<std::string>& text) {
  std::vector<CacheType> types;
  for (const std::string& part : split(text.value_or("f16"))) {
    if (part == cache_type_name(CacheType::f16))
      types.push_back(CacheType::f16);
    else if (part == cache_type_name(CacheType::q8_0))
      types.push_back(CacheType::q8_0);
    else
      throw UsageError("--cache-type names '" + part + "', expected f16, q8_0 or both with a comma between them");
  }
  check_different(types, "--cache-type");
  return types;
}

std::vector<ProbeKind> parse_probes(const std::optional<std::string>& text) {
  if (!text) return {};
  if (*text == "all") return all_probes();
  std::vector<ProbeKind> probes;
  for (const std::string& part : split(*text)) {
    const std::optional<ProbeKind> probe = find_probe(part);
    if (!probe)
      throw UsageError("--probe names '" + part + "', expected some of " + joined(probe_names()) + ", or all");
    probes.push_back(*probe);
  }
  check_different(probes, "--probe");
  return probes;
}

Shard parse_shard(const std::optional<std::string>& text) {
  if (!text) return {};
  const size_t slash = text->find('/');
  if (slash == std::string::npos)
    throw UsageError("--shard is '" + *text + "', expected two numbers such as 1/4: the first of four shards");
  const auto count = static_cast<int32_t>(parse_int("--shard", text->substr(slash + 1), 1, 10'000));
  return {.index = static_cast<int32_t>(parse_int("--shard", text->substr(0, slash), 1, count)), .count = count};
}

std::optional<Experiment> parse_experiment(const EvalOptions& options) {
  if (!options.experiment) return std::nullopt;
  const std::optional<Experiment> experiment = find_experiment(*options.experiment);
  if (!experiment)
    throw UsageError("unknown experiment '" + *options.experiment + "', expected one of " + joined(experiment_names()));
  if (options.configs || options.policy_set)
    throw UsageError("--experiment names its own configurations and contradicts --config and --policy-set");
  const bool shared_keep = *experiment == Experiment::ablations || *experiment == Experiment::order;
  if (options.keeps && !shared_keep)
    throw UsageError("--experiment " + *options.experiment +
                     " sets thresholds and shares itself, which --keep contradicts");
  const bool sets_shares = *experiment == Experiment::sensitivity;
  if ((sets_shares && (options.r_local || options.r_frequent)) ||
      (*experiment == Experiment::t_sweep && options.threshold))
    throw UsageError("--experiment " + *options.experiment + " sets this value itself, expected no option for it");
  return experiment;
}

std::vector<Cell> make_cells(const EvalOptions& options, const std::optional<Experiment>& experiment) {
  std::vector<Cell> cells;
  if (experiment) {
    cells = experiment_cells(*experiment);
  } else {
    if (options.configs || !options.policy_set) {
      const std::vector<std::string> names = split(options.configs.value_or(default_configs));
      check_different(names, "--config");
      for (const std::string& name : names)
        cells.push_back({.config = named_cache_config(name), .setting = "", .keep = std::nullopt});
    }
    if (options.policy_set) {
      CacheOptions custom;
      custom.policy_set = options.policy_set;
      cells.push_back({.config = custom.make_config(), .setting = "", .keep = std::nullopt});
    }
  }
  CellOverrides overrides{.threshold = options.threshold,
                          .r_local = options.r_local,
                          .r_frequent = options.r_frequent,
                          .group = std::nullopt,
                          .kv_budget_bytes = 0,
                          .calibration_file = options.calibration.value_or("")};
  if (options.group) {
    if (*options.group != "min" && *options.group != "mean")
      throw UsageError("--group is '" + *options.group + "', expected min or mean");
    overrides.group = *options.group == "mean" ? GroupReduce::mean : GroupReduce::min;
  }
  if (options.kv_budget) overrides.kv_budget_bytes = parse_bytes("--kv-budget", *options.kv_budget);
  return expand(cells, parse_keeps(options.keeps), parse_cache_types(options.cache_types), overrides);
}

}  // namespace

void Outputs::add_to(CommandLine& line) {
  line.begin_group("Report");
  line.add_flag("--json", "one JSON object on standard output; an error is {\"error\": \"...\"}", json);
  line.add_text("--csv", "FILE", "every row, as comma-separated values", csv_path);
  line.add_text("--plot", "FILE.svg", "plot of quality against live bytes, one line per configuration", plot_path);
}

void EvalOptions::add_to(CommandLine& line) {
  line.begin_group("What is measured");
  line.add_repeated_text("-f,--file", "FILE", "a prompt, the file's bytes unchanged; may be repeated", files);
  line.add_text("--prompts", "FOLDER", "every .txt file of a folder, by name", folder);
  line.add_text("-p,--prompt", "TEXT", "a prompt", prompt);
  line.add_text("--system", "TEXT", "system prompt (also -sys)", system);
  chat_template.add_to(line);
  line.add_flag("--raw", "use the texts without the chat template", raw);
  line.add_flag("--special", "with --raw: control-token text in them becomes control tokens", special);
  line.add_repeated_text("--perplexity", "FILE", "perplexity of a long text's second part; may be repeated",
                         perplexity_files);
  line.add_text("--probe", "NAME,...", "tasks: " + joined(probe_names()) + ", or all", probes);
  line.add_text("--experiment", "NAME", "one of the paper's: " + joined(experiment_names()), experiment);
  line.add_int("-n,--predict", "scored tokens (default: 64; perplexity: at most 512)", 1, 65'536, n_scored);
  line.add_int("--instances", "instances per probe (default: 200)", 1, 1'000'000, n_instances);
  line.add_int("-s,--seed", "seed of the probes (default: 1)", 0, max_position, seed);

  line.begin_group("What a head keeps");
  line.add_text("--config", "NAME,...", std::string("configurations to compare (default: ") + default_configs + ")",
                configs);
  line.add_text("--keep", "X,X,...", "each configuration at each share of the tokens (default: its own)", keeps);
  line.add_text("--policy-set", "A,B+C,...", "one more configuration, named custom", policy_set);
  line.add_number("--threshold", "recovery that a policy must reach (default: 0.95)", 0, max_threshold, threshold);
  line.add_number("--r-local", "share of the last tokens that `local` keeps", 0, 1, r_local);
  line.add_number("--r-frequent", "share of tokens that `frequent` keeps", 0, 1, r_frequent);
  line.add_text("--group", "min|mean", "recovery of a KV head from those of its query heads (default: min)", group);
  line.add_text("--kv-budget", "SIZE", "upper bound for the live bytes, such as 24MiB, for shared budgets", kv_budget);
  line.add_text("--calibration", "FILE", "table of importance (default: the model's own)", calibration);
  line.add_text("--cache-type", "f16,q8_0", "storage types of keys and values (default: f16)", cache_types);

  line.begin_group("Parts of a long run");
  line.add_text("--resume", "FILE", "store finished rows here; an interrupted run continues", resume_path);
  line.add_text("--shard", "I/N", "the I-th of N parts; `headroom eval merge` joins their JSON reports", shard);
  outputs.add_to(line);

  line.begin_group("Model and machine");
  line.add_repeated_text("-m,--model", "FILE", "GGUF file (default: same as run); may be repeated", models);
  line.add_int("-t,--threads", "threads (default: physical cores)", 1, 1024, common.n_threads);
  add_backend_option(line, common.backend);
  line.add_int("-c,--ctx-size", "context in tokens (default: the model's, at most what memory allows)", 1, max_position,
               common.n_ctx);
}

Plan EvalOptions::make_plan(Console& io) const {
  Plan plan;
  const std::optional<Experiment> chosen = parse_experiment(*this);
  plan.cells = make_cells(*this, chosen);
  plan.probes = parse_probes(probes);
  plan.shard = parse_shard(shard);
  const bool profiles = chosen == Experiment::profiling;
  if (profiles)
    for (const int32_t n_tokens : {128, 256, 512, 1024, 2048, 4096})
      if (!common.n_ctx || n_tokens < *common.n_ctx) plan.profile_lengths.push_back(n_tokens);
  if (profiles && plan.profile_lengths.empty())
    throw UsageError("--experiment profiling reads 128 tokens and more, expected a larger --ctx-size");
  const bool has_prompts = prompt || folder || !files.empty();
  if (!has_prompts && perplexity_files.empty() && plan.probes.empty() && !profiles)
    throw UsageError(
        "eval needs something to measure: -f FILE, --prompts FOLDER, -p TEXT, --perplexity FILE or --probe");
  if (raw && system) throw UsageError("--raw takes the text without the chat template, so --system has no place in it");
  plan.chat_template = chat_template.choose(io);
  if (raw && chat_template.text)
    throw UsageError("--raw takes the text without a chat template, so --chat-template has no place in it");
  if (special && !raw) throw UsageError("--special needs --raw: a chat message never becomes a control token");

  if (prompt) {
    check_prompt_text(*prompt, "the prompt");
    plan.prompts.push_back({.name = "prompt", .text = *prompt});
  }
  for (const std::string& path : files) plan.prompts.push_back(read_prompt(path, io));
  if (folder)
    for (const std::string& path : text_files(*folder)) plan.prompts.push_back(read_prompt(path, io));
  for (const std::string& path : perplexity_files) plan.long_texts.push_back(read_prompt(path, io));
  check_names(plan.prompts, "prompts");
  check_names(plan.long_texts, "texts");

  plan.models = find_models(*this);
  plan.system = system;
  plan.raw = raw;
  plan.special = special;
  if (n_scored) plan.n_scored = plan.n_perplexity = static_cast<int32_t>(*n_scored);
  if (n_instances) plan.n_instances = static_cast<int32_t>(*n_instances);
  if (seed) plan.seed = static_cast<uint64_t>(*seed);
  return plan;
}

}  // namespace headroom::eval
