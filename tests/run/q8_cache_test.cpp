// A conversation whose cache holds 8 bits: as exact as in f16, about half the bytes, nearly the same answers.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/backend/registry.h"
#include "engine/base/error.h"
#include "engine/run/cache_lab.h"
#include "engine/run/divergence.h"
#include "tests/support/model_paths.h"
#include "tests/support/tiny_model.h"

using namespace headroom;
using Catch::Matchers::Contains;

namespace q8_cache_test {
namespace {

/// Heads of 32 values, the least that 8 bits can hold. The file's bytes stay for the whole program.
Model tiny(Architecture architecture, int32_t head_dim = 32) {
  static std::map<std::pair<Architecture, int32_t>, std::vector<std::byte>> files;
  std::vector<std::byte>& bytes = files[{architecture, head_dim}];
  test::TinyModelOptions options = test::tiny_model_options(architecture);
  options.head_dim = head_dim;
  if (bytes.empty()) bytes = test::make_tiny_model(options).bytes();
  return Model(load_model_file(GgufFile::from_bytes(bytes, "tiny.gguf")));
}

CacheConfig config_of(const std::string& name, CacheType type) {
  CacheConfig config = *find_cache_config(name);
  config.cache_type = type;
  return config;
}

struct Chat {
  Model model;
  std::unique_ptr<Backend> backend;
  CacheLab session;
  TurnObserver silent;
  std::vector<ChatMessage> messages;

  explicit Chat(const CacheConfig& config, Architecture architecture = Architecture::llama, int32_t head_dim = 32,
                const char* backend_name = "cpu")
      : model(tiny(architecture, head_dim)),
        backend(make_backend({.name = backend_name, .n_threads = 2})),
        session(model, *backend, {.cache = config, .n_ctx = 0}) {}

  static TurnOptions options(int32_t n_tokens) {
    TurnOptions options;
    options.sampler.seed = 3;
    options.max_tokens = n_tokens;
    options.ignore_end_of_turn = true;
    return options;
  }
  TurnResult say(const std::string& text, int32_t n_tokens) {
    messages.push_back({"user", text, {}});
    TurnResult result = session.run_turn(messages, options(n_tokens), silent);
    messages.push_back({"assistant", result.text, result.ids});
    return result;
  }
};

const std::string long_text =
    "One two three, four five six. A cache keeps what a head needs; the rest can go. Then again, who knows what will "
    "be asked next? The tide pulls, the river runs, and every letter here is a token of its own.";

}  // namespace

TEST_CASE("undoing a turn restores every head of 8 bits bit for bit") {
  const Architecture architecture = GENERATE(Architecture::llama, Architecture::gemma3);
  const std::string name = GENERATE("paper", "h2o", "full");
  Chat chat(config_of(name, CacheType::q8_0), architecture);
  chat.say(long_text, 40);
  const auto before = chat.session.dump();
  const CacheState state_before = chat.session.cache_state();
  chat.say(long_text + " " + long_text, 60);
  CHECK(chat.session.dump() != before);
  // Without evictions this test proves little.
  if (name != "full") CHECK(chat.session.cache_state().turn_log_bytes > state_before.turn_log_bytes);
  REQUIRE(chat.session.undo_turn());
  CHECK(chat.session.dump() == before);
  CHECK(chat.session.cache_state().kv_live_bytes == state_before.kv_live_bytes);
}

TEST_CASE("another answer starts from the same state of 8 bits") {
  Chat chat(config_of("h2o", CacheType::q8_0));
  chat.say(long_text, 20);
  chat.say("And then, after all that? Tell me more, please.", 30);
  const auto after_first = chat.session.dump();
  chat.messages.pop_back();
  const TurnResult again = chat.session.run_turn(chat.messages, Chat::options(30), chat.silent);
  CHECK(again.action == CacheAction::undone);
  CHECK(chat.session.dump() == after_first);
}

TEST_CASE("the fast backend and the reference build the same cache of 8 bits, but for rounding") {
  Chat fast(config_of("full", CacheType::q8_0)),
      slow(config_of("full", CacheType::q8_0), Architecture::llama, 32, "cpu-reference");
  const std::vector<TokenId> ids(40, 9);
  const std::span<const float> expected = slow.session.prefill(ids, slow.silent),
                               found = fast.session.prefill(ids, fast.silent);
  CHECK(kl_divergence(expected, found) < 1e-4);
  for (const TokenId id : {5, 6, 7}) CHECK(kl_divergence(slow.session.feed(id), fast.session.feed(id)) < 1e-4);
}

TEST_CASE("a cache of 8 bits takes little more than half the bytes; the full cache stays what it is in f16") {
  Chat eight(config_of("full", CacheType::q8_0)), sixteen(config_of("full", CacheType::f16));
  eight.say(long_text, 0);
  sixteen.say(long_text, 0);
  const CacheState small = eight.session.cache_state(), large = sixteen.session.cache_state();
  CHECK(small.n_tokens == large.n_tokens);
  CHECK(small.kv_full_bytes == large.kv_full_bytes);
  // A page of 16 slots: 16 * 68 bytes with tags and scores of 128, against 16 * 128.
  CHECK(small.kv_live_bytes * 2176 == large.kv_live_bytes * 1216);
  CHECK(eight.session.page_bytes() == 1216);
  CHECK(static_cast<double>(small.kv_live_bytes) / static_cast<double>(large.kv_live_bytes) ==
        Approx(0.55).margin(0.015));
}

TEST_CASE("memory holds a longer context in 8 bits") {
  ModelConfig config = tiny(Architecture::llama).config();
  config.n_ctx_train = 1 << 30;
  CHECK(context_that_fits(config, 1 << 30, CacheType::q8_0) > context_that_fits(config, 1 << 30));
}

TEST_CASE("another type of cache rebuilds it at the next turn, exactly as if it had begun so") {
  Chat chat(config_of("paper", CacheType::f16));
  chat.say(long_text, 8);
  const auto in_f16 = chat.session.dump();
  const int64_t f16_page_bytes = chat.session.page_bytes();
  for (const CacheType type : {CacheType::q8_0, CacheType::f16}) {
    chat.session.set_cache_config(config_of("paper", type));
    const TurnResult result = chat.session.re_encode(chat.silent);
    CHECK(result.action == CacheAction::re_encoded);
    Chat fresh(config_of("paper", type));
    fresh.session.prefill(chat.session.ids(), fresh.silent);
    CHECK(chat.session.dump() == fresh.session.dump());
    CHECK((chat.session.page_bytes() < f16_page_bytes) == (type == CacheType::q8_0));
    CHECK(chat.session.cache_state().kv_live_bytes == fresh.session.cache_state().kv_live_bytes);
  }
  // An empty cache adopts the type at once.
  chat.session.clear();
  chat.session.set_cache_config(config_of("paper", CacheType::q8_0));
  CHECK(chat.session.page_bytes() == 1216);
}

TEST_CASE("heads that are no whole blocks are refused, and the session goes on as it was") {
  const Model model = tiny(Architecture::llama, 16);
  const auto backend = make_backend({.name = "cpu", .n_threads = 1});
  const CacheConfig eight = config_of("paper", CacheType::q8_0);
  CHECK_THROWS_WITH(CacheLab(model, *backend, {.cache = eight, .n_ctx = 0}), Contains("q8_0") && Contains("16"));
  CacheLab session(model, *backend, {.cache = *find_cache_config("paper"), .n_ctx = 0});
  TurnObserver silent;
  session.prefill(std::vector<TokenId>(40, 9), silent);
  const auto before = session.dump();
  try {
    session.set_cache_config(eight);
    FAIL("a cache of 8 bits was taken");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::unsupported);
  }
  CHECK(session.cache_config().cache_type == CacheType::f16);
  CHECK(session.dump() == before);
  session.feed(5);
}

TEST_CASE("on a real model 8 bits hardly change what comes next") {
  const std::optional<std::string> path = test::find_model(test::smollm2_file);
  if (!path) {
    WARN(test::smollm2_file << " is not here; tests/fetch_models.sh gets it");
    return;
  }
  const Model model(*path);
  std::ifstream file(HEADROOM_TEST_DATA "/goldens/smollm2_doc_600.ids.json");
  REQUIRE(file);
  const auto ids = nlohmann::json::parse(file).get<std::vector<TokenId>>();
  constexpr size_t n_forced = 32;
  REQUIRE(ids.size() > n_forced + 200);
  const auto backend = make_backend({}), backend8 = make_backend({});
  CacheLab sixteen(model, *backend, {.cache = config_of("full", CacheType::f16), .n_ctx = 0}),
      eight(model, *backend8, {.cache = config_of("full", CacheType::q8_0), .n_ctx = 0});
  TurnObserver silent;
  const std::span<const TokenId> prompt = std::span(ids).first(ids.size() - n_forced);
  sixteen.prefill(prompt, silent);
  eight.prefill(prompt, silent);
  double sum = 0;
  for (size_t i = prompt.size(); i < ids.size(); ++i) sum += kl_divergence(sixteen.feed(ids[i]), eight.feed(ids[i]));
  CAPTURE(sum / n_forced);
  CHECK(sum / n_forced < 0.005);
  CHECK(sum > 0);
  // A page of this model: 2304 bytes against 4224.
  CHECK(static_cast<double>(eight.cache_state().kv_live_bytes) /
            static_cast<double>(sixteen.cache_state().kv_live_bytes) ==
        Approx(2304. / 4224));
}

}  // namespace q8_cache_test
