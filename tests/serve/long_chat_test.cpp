// A long chat over the stream. With a byte bound that the control tokens exceed, no turn is refused and the reported
// bytes stay within the bound. The mirror follows returns to an earlier turn.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <random>

#include "engine/base/page_layout.h"
#include "tests/serve/served_engine.h"
#include "tests/support/effort.h"

using namespace headroom;
using test::ServedEngine;
using test::TinyModelFile;

TEST_CASE("a chat under a bound in bytes goes on for as many turns as one likes", "[turns]") {
  const int n_turns = test::runs_long_tests() ? 300 : 24;
  const CacheType type = GENERATE(CacheType::f16, CacheType::q8_0);
  CAPTURE(static_cast<int>(type));
  test::TinyModelOptions options = test::tiny_model_options(Architecture::llama);
  options.head_dim = 32;
  options.n_ctx = 32768;
  const TinyModelFile file(test::make_endless_model(options));
  ServedEngine engine;
  engine.load(file.path(), "headroom");
  CacheConfig config = *find_cache_config("headroom");
  config.cache_type = type;
  // Per head: five control tokens of a first turn, the first four and the last 64 tokens fit in five pages; plus 10 %.
  config.kv_budget_bytes = 5 * options.n_layers * options.n_kv_heads *
                           static_cast<int64_t>(PageLayout{options.head_dim, type}.page_bytes()) * 11 / 10;
  stream::SetConfigT set;
  set.config = std::make_unique<stream::CacheConfigT>(to_stream(config));
  engine.send(std::move(set));
  engine.until(stream::EventBody::CacheRebuilt);

  std::mt19937 random(5);
  std::vector<ChatMessage> messages;
  int64_t most_bytes = 0;
  for (int turn = 1; turn <= n_turns; ++turn) {
    CAPTURE(turn);
    bool goes_back = false;
    if (turn % 6 == 0) {  // the user edits an earlier message
      goes_back = true;
      messages.resize(messages.size() - 2 * (1 + random() % 3));
    }
    messages.push_back({"user", "message " + std::to_string(turn) + ", short", {}});
    stream::PromptT prompt = ServedEngine::prompt(static_cast<uint64_t>(turn), messages, 8);
    prompt.sampler->temperature = 0;
    engine.send(std::move(prompt));
    const stream::Event& end = engine.until(stream::EventBody::TurnFinished, [&](const stream::Event&) {
      most_bytes = std::max(most_bytes, engine.mirror.now().kv_live_bytes);
    });
    const stream::TurnFinished& finished = *end.body_as_TurnFinished();
    INFO((finished.message() == nullptr ? "" : finished.message()->str()));
    REQUIRE(finished.stop_reason()->str() == "max_tokens");
    if (goes_back) CHECK(engine.mirror.last_action() == "undone");
    CHECK(finished.n_prefilled_tokens() < 60);
    messages.push_back({"assistant", engine.mirror.messages().back().content, engine.mirror.messages().back().ids});
  }
  CHECK(most_bytes <= config.kv_budget_bytes);
  CHECK(most_bytes > config.kv_budget_bytes / 2);
}

TEST_CASE("an answer with a NUL byte, which a model may write, does not end its chat; a message with one is refused") {
  const TinyModelFile file(test::make_endless_model(test::tiny_model_options(Architecture::llama)));
  ServedEngine engine;
  engine.load(file.path());
  const std::string text("a\0b", 3);
  const auto stop_reason_of = [&](uint64_t turn, const std::vector<ChatMessage>& messages) {
    engine.send(ServedEngine::prompt(turn, messages, 1));
    return engine.until(stream::EventBody::TurnFinished).body_as_TurnFinished()->stop_reason()->str();
  };
  CHECK(stop_reason_of(1, {{"user", "hello", {}}, {"assistant", text, {}}, {"user", "go on", {}}}) != "error");
  CHECK(stop_reason_of(2, {{"user", text, {}}}) == "error");
}
