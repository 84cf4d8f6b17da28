// Real models against an independent reference: profiles, policies, kept sets, greedy text, fidelity, a second turn.
// What must agree, and how closely, is in tests/data/goldens/README.md.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "engine/backend/registry.h"
#include "engine/run/cache_lab.h"
#include "tests/support/backends.h"
#include "tests/support/model_paths.h"

using namespace headroom;
using nlohmann::json;

namespace golden_test {
namespace {

json read_json(const std::string& name) {
  std::ifstream file(std::string(HEADROOM_TEST_DATA "/goldens/") + name);
  REQUIRE(file);
  return json::parse(file);
}

std::string read_text(const std::string& name) {
  std::ifstream file(std::string(HEADROOM_TEST_DATA "/goldens/") + name, std::ios::binary);
  REQUIRE(file);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The backend that the program chooses by default, and Vulkan if a real model does not need minutes on it.
std::vector<std::string> backends() {
#ifndef HEADROOM_ADDRESS_SANITIZER
  if (test::is_there("vulkan")) return {"", "vulkan"};
#endif
  return {""};
}

/// A session with its own backend: a backend holds the pages of one cache.
struct Chat {
  std::unique_ptr<Backend> backend;
  CacheLab session;
  Chat(const Model& model, const std::string& config, const std::string& backend_name)
      : backend(make_backend({.name = backend_name})),
        session(model, *backend, {.cache = *find_cache_config(config), .n_ctx = 0}) {}
};

/// One model, loaded once per test program.
const Model* load(const char* file_name) {
  static std::map<std::string, std::unique_ptr<Model>> models;
  std::unique_ptr<Model>& loaded = models[file_name];
  if (loaded) return loaded.get();
  const std::optional<std::string> path = test::find_model(file_name);
  if (!path) {
    WARN(file_name << " is not here; tests/fetch_models.sh gets it");
    return nullptr;
  }
  loaded = std::make_unique<Model>(*path);
  return loaded.get();
}

int arg_max(std::span<const float> logits) {
  return static_cast<int>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

double kl_divergence(std::span<const float> p, std::span<const float> q) {
  const auto log_sum = [](std::span<const float> x) {
    const double largest = *std::max_element(x.begin(), x.end());
    double sum = 0;
    for (const float v : x) sum += std::exp(v - largest);
    return largest + std::log(sum);
  };
  const double log_p = log_sum(p), log_q = log_sum(q);
  double sum = 0;
  for (size_t i = 0; i < p.size(); ++i) sum += std::exp(p[i] - log_p) * ((p[i] - log_p) - (q[i] - log_q));
  return sum;
}

constexpr double recovery_tolerance = 0.005, logit_tolerance = 0.4, threshold = 0.95;

/// A policy may differ only if a recovery is so near to T that the tolerance decides.
bool near_threshold(const json& head) {
  for (const json& recovery : head["recovery"])
    if (std::abs(recovery.get<double>() - threshold) <= recovery_tolerance) return true;
  return false;
}

/// For each head and policy of the paper's set whether two tokens tie for the last place of `frequent`, nearer than the
/// scores of two instruction sets or builds are to each other (2.4888 and 2.4879 were seen), and one of them holds more
/// of a row than a recovery may differ by: rounding then decides which is kept. In long texts no token holds that much.
std::vector<std::vector<bool>> find_ties(const Model& model, const std::vector<TokenId>& ids) {
  constexpr double rounding = 1e-3;  // for a score
  const auto backend = make_backend({.name = "cpu", .n_threads = 2});
  CacheConfig config = *find_cache_config("paper");
  config.threshold = 1.5;  // every head keeps everything, with its scores
  CacheLab session(model, *backend, {.cache = config, .n_ctx = 0});
  TurnObserver silent;
  session.prefill(ids, silent);
  std::vector<std::vector<bool>> ties;
  for (const CacheLab::HeadDump& head : session.dump()) {
    const size_t layer = ties.size() / static_cast<size_t>(model.config().n_kv_heads);
    ties.emplace_back();
    for (const Policy policy : config.policy_set) {
      const KeepRule rule = make_keep_rule(policy, static_cast<int32_t>(ids.size()),
                                           model.config().layers[layer].window, config.r_local, config.r_frequent);
      std::vector<float> scores;
      for (size_t slot = 0; slot < head.tags.size(); ++slot)
        if (tag_position(head.tags[slot]) >= rule.reach_from &&
            !rule.keeps_always(tag_position(head.tags[slot]), tag_class(head.tags[slot])))
          scores.push_back(head.scores[slot]);
      std::sort(scores.begin(), scores.end(), std::greater<>());
      const auto cut = static_cast<size_t>(rule.n_frequent);
      ties.back().push_back(policy.has(Policy::frequent) && cut > 0 && cut < scores.size() &&
                            scores[cut - 1] - scores[cut] <= rounding * scores[cut - 1] &&
                            scores[cut - 1] > recovery_tolerance * static_cast<double>(ids.size()));
    }
  }
  return ties;
}

/// Checks recoveries, policies and kept counts. Returns which heads have the golden's policy.
/// find_ties: called if a recovery differs, since a tie may be the cause; empty: there are no ties.
std::vector<bool> check_heads(const CacheState& state, const json& golden_heads,
                              const std::function<std::vector<std::vector<bool>>()>& find_ties) {
  std::vector<std::vector<bool>> ties;
  int n_decided_by_ties = 0;
  std::vector<bool> equal;
  REQUIRE(state.heads.size() == golden_heads.size());
  const std::vector<Policy> set = find_cache_config("paper")->policy_set;
  for (size_t i = 0; i < state.heads.size(); ++i) {
    const HeadState& head = state.heads[i];
    const json& golden = golden_heads[i];
    CAPTURE(head.layer, head.kv_head);
    REQUIRE(head.layer == golden["layer"]);
    REQUIRE(head.kv_head == golden["kv_head"]);
    for (size_t p = 0; p < set.size(); ++p) {
      const double expected = golden["recovery"][p].get<double>();
      const bool is_near = std::abs(head.recovery[p] - expected) <= recovery_tolerance;
      if (!is_near && find_ties && ties.empty()) ties = find_ties();
      if (!is_near && !ties.empty() && ties[i][p])
        ++n_decided_by_ties;
      else
        CHECK(head.recovery[p] == Approx(expected).margin(recovery_tolerance));
    }
    const bool same = head.policy == set[golden["policy"].get<size_t>()];
    if (!near_threshold(golden)) CHECK(same);
    if (same) CHECK(head.kept_tokens == golden["kept"].get<int>());
    equal.push_back(same);
  }
  CHECK(n_decided_by_ties <= 2);
  return equal;
}

void check_top(std::span<const float> logits, const json& golden_top) {
  for (const json& entry : golden_top)
    CHECK(logits[entry[0].get<size_t>()] == Approx(entry[1].get<double>()).margin(logit_tolerance));
  if (golden_top[0][1].get<double>() - golden_top[1][1].get<double>() > logit_tolerance)
    CHECK(arg_max(logits) == golden_top[0][0].get<int>());
}

/// Free running with the full cache: equal up to the first near tie.
void check_greedy_text(const Model& model, const std::vector<TokenId>& ids, const json& golden,
                       const std::string& backend) {
  Chat chat(model, "full", backend);
  TurnOptions options;
  options.sampler.temperature = 0;
  options.max_tokens = static_cast<int32_t>(golden["full_greedy_ids"].size());
  options.ignore_end_of_turn = true;
  TurnObserver silent;
  const TurnResult result = chat.session.run_ids(ids, options, silent);
  for (size_t i = 0; i < result.ids.size() && golden["full_greedy_leads"][i] >= logit_tolerance; ++i) {
    CAPTURE(i);
    CHECK(result.ids[i] == golden["full_greedy_ids"][i].get<TokenId>());
  }
}

void check_golden(const Model& model, const std::string& name, const std::string& backend) {
  const json golden = read_json(name + ".golden.json");
  const auto ids = read_json(name + ".ids.json").get<std::vector<TokenId>>();
  CHECK(encode_raw(model, read_text(name + ".prompt.txt"), true) == ids);

  TurnObserver silent;
  Chat full_chat(model, "full", backend), fastgen_chat(model, "paper", backend);
  CacheLab &full = full_chat.session, &fastgen = fastgen_chat.session;
  std::vector<float> full_logits, fastgen_logits;
  const auto keep = [](std::vector<float>& to, std::span<const float> from) { to.assign(from.begin(), from.end()); };
  keep(full_logits, full.prefill(ids, silent));
  keep(fastgen_logits, fastgen.prefill(ids, silent));
  const std::vector<bool> same_policy =
      check_heads(fastgen.cache_state(), golden["heads"], [&] { return find_ties(model, ids); });
  check_top(full_logits, golden["first_top5"]);

  // Both caches are fed the reference's greedy tokens.
  const auto greedy = golden["full_greedy_ids"].get<std::vector<TokenId>>();
  double kl_sum = 0;
  const size_t n_fed = greedy.size() - 1;
  for (size_t i = 0; i < n_fed; ++i) {
    CAPTURE(i);
    if (golden["full_greedy_leads"][i] > logit_tolerance) CHECK(arg_max(full_logits) == greedy[i]);
    keep(full_logits, full.feed(greedy[i]));
    keep(fastgen_logits, fastgen.feed(greedy[i]));
    kl_sum += kl_divergence(full_logits, fastgen_logits);
  }
  const double golden_kl = golden["mean_kl"];
  CHECK(kl_sum / static_cast<double>(n_fed) == Approx(golden_kl).margin(std::max(0.25 * golden_kl, 0.005)));
  const CacheState after = fastgen.cache_state();
  for (size_t i = 0; i < after.heads.size(); ++i) {
    CAPTURE(i);
    if (same_policy[i]) CHECK(after.heads[i].kept_tokens == golden["kept_after"][i].get<int>());
  }

  if (golden.contains("turn2")) {
    const auto turn2_ids = read_json(name + ".turn2.ids.json").get<std::vector<TokenId>>();
    keep(fastgen_logits, fastgen.prefill(turn2_ids, silent));
    check_heads(fastgen.cache_state(), golden["turn2"]["heads"], {});
    check_top(fastgen_logits, golden["turn2"]["first_top5"]);
  }
  check_greedy_text(model, ids, golden, backend);
}

}  // namespace

TEST_CASE("SmolLM2 agrees with the reference on a short question") {
  const std::string backend = GENERATE(from_range(backends()));
  if (const Model* model = load(test::smollm2_file)) check_golden(*model, "smollm2_qa_short", backend);
}

TEST_CASE("SmolLM2 agrees with the reference on a chat and its second turn") {
  const std::string backend = GENERATE(from_range(backends()));
  if (const Model* model = load(test::smollm2_file)) check_golden(*model, "smollm2_chat_multi", backend);
}

// Long texts and larger models take too long if every access is checked (minutes each with AVX2 alone); the two tests
// above run the same code.
#ifndef HEADROOM_ADDRESS_SANITIZER
TEST_CASE("SmolLM2 agrees with the reference on a document") {
  // This takes a minute on Vulkan's software driver: HEADROOM_BACKEND=vulkan includes it.
  if (const Model* model = load(test::smollm2_file)) check_golden(*model, "smollm2_doc_600", "");
}

TEST_CASE("Gemma 3 agrees with the reference beyond its sliding window") {
  const std::string backend = GENERATE(from_range(backends()));
  if (const Model* model = load(test::gemma3_file)) check_golden(*model, "gemma3_long", backend);
}

TEST_CASE("Qwen2.5 writes llama.cpp's greedy text") {
  const std::string backend = GENERATE(from_range(backends()));
  const Model* model = load(test::qwen2_file);
  if (model == nullptr) return;
  for (const json& golden : read_json("qwen2_greedy.json")) {
    const auto ids = golden["ids"].get<std::vector<TokenId>>();
    CHECK(encode_raw(*model, golden["prompt"].get<std::string>(), true) == ids);
    check_greedy_text(*model, ids, golden, backend);
  }
}

#endif

}  // namespace golden_test
