// `headroom bench`: the speed of prefill and generation, without a text. Random plain tokens replace the text; their
// ids do not change the work of a dense model.
#include <algorithm>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <ostream>
#include <random>

#include "app/commands.h"
#include "app/format.h"
#include "app/json_report.h"
#include "app/options.h"
#include "app/ragged_bench.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/platform/thread_clock.h"
#include "engine/run/cache_lab.h"

namespace headroom {
namespace {

using Json = nlohmann::ordered_json;

struct BenchOptions {
  std::vector<int32_t> prompt_tokens{512};
  std::vector<int32_t> generated_tokens{128};
  std::vector<int32_t> depths{0};
  std::optional<int64_t> reps, seed;
};

/// One test, all its repetitions.
struct BenchResult {
  std::string test;  // "pp512", "tg128"
  int32_t depth = 0;
  int32_t n_tokens = 0;
  std::vector<double> tokens_per_s;
  double weight_bytes_per_token = 0;
  CacheState state;  // after the last repetition
  // Of all repetitions.
  BackendCounters counters;
  double host_seconds = 0;  // of the thread that asks the backend
  std::map<std::string, StageTime> stages;

  double median() const {
    std::vector<double> sorted = tokens_per_s;
    std::sort(sorted.begin(), sorted.end());
    const size_t n = sorted.size();
    return n % 2 == 1 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
  }
  double min() const { return *std::min_element(tokens_per_s.begin(), tokens_per_s.end()); }
  double max() const { return *std::max_element(tokens_per_s.begin(), tokens_per_s.end()); }
  double gb_per_s() const { return weight_bytes_per_token * median() / 1e9; }
};

/// Weight bytes that one pass reads: all matrices except the embedding table, unless that is also the output matrix.
double weight_bytes_of_a_pass(const ModelTensors& tensors) {
  size_t bytes = tensors.output.data.size() + tensors.output_norm.data.size();
  for (const LayerTensors& layer : tensors.layers) {
    for (const TensorView* tensor : {&layer.attn_norm, &layer.attn_q, &layer.attn_k, &layer.attn_v, &layer.attn_output,
                                     &layer.ffn_norm, &layer.ffn_gate, &layer.ffn_up, &layer.ffn_down})
      bytes += tensor->data.size();
    for (const std::optional<TensorView>* tensor :
         {&layer.attn_q_bias, &layer.attn_k_bias, &layer.attn_v_bias, &layer.attn_q_norm, &layer.attn_k_norm,
          &layer.post_attention_norm, &layer.post_ffw_norm})
      if (*tensor) bytes += (*tensor)->data.size();
  }
  return static_cast<double>(bytes);
}

class Bench {
 public:
  Bench(const Model& model, Backend& backend, CacheLab& session, int32_t reps, uint64_t seed)
      : backend_(backend),
        session_(session),
        reps_(reps),
        random_(seed),
        weight_bytes_(weight_bytes_of_a_pass(model.tensors())) {
    const Tokenizer& tokenizer = model.tokenizer();
    for (TokenId id = 0; id < std::min(tokenizer.size(), model.config().n_vocab); ++id)
      if (tokenizer.token_class(id) == TokenClass::plain) plain_ids_.push_back(id);
    if (plain_ids_.empty()) throw Error("the vocabulary of " + model.path() + " has no plain tokens to prefill with");
  }

  /// Maps the weights, starts the threads.
  void warm_up() {
    session_.clear();
    session_.prefill(random_ids(std::min(64, session_.n_ctx() - 2)), observer_);
    for (int i = 0; i < 2; ++i) session_.feed(random_ids(1)[0]);
  }

  BenchResult prompt(int32_t n_tokens, int32_t depth) {
    BenchResult result = begin_test("pp", n_tokens, depth);
    result.weight_bytes_per_token = weight_bytes_ / n_tokens;  // at least once per prompt
    for (int32_t rep = 0; rep < reps_; ++rep) {
      go_to_depth(depth);
      const std::vector<TokenId> ids = random_ids(n_tokens);
      time(result, [&] { session_.prefill(ids, observer_); });
      const int64_t waits = backend_.counters().waits;
      session_.mark();  // as a turn does before its answer
      result.counters.waits += backend_.counters().waits - waits;
    }
    return finish(result);
  }

  BenchResult generate(int32_t n_tokens, int32_t depth) {
    BenchResult result = begin_test("tg", n_tokens, depth);
    result.weight_bytes_per_token = weight_bytes_;
    for (int32_t rep = 0; rep < reps_; ++rep) {
      go_to_depth(depth);
      const std::vector<TokenId> ids = random_ids(n_tokens);
      time(result, [&] {
        for (const TokenId id : ids) {
          session_.feed(id);
        }
      });
    }
    return finish(result);
  }

 private:
  BenchResult begin_test(const char* kind, int32_t n_tokens, int32_t depth) {
    BenchResult result;
    result.test = kind + std::to_string(n_tokens);
    result.depth = depth;
    result.n_tokens = n_tokens;
    return result;
  }

  std::vector<TokenId> random_ids(int32_t n) {
    std::uniform_int_distribution<size_t> index(0, plain_ids_.size() - 1);
    std::vector<TokenId> ids(static_cast<size_t>(std::max(n, 1)));
    for (TokenId& id : ids) id = plain_ids_[index(random_)];
    return ids;
  }

  void go_to_depth(int32_t depth) {
    session_.clear();
    if (depth > 0) session_.prefill(random_ids(depth), observer_);
  }

  template <typename Work>
  void time(BenchResult& result, Work work) {
    backend_.reset_stage_times();
    const BackendCounters before = backend_.counters();
    const double thread_seconds = thread_cpu_seconds();
    const Clock::time_point begin = Clock::now();
    work();
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    result.tokens_per_s.push_back(result.n_tokens / seconds);
    result.host_seconds += thread_cpu_seconds() - thread_seconds;
    const BackendCounters after = backend_.counters();
    result.counters.calls += after.calls - before.calls;
    result.counters.submissions += after.submissions - before.submissions;
    result.counters.waits += after.waits - before.waits;
    result.counters.bytes_up += after.bytes_up - before.bytes_up;
    result.counters.bytes_down += after.bytes_down - before.bytes_down;
    for (const StageTime& stage : backend_.stage_times()) {
      StageTime& sum = result.stages[stage.name];
      sum.calls += stage.calls;
      sum.ms += stage.ms;
      sum.bytes += stage.bytes;
    }
  }

  BenchResult finish(BenchResult& result) {
    result.state = session_.cache_state();
    return std::move(result);
  }

  Backend& backend_;
  CacheLab& session_;
  int32_t reps_;
  std::mt19937_64 random_;
  TurnObserver observer_;
  double weight_bytes_;
  std::vector<TokenId> plain_ids_;
};

/// Stages by time, the longest first.
std::vector<StageTime> sorted_stages(const BenchResult& result) {
  std::vector<StageTime> stages;
  for (const auto& [name, stage] : result.stages) {
    stages.push_back(stage);
    stages.back().name = name;
  }
  std::sort(stages.begin(), stages.end(), [](const StageTime& a, const StageTime& b) { return a.ms > b.ms; });
  return stages;
}

double stage_gb_per_s(const StageTime& stage) {
  return stage.ms > 0 ? stage.bytes / stage.ms / 1e6 : 0;
}

/// Share of the time of all stages that was spent on evicting, moving and addressing pages.
double upkeep_share(const BenchResult& result) {
  double upkeep = 0, all = 0;
  for (const auto& [name, stage] : result.stages) {
    all += stage.ms;
    if (name == "evict" || name == "copy_page" || name == "step_state") upkeep += stage.ms;
  }
  return all > 0 ? upkeep / all : 0;
}

/// What the host asked of the device: of a generated token, or of a turn that reads a prompt.
Json counters_json(const BenchResult& result, int32_t reps) {
  if (result.test.starts_with("pp")) return {{"waits_per_turn", static_cast<double>(result.counters.waits) / reps}};
  const double n = static_cast<double>(result.n_tokens) * reps;
  return {{"calls_per_token", static_cast<double>(result.counters.calls) / n},
          {"submissions_per_token", static_cast<double>(result.counters.submissions) / n},
          {"waits_per_token", static_cast<double>(result.counters.waits) / n},
          {"bytes_up_per_token", static_cast<double>(result.counters.bytes_up) / n},
          {"bytes_down_per_token", static_cast<double>(result.counters.bytes_down) / n},
          {"host_us_per_token", 1e6 * result.host_seconds / n}};
}

/// read_gb_per_s: what a kernel that only reads reaches; 0 if it was not measured
Json result_json(const BenchResult& result, int32_t reps, double read_gb_per_s) {
  Json stages = Json::array();
  for (const StageTime& stage : sorted_stages(result)) {
    stages.push_back({{"name", stage.name},
                      {"calls", stage.calls / reps},
                      {"ms", stage.ms / reps},
                      {"gb_per_s", stage_gb_per_s(stage)}});
    if (read_gb_per_s > 0) stages.back()["of_read_bandwidth"] = stage_gb_per_s(stage) / read_gb_per_s;
  }
  return {{"test", result.test},
          {"depth", result.depth},
          {"tokens_per_s", {{"median", result.median()}, {"min", result.min()}, {"max", result.max()}}},
          {"weight_bytes_per_token", result.weight_bytes_per_token},
          {"gb_per_s", result.gb_per_s()},
          {"kv_live_bytes", result.state.kv_live_bytes},
          {"kv_full_bytes", result.state.kv_full_bytes},
          {"page_upkeep_share", upkeep_share(result)},
          {"counters", counters_json(result, reps)},
          {"stages", std::move(stages)}};
}

void print_result(const BenchResult& result, int32_t reps, double read_gb_per_s, std::ostream& out) {
  out << format("%-8s depth %-6d %9.2f tokens/s (%.2f to %.2f)   weights %6.2f GB/s   KV %s of %s\n",
                result.test.c_str(), result.depth, result.median(), result.min(), result.max(), result.gb_per_s(),
                bytes_text(result.state.kv_live_bytes).c_str(), bytes_text(result.state.kv_full_bytes).c_str());
  for (const StageTime& stage : sorted_stages(result))
    out << format("    %-24s %10.3f ms %9lld calls %9.2f GB/s %5.0f %%\n", stage.name.c_str(), stage.ms / reps,
                  static_cast<long long>(stage.calls / reps), stage_gb_per_s(stage),
                  read_gb_per_s > 0 ? 100 * stage_gb_per_s(stage) / read_gb_per_s : 0);
  if (result.test.starts_with("tg")) out << format("    page upkeep %.1f %% of a step\n", 100 * upkeep_share(result));
  out << std::flush;
}

/// Checked before anything is timed: the test that does not fit may be the last one.
void check_context(const BenchOptions& options, int32_t n_ctx) {
  const auto largest = [](const std::vector<int32_t>& values) {
    return *std::max_element(values.begin(), values.end());
  };
  const int64_t depth = largest(options.depths);
  const int64_t n_tokens = depth + std::max(largest(options.prompt_tokens), largest(options.generated_tokens));
  if (n_tokens > n_ctx)
    throw Error(format("the tests need %s tokens, the context holds %s", count_text(n_tokens).c_str(),
                       count_text(n_ctx).c_str()));
}

}  // namespace

void bench_command(const Arguments& args, Console& io) {
  CommonOptions common;
  CacheOptions cache;
  BenchOptions options;
  CommandLine line("bench", "Measures the speed of prefill (pp) and generation (tg) with random tokens.",
                   "  headroom bench\n"
                   "  headroom bench -p 512 -n 0 --cache full -t 2\n"
                   "  headroom bench -p 0 -n 64 --depth 0,1024,4096 --reps 3 --json");
  line.begin_group("Tests");
  line.add_ints("-p,--n-prompt", "prompt tokens; 0: skip this test (default: 512)", 0, max_position,
                options.prompt_tokens);
  line.add_ints("-n,--n-gen", "generated tokens; 0: skip this test (default: 128)", 0, max_position,
                options.generated_tokens);
  line.add_ints("--depth", "tokens in the cache before each test (default: 0)", 0, max_position, options.depths);
  line.add_int("--reps", "repetitions of each test (default: 5)", 1, 10'000, options.reps);
  line.add_int("-s,--seed", "seed of the random tokens (default: 1)", 0, max_position, options.seed);
  cache.add_to(line);
  common.add_to(line);
  line.parse(args, io);
  const CacheConfig config = cache.make_config();
  const auto is_zero = [](int32_t n) { return n == 0; };
  if (std::all_of(options.prompt_tokens.begin(), options.prompt_tokens.end(), is_zero) &&
      std::all_of(options.generated_tokens.begin(), options.generated_tokens.end(), is_zero))
    throw UsageError("-p and -n are both 0, expected at least one test");

  common.prepare_backend();
  const Model model(common.model_path());
  const std::unique_ptr<Backend> backend = common.open_backend();
  CacheLab session(model, *backend, make_session_options(common, config));
  print_cache_note(session, io);
  check_context(options, session.n_ctx());
  const int32_t reps = static_cast<int32_t>(options.reps.value_or(5));
  Bench bench(model, *backend, session, reps, static_cast<uint64_t>(options.seed.value_or(1)));

  bench.warm_up();
  const double read_gb_per_s = backend->measure_read_gb_per_s();
  if (!common.json)
    io.out << format(
        "%s on %s (%s), %s, %d repetitions; stage times per repetition; a kernel that only reads "
        "reaches %.2f GB/s\n",
        printable(file_name(model.path())).c_str(), backend->info().name.c_str(), backend->info().device.c_str(),
        config.name.c_str(), reps, read_gb_per_s);
  Json results = Json::array();
  const auto take = [&](const BenchResult& result) {
    if (common.json)
      results.push_back(result_json(result, reps, read_gb_per_s));
    else
      print_result(result, reps, read_gb_per_s, io.out);
  };
  for (const int32_t depth : options.depths) {
    for (const int32_t n : options.prompt_tokens)
      if (n > 0) take(bench.prompt(n, depth));
    for (const int32_t n : options.generated_tokens)
      if (n > 0) take(bench.generate(n, depth));
  }
  session.clear();
  const double ragged = ragged_attention_ratio(*backend, model.config());
  if (!common.json && ragged > 0)
    io.out << format("attention of heads of very unequal length (10 : 1): %.2f x the time of equal ones\n", ragged);
  if (common.json)
    io.out << json_line({{"backend", backend->info().name},
                         {"device", backend->info().device},
                         {"model", file_name(model.path())},
                         {"config", config.name},
                         {"reps", reps},
                         {"read_gb_per_s", read_gb_per_s},
                         {"ragged_attention_ratio", ragged},
                         {"results", std::move(results)}});
}

}  // namespace headroom
