// A conversation from the user's view: turns, undo, another answer, cancelling, running out of memory or context.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <map>

#include "engine/backend/cpu/cpu_backend.h"
#include "engine/backend/registry.h"
#include "engine/base/error.h"
#include "engine/run/cache_lab.h"
#include "tests/support/backends.h"
#include "tests/support/tiny_model.h"

using namespace headroom;
using Catch::Matchers::Contains;

namespace session_test {
namespace {

/// The file's bytes stay for the whole program: a model points into them.
Model tiny(Architecture architecture) {
  static std::map<Architecture, std::vector<std::byte>> files;
  std::vector<std::byte>& bytes = files[architecture];
  if (bytes.empty()) bytes = test::make_tiny_model(architecture).bytes();
  return Model(load_model_file(GgufFile::from_bytes(bytes, "tiny.gguf")));
}

/// Sixteen heads, so that one slab is full after some 1,800 tokens.
Model many_heads() {
  static std::vector<std::byte> bytes;
  test::TinyModelOptions options = test::tiny_model_options(Architecture::llama);
  options.n_layers = 4;
  options.n_kv_heads = options.n_heads;
  if (bytes.empty()) bytes = test::make_tiny_model(options).bytes();
  return Model(load_model_file(GgufFile::from_bytes(bytes, "tiny.gguf")));
}

/// The backend for fixtures: each test that sets it runs once per backend.
std::string tested_backend = "cpu";
std::vector<std::string> backends() {
  return test::is_there("vulkan") ? std::vector<std::string>{"cpu", "vulkan-lane"} : std::vector<std::string>{"cpu"};
}

struct Fixture {
  Model model;
  std::unique_ptr<Backend> backend = make_backend({.name = tested_backend, .n_threads = 2});
  CacheLab session;
  TurnObserver silent;

  explicit Fixture(const std::string& config = "paper", Architecture architecture = Architecture::llama)
      : model(tiny(architecture)), session(model, *backend, {.cache = *find_cache_config(config), .n_ctx = 0}) {}

  TurnResult say(std::vector<ChatMessage>& messages, const std::string& text, int32_t n_tokens = 12) {
    messages.push_back({"user", text, {}});
    TurnResult result = session.run_turn(messages, options(n_tokens), silent);
    messages.push_back({"assistant", result.text, result.ids});
    return result;
  }

  static TurnOptions options(int32_t n_tokens) {
    TurnOptions options;
    options.sampler.seed = 3;
    options.max_tokens = n_tokens;
    options.ignore_end_of_turn = true;
    return options;
  }
};

const std::string long_text =
    "One two three, four five six. A cache keeps what a head needs; the rest can go. Then again, who knows what will "
    "be asked next? The tide pulls, the river runs, and every letter here is a token of its own.";

struct StopAfter : TurnObserver {
  int n_left;
  explicit StopAfter(int n) : n_left(n) {}
  bool stop_requested() override { return n_left-- <= 0; }
};

}  // namespace

TEST_CASE("a later turn continues the cache and prefills only what is new") {
  tested_backend = GENERATE(from_range(backends()));
  Fixture f;
  std::vector<ChatMessage> messages;
  const TurnResult first = f.say(messages, long_text);
  CHECK(first.action == CacheAction::first_turn);
  CHECK(first.n_prefilled_tokens == first.n_prompt_tokens);
  const size_t n_cached = f.session.ids().size();
  const TurnResult second = f.say(messages, "And then?");
  CHECK(second.action == CacheAction::appended);
  CHECK(second.n_prefilled_tokens == second.n_prompt_tokens - static_cast<int32_t>(n_cached));
}

TEST_CASE("undoing a turn restores every head bit for bit") {
  const Architecture architecture = GENERATE(Architecture::llama, Architecture::gemma3);
  tested_backend = GENERATE(from_range(backends()));
  Fixture f(GENERATE("paper", "h2o", "full"), architecture);
  std::vector<ChatMessage> messages;
  f.say(messages, long_text, 40);
  const auto before = f.session.dump();
  const CacheState state_before = f.session.cache_state();
  const std::vector<TokenId> ids_before = f.session.ids();
  f.say(messages, long_text + " " + long_text, 60);
  CHECK(f.session.dump() != before);
  REQUIRE(f.session.undo_turn());
  CHECK(f.session.dump() == before);
  CHECK(f.session.ids() == ids_before);
  CHECK(f.session.cache_state().kv_live_bytes == state_before.kv_live_bytes);
}

TEST_CASE("another answer to the same message starts from the same state, without a prefill") {
  tested_backend = GENERATE(from_range(backends()));
  Fixture f;
  std::vector<ChatMessage> messages;
  f.say(messages, long_text, 20);
  f.say(messages, "And then, after all that? Tell me more, please.", 30);
  const auto after_first = f.session.dump();
  const std::vector<TokenId> first_ids = messages.back().ids;
  messages.pop_back();
  const TurnResult again = f.session.run_turn(messages, Fixture::options(30), f.silent);
  CHECK(again.action == CacheAction::undone);
  CHECK(again.n_prefilled_tokens == 0);
  CHECK(again.ids == first_ids);
  CHECK(f.session.dump() == after_first);
}

TEST_CASE("an edited last message undoes its turn; an edited earlier one re-encodes") {
  tested_backend = GENERATE(from_range(backends()));
  Fixture f;
  std::vector<ChatMessage> messages;
  f.say(messages, long_text);
  const auto after_turn1 = f.session.dump();
  f.say(messages, "Second question.");
  messages.resize(2);
  messages.push_back({"user", "Another second question.", {}});
  CHECK(f.session.run_turn(messages, Fixture::options(4), f.silent).action == CacheAction::undone);
  REQUIRE(f.session.undo_turn());
  CHECK(f.session.dump() == after_turn1);

  messages[0].content = "A different beginning.";
  const TurnResult rebuilt = f.session.run_turn(messages, Fixture::options(4), f.silent);
  CHECK(rebuilt.action == CacheAction::re_encoded);
  CHECK(rebuilt.n_prefilled_tokens == rebuilt.n_prompt_tokens);
}

TEST_CASE("re-encoding gives the same cache as a first turn") {
  tested_backend = GENERATE(from_range(backends()));
  Fixture f, fresh;
  std::vector<ChatMessage> messages;
  f.say(messages, "Something else entirely.");
  const std::vector<ChatMessage> wanted{{"user", long_text, {}}};
  CHECK(f.session.run_turn(wanted, Fixture::options(0), f.silent).action == CacheAction::re_encoded);
  fresh.session.run_turn(wanted, Fixture::options(0), fresh.silent);
  CHECK(f.session.dump() == fresh.session.dump());
}

TEST_CASE("a cancelled prefill leaves the cache as it was") {
  tested_backend = GENERATE(from_range(backends()));
  Fixture f;
  std::vector<ChatMessage> messages;
  f.say(messages, long_text);
  const auto before = f.session.dump();
  messages.push_back({"user", long_text, {}});
  StopAfter in_second_layer(1);
  const TurnResult result = f.session.run_turn(messages, Fixture::options(4), in_second_layer);
  CHECK(result.stop_reason == StopReason::cancelled);
  CHECK(result.ids.empty());
  CHECK(f.session.dump() == before);
  CHECK(f.session.run_turn(messages, Fixture::options(4), f.silent).action == CacheAction::appended);
}

TEST_CASE("a turn that is cancelled while its prompt is written leaves the cache as it was") {
  test::GgufWriter writer = test::make_tiny_model(Architecture::llama);
  writer.set("tokenizer.chat_template",
             "{% if messages|length > 1 %}{% for a in range(100) %}{% for b in range(400) %}{% endfor %}{% endfor %}"
             "{% endif %}{% for m in messages %}{{ m.content }}<|im_end|>{% endfor %}");
  const std::vector<std::byte> bytes = writer.bytes();
  const Model model(load_model_file(GgufFile::from_bytes(bytes, "tiny.gguf")));
  const std::unique_ptr<Backend> backend = make_backend({.name = "cpu", .n_threads = 1});
  CacheLab session(model, *backend, {.cache = *find_cache_config("paper"), .n_ctx = 0});
  TurnObserver silent;
  std::vector<ChatMessage> messages{{"user", "Hello", {}}};
  const TurnResult first = session.run_turn(messages, Fixture::options(4), silent);
  const auto before = session.dump();
  messages.push_back({"assistant", first.text, first.ids});
  messages.push_back({"user", "Go on.", {}});
  StopAfter at_once(0);
  const TurnResult result = session.run_turn(messages, Fixture::options(4), at_once);
  CHECK(result.stop_reason == StopReason::cancelled);
  CHECK(result.n_prompt_tokens == 0);
  CHECK(session.dump() == before);
  CHECK(session.run_turn(messages, Fixture::options(4), silent).action == CacheAction::appended);
}

TEST_CASE("a prefill on its own that is stopped is an error, and leaves the cache as it was") {
  tested_backend = GENERATE(from_range(backends()));
  Fixture f;
  StopAfter in_second_layer(1);
  CHECK_THROWS_WITH(f.session.prefill(std::vector<TokenId>(40, 9), in_second_layer), Contains("stopped"));
  CHECK(f.session.ids().empty());
  CHECK(f.session.cache_state().kv_live_bytes == 0);
}

TEST_CASE("a cancelled answer keeps what was written, and the chat goes on") {
  tested_backend = GENERATE(from_range(backends()));
  Fixture f;
  std::vector<ChatMessage> messages{{"user", long_text, {}}};
  struct StopAfterTokens : TurnObserver {
    int n_left = 5;
    void on_token(TokenId, std::string_view) override { --n_left; }
    bool stop_requested() override { return n_left == 0; }
  } observer;
  const TurnResult result = f.session.run_turn(messages, Fixture::options(50), observer);
  CHECK(result.stop_reason == StopReason::cancelled);
  CHECK(result.ids.size() == 5);
  messages.push_back({"assistant", result.text, result.ids});
  messages.push_back({"user", "Go on.", {}});
  CHECK(f.session.run_turn(messages, Fixture::options(4), f.silent).action == CacheAction::appended);
}

TEST_CASE("a full context ends the answer with a sentence") {
  Model model = tiny(Architecture::llama);
  const auto backend = make_backend({.name = "cpu", .n_threads = 1});
  CacheLab session(model, *backend, {.cache = *find_cache_config("paper"), .n_ctx = 64});
  TurnObserver silent;
  const TurnResult result = session.run_ids(std::vector<TokenId>(60, 5), Fixture::options(-1), silent);
  CHECK(result.stop_reason == StopReason::context_full);
  CHECK_THAT(result.stop_message, Contains("64 tokens"));
  CHECK(session.ids().size() == 64);
  CHECK_THROWS_WITH(session.run_ids(std::vector<TokenId>(65, 5), Fixture::options(1), silent),
                    Contains("65 tokens") && Contains("64"));
  CHECK(session.ids().size() == 64);
}

TEST_CASE("running out of memory ends the turn, and the session goes on") {
  // There is room for one slab; the conversation outgrows it during the answer.
  Model model = many_heads();
  const auto backend = make_cpu_backend({.n_threads = 2, .kv_limit_bytes = slab_bytes});
  CacheLab session(model, *backend, {.cache = *find_cache_config("full"), .n_ctx = 0});
  TurnObserver silent;
  const TurnResult result = session.run_ids(std::vector<TokenId>(1500, 9), Fixture::options(-1), silent);
  CHECK(result.stop_reason == StopReason::out_of_memory);
  CHECK_FALSE(result.stop_message.empty());
  const TurnResult next = session.run_ids(std::vector<TokenId>(100, 7), Fixture::options(5), silent);
  CHECK(next.stop_reason == StopReason::max_tokens);
  CHECK(next.ids.size() == 5);
}

TEST_CASE("memory that runs out during a prefill leaves the conversation usable") {
  Model model = many_heads();
  const auto backend = make_cpu_backend({.n_threads = 2, .kv_limit_bytes = slab_bytes});
  CacheLab session(model, *backend, {.cache = *find_cache_config("full"), .n_ctx = 0});
  TurnObserver silent;
  std::vector<TokenId> ids(500, 9);
  session.run_ids(ids, Fixture::options(5), silent);
  ids.resize(4000, 8);
  const TurnResult result = session.run_ids(ids, Fixture::options(5), silent);
  CHECK(result.stop_reason == StopReason::out_of_memory);
  ids.resize(600);
  CHECK(session.run_ids(ids, Fixture::options(5), silent).stop_reason == StopReason::max_tokens);
}

TEST_CASE("counters are exact: pages of all heads, and nothing after clear") {
  tested_backend = GENERATE(from_range(backends()));
  Fixture f;
  std::vector<ChatMessage> messages;
  f.say(messages, long_text, 30);
  const CacheState state = f.session.cache_state();
  int64_t bytes = 0;
  for (const HeadState& head : state.heads) {
    const int64_t pages = (head.kept_tokens + page_tokens - 1) / page_tokens;
    CHECK(head.bytes >= pages * static_cast<int64_t>(PageLayout{f.model.config().head_dim}.page_bytes()));
    bytes += head.bytes;
  }
  CHECK(state.kv_live_bytes == bytes);
  CHECK(state.kv_pool_bytes >= bytes);
  CHECK(state.kv_pool_bytes % static_cast<int64_t>(slab_bytes) == 0);
  f.session.clear();
  CHECK(f.session.cache_state().kv_live_bytes == 0);
  CHECK(f.session.cache_state().kv_pool_bytes == 0);
}

TEST_CASE("stop strings end the answer before them") {
  tested_backend = GENERATE(from_range(backends()));
  Fixture f;
  std::vector<ChatMessage> messages{{"user", long_text, {}}};
  const TurnResult free_run = f.session.run_turn(messages, Fixture::options(30), f.silent);
  REQUIRE(free_run.text.size() > 12);
  TurnOptions options = Fixture::options(30);
  options.stop_strings = {free_run.text.substr(6, 4)};
  const TurnResult stopped = f.session.run_turn(messages, options, f.silent);
  CHECK(stopped.stop_reason == StopReason::stop_string);
  CHECK(stopped.text == free_run.text.substr(0, free_run.text.find(options.stop_strings[0])));
}

TEST_CASE("a changed configuration rebuilds the cache at the next turn") {
  tested_backend = GENERATE(from_range(backends()));
  Fixture f;
  std::vector<ChatMessage> messages;
  f.say(messages, long_text);
  f.session.set_cache_config(*find_cache_config("full"));
  CHECK(f.say(messages, "Next.").action == CacheAction::re_encoded);
  for (const HeadState& head : f.session.cache_state().heads) CHECK(head.policy == Policy{Policy::full});
}

TEST_CASE("a model file that shrinks while it is used is an error, not a crash") {
  const auto path = std::filesystem::temp_directory_path() / "headroom-shrinking.gguf";
  {
    const auto bytes = test::make_tiny_model(Architecture::llama).bytes();
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  Model model(path.string());
  const auto backend = make_backend({.name = "cpu", .n_threads = 2});
  CacheLab session(model, *backend, {.cache = *find_cache_config("paper"), .n_ctx = 0});
  TurnObserver silent;
  const TurnResult whole = session.run_ids(std::vector<TokenId>(40, 9), Fixture::options(4), silent);
  CHECK(whole.stop_reason == StopReason::max_tokens);
  std::filesystem::resize_file(path, 5000);
  CHECK_THROWS_WITH(session.feed(9), Contains("headroom-shrinking.gguf"));
  CHECK(session.ids().size() == static_cast<size_t>(session.cache_state().n_tokens));
  CHECK_THROWS_WITH(session.run_ids(std::vector<TokenId>(30, 8), Fixture::options(4), silent),
                    Contains("headroom-shrinking.gguf"));
  CHECK(session.ids().size() == static_cast<size_t>(session.cache_state().n_tokens));
  std::filesystem::remove(path);
}

}  // namespace session_test
