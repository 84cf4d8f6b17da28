// Shared budgets in a conversation: shares and bytes hold at every token, undo is exact, a smaller share is a cut
// without a new prefill, and every architecture works with and without sliding windows.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <numeric>
#include <random>

#include "engine/backend/registry.h"
#include "engine/base/error.h"
#include "engine/run/cache_lab.h"
#include "engine/run/divergence.h"
#include "engine/run/prompt.h"
#include "tests/run/tiny_session.h"
#include "tests/support/effort.h"
#include "tests/support/model_paths.h"

using namespace headroom;
using Catch::Matchers::Contains;

namespace budget_session_test {
namespace {

using test::every_architecture;
using test::random_ids;
using test::tiny;

/// Importance that differs a lot between heads.
CacheConfig uneven(const Model& model, TokenScore score, double keep) {
  CacheConfig config = *find_cache_config("headroom");
  config.score = score;
  config.keep = keep;
  config.beta = 0.8;
  std::mt19937 random(9);
  std::lognormal_distribution<float> importance(0, 1.5f);
  for (int32_t h = 0; h < model.config().n_layers * model.config().n_kv_heads; ++h)
    config.head_importance.push_back(importance(random));
  return config;
}

struct Fixture {
  Model model;
  std::unique_ptr<Backend> backend = make_backend({.name = "cpu", .n_threads = 2});
  CacheLab session;
  TurnObserver silent;

  Fixture(Architecture architecture, const CacheConfig& config, int32_t head_dim = 0)
      : model(tiny(architecture, head_dim)), session(model, *backend, {.cache = config, .n_ctx = 0}) {}

  void read(int32_t n, uint64_t seed) { session.prefill(random_ids(n, model.config().n_vocab, seed), silent); }
  void write(int32_t n, uint64_t seed) {
    for (const TokenId id : random_ids(n, model.config().n_vocab, seed)) session.feed(id);
  }
  int64_t reachable() const {
    int64_t sum = 0;
    for (const LayerConfig& layer : model.config().layers)
      sum += int64_t{model.config().n_kv_heads} *
             reachable_tokens(static_cast<int32_t>(session.ids().size()), layer.window);
    return sum;
  }
  int64_t kept() const {
    int64_t sum = 0;
    for (const HeadState& head : session.cache_state().heads) sum += head.kept_tokens;
    return sum;
  }
};

}  // namespace

TEST_CASE("all heads together hold the share at the end of a prompt, to a token, by any score") {
  for (const Architecture architecture : every_architecture)
    for (const TokenScore score :
         {TokenScore::accumulated, TokenScore::expected, TokenScore::recent, TokenScore::mixed})
      for (const double keep : {0.6, 0.4}) {
        CAPTURE(static_cast<int>(architecture), token_score_name(score), keep);
        Fixture it(architecture, uneven(tiny(architecture), score, keep));
        it.read(230, 1);
        CHECK(it.kept() == std::llround(keep * static_cast<double>(it.reachable())));
      }
}

TEST_CASE("while an answer is written the share stays, the last 64 tokens are there, and no head is ever empty") {
  Fixture it(Architecture::llama, uneven(tiny(Architecture::llama), TokenScore::expected, 0.5));
  it.read(300, 2);
  for (int round = 0; round < 20; ++round) {
    it.write(8, static_cast<uint64_t>(round));
    const auto n = static_cast<int32_t>(it.session.ids().size());
    for (const HeadState& head : it.session.cache_state().heads) {
      const std::vector<int32_t> positions = it.session.kept_positions(head.layer, head.kv_head);
      CHECK(std::count_if(positions.begin(), positions.end(), [&](int32_t p) { return p >= n - n_last_of_answer; }) >=
            std::min(n_last_of_answer, 32 + 8 * (round + 1)));
      CHECK(head.kept_tokens <= std::max(head.budget.at(n), n_last_of_answer + 8 + head.budget.at(n) / 4));
    }
  }
  CHECK(static_cast<double>(it.kept()) == Approx(0.5 * static_cast<double>(it.reachable())).epsilon(0.05));
}

TEST_CASE("live bytes never exceed a budget in bytes, from the prompt to the last token, over several turns") {
  for (const Architecture architecture : every_architecture)
    for (const CacheType type : {CacheType::f16, CacheType::q8_0}) {
      CacheConfig config = uneven(tiny(architecture), TokenScore::expected, 1);
      config.cache_type = type;
      const int32_t head_dim = type == CacheType::q8_0 ? 32 : 0;
      Fixture probe(architecture, config, head_dim);
      const auto n_heads = static_cast<int64_t>(config.head_importance.size());
      config.kv_budget_bytes = 9 * n_heads * probe.session.page_bytes();  // 143 tokens per head
      Fixture it(architecture, config, head_dim);
      const auto check = [&](const char* when) {
        INFO(when << " at " << it.session.ids().size());
        CHECK(it.session.cache_state().kv_live_bytes <= config.kv_budget_bytes);
      };
      it.read(60, 3);  // all of it fits
      CHECK(it.kept() == it.reachable());
      check("short prompt");
      for (int i = 0; i < 160; ++i) {  // the bound is reached on the way
        it.write(1, static_cast<uint64_t>(100 + i));
        check("answer");
      }
      it.read(90, 4);
      check("second turn");
      it.read(20, 5);
      check("third turn");
      for (int i = 0; i < 60; ++i) {
        it.write(1, static_cast<uint64_t>(300 + i));
        check("second answer");
      }
      CHECK(it.kept() < it.reachable());
      // The peak of a prompt's prefill is the budget and one layer of its tokens.
      Fixture long_prompt(architecture, config, head_dim);
      long_prompt.read(400, 6);
      const int64_t layer_bytes = int64_t{2} * 400 * it.model.config().kv_dim() * 2;
      CHECK(long_prompt.session.cache_state().kv_peak_bytes <= config.kv_budget_bytes + layer_bytes);
    }
}

TEST_CASE("a budget in bytes that does not hold what is protected is refused, and the cache stays as it was") {
  CacheConfig config = uneven(tiny(Architecture::llama), TokenScore::expected, 1);
  Fixture it(Architecture::llama, config);
  it.read(200, 1);
  const std::vector<CacheLab::HeadDump> before = it.session.dump();
  CacheConfig too_small = config;
  too_small.kv_budget_bytes = 1000;
  CHECK_THROWS_WITH(it.session.set_cache_config(too_small), Contains("the KV budget is 1000 bytes; expected at least"));
  CHECK(it.session.dump() == before);
  CHECK(it.session.cache_config() == config);
  it.write(5, 2);
  CHECK(it.session.ids().size() == 205);
  CHECK_THROWS_WITH(Fixture(Architecture::llama, too_small), Contains("expected at least"));
}

TEST_CASE("the bytes that the refusal names are enough for an answer of any length after a prompt of any length") {
  const Architecture architecture = GENERATE(Architecture::llama, Architecture::gemma3);
  CacheConfig config = uneven(tiny(architecture), TokenScore::expected, 1);
  const int64_t least = Fixture(architecture, config).session.cache_state().least_budget_bytes;
  config.kv_budget_bytes = least - 1;
  CHECK_THROWS_WITH(Fixture(architecture, config), Contains("expected at least " + std::to_string(least)));
  for (const int32_t n_prompt : {3, 36, 48, 65, 130}) {
    config.kv_budget_bytes = least;
    Fixture it(architecture, config);
    it.read(n_prompt, 3);
    for (int i = 0; i < 150; ++i) {
      it.write(1, static_cast<uint64_t>(i));
      CHECK(it.session.cache_state().kv_live_bytes <= least);
    }
    const auto n = static_cast<int32_t>(it.session.ids().size());
    for (const HeadState& head : it.session.cache_state().heads) {
      const std::vector<int32_t> positions = it.session.kept_positions(head.layer, head.kv_head);
      const int32_t window = it.model.config().layers[static_cast<size_t>(head.layer)].window;
      const int32_t n_reach = reachable_tokens(n, window);
      CHECK(std::count_if(positions.begin(), positions.end(), [&](int32_t p) { return p >= n - n_last_at_least; }) ==
            n_last_at_least);
      if (n_reach == n) CHECK(std::equal(positions.begin(), positions.begin() + 4, std::vector{0, 1, 2, 3}.begin()));
    }
  }
}

TEST_CASE("a chat of many turns goes on under a bound in bytes that its control tokens outgrow", "[turns]") {
  const int n_turns = test::runs_long_tests() ? 300 : 30;
  struct Watcher : TurnObserver {
    const CacheLab* session = nullptr;
    int64_t most_bytes = 0;
    void on_step(const TokenStep&) override { look(); }
    void on_cache_rebuilt() override { look(); }
    void look() { most_bytes = std::max(most_bytes, session->cache_state().kv_live_bytes); }
  };
  for (const Architecture architecture : {Architecture::llama, Architecture::gemma3})
    for (const CacheType type : {CacheType::f16, CacheType::q8_0}) {
      CAPTURE(static_cast<int>(architecture), static_cast<int>(type));
      CacheConfig config = *find_cache_config("headroom");
      config.cache_type = type;
      const int32_t head_dim = type == CacheType::q8_0 ? 32 : 0;
      std::vector<ChatMessage> messages{{"user", "Message 0, hello", {}}};
      // From the first turn: its control tokens, the first four and the last 64 of every head, and a tenth more.
      {
        const Model model = tiny(architecture, head_dim);
        int32_t n_special = 0;
        for (const TokenId id : encode_chat(model, messages).ids) n_special += model.tokenizer().is_control(id) ? 1 : 0;
        const int64_t n_heads = int64_t{model.config().n_layers} * model.config().n_kv_heads;
        const auto page_bytes = static_cast<int64_t>(PageLayout{model.config().head_dim, type}.page_bytes());
        config.kv_budget_bytes = ((n_special + 4 + 64) / 16 + 1) * n_heads * page_bytes * 11 / 10;
      }
      Fixture it(architecture, config, head_dim);
      Watcher watcher;
      watcher.session = &it.session;
      TurnOptions options;
      options.max_tokens = 12;
      options.ignore_end_of_turn = true;
      messages.clear();
      for (int turn = 0; turn < n_turns; ++turn) {
        messages.push_back({"user", "Message " + std::to_string(turn) + ", hello", {}});
        TurnResult result = it.session.run_turn(messages, options, watcher);
        REQUIRE(result.stop_reason == StopReason::max_tokens);
        if (turn % 7 == 3) {  // another answer, without a prefill
          ++options.sampler.seed;
          result = it.session.run_turn(messages, options, watcher);
          REQUIRE(result.n_prefilled_tokens == 0);
        }
        messages.push_back({"assistant", result.text, result.ids});
        if (it.session.ids().size() + 100 > static_cast<size_t>(it.session.n_ctx())) messages.clear();
      }
      CHECK(watcher.most_bytes <= config.kv_budget_bytes);
      CHECK(watcher.most_bytes > config.kv_budget_bytes / 2);
      it.session.clear();  // then prefills everything again, with all control tokens
      messages.push_back({"user", "And now?", {}});
      const TurnResult anew = it.session.run_turn(messages, options, watcher);
      CHECK(anew.action == CacheAction::first_turn);
      CHECK(anew.stop_reason == StopReason::max_tokens);
      CHECK(watcher.most_bytes <= config.kv_budget_bytes);
    }
}

TEST_CASE("what a short prompt protects does not become the share of the answer") {
  Fixture it(Architecture::llama, uneven(tiny(Architecture::llama), TokenScore::accumulated, 0.25));
  it.read(20, 1);
  CHECK(it.kept() == it.reachable());  // all of it is protected
  it.write(380, 2);
  CHECK(static_cast<double>(it.kept()) < 0.35 * static_cast<double>(it.reachable()));
}

TEST_CASE("going back to a mark is exact after heads were cut and tokens were written") {
  for (const Architecture architecture : every_architecture)
    for (const TokenScore score : {TokenScore::accumulated, TokenScore::expected}) {
      Fixture it(architecture, uneven(tiny(architecture), score, 0.6));
      it.read(230, 6);
      it.session.mark();
      const std::vector<CacheLab::HeadDump> before = it.session.dump();
      for (int round = 0; round < 3; ++round) {
        std::vector<int32_t> cut(before.size(), -1);
        cut[static_cast<size_t>(round) % cut.size()] = 50;
        cut.back() = 60;
        it.session.cut_heads(cut);
        CHECK(it.session.cache_state().heads.back().kept_tokens <= 60);
        it.write(70, 7);
        REQUIRE(it.session.return_to_mark());
        CHECK(it.session.dump() == before);
      }
    }
}

TEST_CASE("a smaller share is a cut: nothing is read, and the cache is that of a prompt read with it") {
  const Model model = tiny(Architecture::llama);
  Fixture cut(Architecture::llama, uneven(model, TokenScore::expected, 0.8));
  Fixture direct(Architecture::llama, uneven(model, TokenScore::expected, 0.4));
  cut.read(260, 8);
  direct.read(260, 8);
  cut.session.set_cache_config(uneven(model, TokenScore::expected, 0.4));
  const TurnResult result = cut.session.re_encode(cut.silent);
  CHECK(result.action == CacheAction::trimmed);
  CHECK(result.n_prefilled_tokens == 0);
  for (const HeadState& head : cut.session.cache_state().heads)
    CHECK(cut.session.kept_positions(head.layer, head.kv_head) ==
          direct.session.kept_positions(head.layer, head.kv_head));
  CHECK(cut.session.cache_state().kv_live_bytes == direct.session.cache_state().kv_live_bytes);

  // A larger share, or another score, needs another cache.
  cut.session.set_cache_config(uneven(model, TokenScore::expected, 0.7));
  CHECK(cut.session.re_encode(cut.silent).action == CacheAction::re_encoded);
  cut.session.set_cache_config(uneven(model, TokenScore::accumulated, 0.4));
  CHECK(cut.session.re_encode(cut.silent).action == CacheAction::re_encoded);
}

TEST_CASE("importance of another model's heads is refused") {
  CacheConfig config = uneven(tiny(Architecture::llama), TokenScore::expected, 0.5);
  config.head_importance.pop_back();
  CHECK_THROWS_WITH(Fixture(Architecture::llama, config), Contains("the importance of"));
}

#ifndef HEADROOM_ADDRESS_SANITIZER  // the tiny models run the same code, and quickly
/// The texts of bench/prompts, by name; the first, or ten of them in a long run.
std::vector<std::string> prompts() {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(HEADROOM_TEST_DATA "/../../bench/prompts"))
    paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  paths.resize(test::runs_long_tests() ? 10 : 1);
  std::vector<std::string> texts;
  for (const std::filesystem::path& path : paths) {
    std::ifstream file(path);
    texts.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return texts;
}

TEST_CASE("on the default model a budget of 8 MiB holds through a prompt and an answer of 512 tokens", "[budget]") {
  const std::optional<std::string> path = test::find_model(test::smollm2_file);
  if (!path) {
    WARN(test::smollm2_file << " is not here; tests/fetch_models.sh gets it");
    return;
  }
  const Model model(*path);
  CacheConfig config = *find_cache_config("headroom");
  config.keep = 1;
  config.kv_budget_bytes = 8 << 20;
  for (const std::string& text : prompts()) {
    const auto backend = make_backend({.name = "cpu", .n_threads = 2});
    CacheLab session(model, *backend, {.cache = config, .n_ctx = 0});
    CHECK(session.cache_note().empty());
    CHECK(session.cache_config().head_importance.size() == 90);  // the table that is built into the program
    const int64_t a_page_a_head = 90 * session.page_bytes();
    TurnObserver silent;
    const std::vector<TokenId> ids = encode_raw(model, text, false);
    std::span<const float> logits = session.prefill(ids, silent);
    const int64_t one_layer = static_cast<int64_t>(ids.size()) * model.config().kv_dim() * 2 * 2;
    const int64_t peak = session.cache_state().kv_peak_bytes;
    CHECK(peak <= config.kv_budget_bytes + one_layer);
    int64_t largest = session.cache_state().kv_live_bytes;
    for (int i = 0; i < 512; ++i) {
      logits = session.feed(arg_max(logits));
      largest = std::max(largest, session.cache_state().kv_live_bytes);
    }
    CHECK(largest <= config.kv_budget_bytes + a_page_a_head);
    if (test::runs_long_tests())
      std::cout << ids.size() << " tokens: " << 100.0 * static_cast<double>(largest) / (8 << 20)
                << " % of the budget at most, peak "
                << 100.0 * static_cast<double>(peak) / static_cast<double>((8 << 20) + one_layer)
                << " % of budget and a layer\n";
  }
}
#endif

}  // namespace budget_session_test
