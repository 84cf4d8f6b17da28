// A Stop or a closed connection is handled at once: in a prefill, in an answer, while a model is opened. A sleeping
// reader delays nothing and loses only counters.
#include <catch2/catch.hpp>
#include <set>

#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "tests/serve/served_engine.h"
#include "tests/support/effort.h"
#include "tests/support/model_paths.h"

using namespace headroom;
using namespace headroom::test;
using Catch::Matchers::Contains;

namespace {

constexpr double stop_limit_ms = test::has_sanitizer ? 3000 : 100;
constexpr int32_t slow_model_n_ff = test::has_thread_sanitizer ? 64 : 1024;

TinyModelOptions slow_model_options() {
  TinyModelOptions options = tiny_model_options(Architecture::llama);
  options.n_layers = 8;
  options.n_embd = 256;
  options.n_heads = 16;
  options.n_kv_heads = 8;
  options.n_ff = slow_model_n_ff;
  options.n_ctx = 16384;
  return options;
}

const std::string& slow_model_path() {
  static const TinyModelFile file(make_endless_model(slow_model_options()));
  return file.path();
}

std::string text_of(size_t n_characters) {
  std::string text;
  while (text.size() < n_characters) text += "One two three, four five six. ";
  return text;
}

/// Sends Stop a little after the event `when` and checks that the turn was cancelled. Returns the milliseconds from
/// Stop to the end of the turn.
double ms_to_stop(ServedEngine& engine, uint64_t turn_id, const std::string& text, stream::EventBody when) {
  engine.send(ServedEngine::cold_prompt(turn_id, text, -1));
  engine.until(when);
  std::this_thread::sleep_for(std::chrono::milliseconds(7 * turn_id));
  const auto start = Clock::now();
  engine.send(stream::StopT{});
  const stream::Event& end = engine.until(stream::EventBody::TurnFinished);
  const double ms = ms_since(start);
  CHECK(end.body_as_TurnFinished()->stop_reason()->str() == "cancelled");
  return ms;
}

/// Checks the median of three, because other programs on the machine may delay one.
void check_stop(ServedEngine& engine, const std::string& text, stream::EventBody when) {
  std::vector<double> ms;
  for (uint64_t i = 1; i <= 3; ++i) ms.push_back(ms_to_stop(engine, i, text, when));
  std::sort(ms.begin(), ms.end());
  INFO("milliseconds: " << ms[0] << " " << ms[1] << " " << ms[2]);
  CHECK(ms[1] < stop_limit_ms);
}

}  // namespace

TEST_CASE("Stop ends a prefill and an answer within 100 ms, and the next turn goes on") {
  ServedEngine engine;
  engine.load(slow_model_path());
  check_stop(engine, text_of(10000), stream::EventBody::PrefillProgress);
  CHECK(engine.mirror.n_cached() == 0);
  check_stop(engine, "Hello", stream::EventBody::Step);
  CHECK_FALSE(engine.mirror.messages().back().ids.empty());  // the generated part stays
  engine.send(ServedEngine::cold_prompt(9, "Hello", 3));
  const stream::Event& end = engine.until(stream::EventBody::TurnFinished);
  CHECK(end.body_as_TurnFinished()->stop_reason()->str() == "max_tokens");
}

namespace {

/// A template that compares all pairs of messages several times: it takes seconds for thousands of messages.
std::string slow_template_path() {
  static const TinyModelFile file([] {
    GgufWriter writer = make_endless_model(tiny_model_options(Architecture::llama));
    writer.set("tokenizer.chat_template",
               "{% for m in messages %}{% for a in messages %}{% if a.role == m.role and a.content == m.content %}"
               "{% endif %}{% endfor %}{% endfor %}{% for m in messages[-2:] %}{{ m.content }}{% endfor %}");
    return writer;
  }());
  return file.path();
}

stream::PromptT long_conversation(uint64_t turn_id) {
  std::vector<ChatMessage> messages;
  for (int i = 0; i < 4001; ++i) messages.push_back({i % 2 == 0 ? "user" : "assistant", std::to_string(i), {}});
  return ServedEngine::prompt(turn_id, messages, 1);
}

}  // namespace

TEST_CASE("Stop, Load and Quit are heard while a chat template writes the prompt") {
  ServedEngine engine;
  engine.load(slow_template_path());
  const auto begin_turn = [&](uint64_t turn_id) {
    engine.send(long_conversation(turn_id));
    std::this_thread::sleep_for(std::chrono::milliseconds(150));  // the prompt has been received, and the template runs
    return Clock::now();
  };
  std::vector<double> ms;
  for (uint64_t turn_id = 1; turn_id <= 3; ++turn_id) {
    const auto start = begin_turn(turn_id);
    engine.send(stream::StopT{});
    const stream::Event& end = engine.until(stream::EventBody::TurnFinished);
    ms.push_back(ms_since(start));
    CHECK(end.body_as_TurnFinished()->stop_reason()->str() == "cancelled");
    CHECK(engine.mirror.n_cached() == 0);
  }
  std::sort(ms.begin(), ms.end());
  INFO("milliseconds: " << ms[0] << " " << ms[1] << " " << ms[2]);
  CHECK(ms[1] < stop_limit_ms);

  begin_turn(4);
  engine.load(slow_template_path());
  engine.send(ServedEngine::cold_prompt(5, "Hello", 1));
  CHECK(engine.until(stream::EventBody::TurnFinished).body_as_TurnFinished()->stop_reason()->str() == "max_tokens");

  begin_turn(6);
  engine.send(stream::QuitT{});
  CHECK(engine.ms_to_end() < (stop_limit_ms > 100 ? 5000 : 1000));
}

TEST_CASE("Stop is heard while what a chat template wrote is turned into tokens") {
  const TinyModelFile file([] {
    GgufWriter writer = make_endless_model(tiny_model_options(Architecture::llama));
    writer.set("tokenizer.chat_template", "{{ 'a' * 8000000 }}{{ messages[-1].content }}");
    return writer;
  }());
  ServedEngine engine;
  engine.load(file.path());
  std::vector<double> ms;
  // An idle machine takes some 350 ms.
  for (const int pause_ms : {10, 30, 50, 70, 90}) {
    engine.send(ServedEngine::cold_prompt(ms.size() + 1, "Hello", 1));
    std::this_thread::sleep_for(std::chrono::milliseconds(pause_ms));
    const auto start = Clock::now();
    engine.send(stream::StopT{});
    const stream::Event& end = engine.until(stream::EventBody::TurnFinished);
    ms.push_back(ms_since(start));
    CHECK(end.body_as_TurnFinished()->stop_reason()->str() == "cancelled");
  }
  std::sort(ms.begin(), ms.end());
  INFO("milliseconds: " << ms[0] << " " << ms[1] << " " << ms[2] << " " << ms[3] << " " << ms[4]);
  CHECK(ms[2] < stop_limit_ms);
}

TEST_CASE("the same on the default model") {
  const std::optional<std::string> path = find_model(smollm2_file);
  if (!path) {
    WARN("skipped: " << smollm2_file << " is not there");
    return;
  }
  ServedEngine engine;
  engine.load(*path);
  check_stop(engine, text_of(12000), stream::EventBody::PrefillProgress);
  check_stop(engine, "Tell me a long story.", stream::EventBody::Step);
}

TEST_CASE("Stop without a turn has no effect on the next one") {
  ServedEngine engine;
  engine.load(slow_model_path());
  engine.send(stream::StopT{});
  engine.send(ServedEngine::cold_prompt(1, "Hello", 3));
  const stream::Event& end = engine.until(stream::EventBody::TurnFinished);
  CHECK(end.body_as_TurnFinished()->stop_reason()->str() == "max_tokens");
}

TEST_CASE("re-encoding can be stopped; the cache is empty then, and the next turn builds it") {
  ServedEngine engine;
  engine.load(slow_model_path());
  const std::vector<ChatMessage> messages{{"user", text_of(1000), {}}};
  engine.send(ServedEngine::prompt(1, messages, 0));
  engine.until(stream::EventBody::TurnFinished);
  stream::SetConfigT set;
  set.turn_id = 2;
  set.config = std::make_unique<stream::CacheConfigT>(to_stream(*find_cache_config("h2o")));
  engine.send(std::move(set));
  engine.send(stream::StopT{});
  const stream::Event& end = engine.until(stream::EventBody::TurnFinished);
  CHECK(end.body_as_TurnFinished()->stop_reason()->str() == "cancelled");
  CHECK(engine.mirror.n_cached() == 0);
  CHECK(engine.mirror.messages().size() == 1);
  engine.send(ServedEngine::prompt(3, messages, 2));
  engine.until(stream::EventBody::TurnFinished);
  CHECK(engine.mirror.config().name == "h2o");
  CHECK(engine.mirror.last_turn()->n_answer_tokens == 2);
}

TEST_CASE("Clear and Load end the turn that runs") {
  ServedEngine engine;
  engine.load(slow_model_path());
  engine.send(ServedEngine::cold_prompt(1, "Hello", -1));
  engine.until(stream::EventBody::Step);
  engine.send(stream::ClearT{});
  CHECK(engine.until(stream::EventBody::TurnFinished).body_as_TurnFinished()->stop_reason()->str() == "cancelled");
  engine.until(stream::EventBody::CacheRebuilt);
  CHECK(engine.mirror.messages().empty());
  engine.send(ServedEngine::cold_prompt(2, "Hello", -1));
  engine.until(stream::EventBody::Step);
  engine.load(slow_model_path());
  CHECK_FALSE(engine.mirror.turn());
}

TEST_CASE("a load is given up where CancelLoad came, and another one after it is not") {
  const TinyModelFile file(make_endless_model(tiny_model_options(Architecture::llama)));
  ServedEngine engine;
  stream::LoadT load;
  load.model_path = file.path();
  load.n_threads = 2;
  engine.send(load);
  engine.send(stream::CancelLoadT{});
  engine.send(load);
  // The first load may have finished before it was cancelled.
  std::vector<stream::EventBody> ends;
  while (ends.size() < 2) {
    const stream::Event& event = engine.next();
    if (event.body_type() == stream::EventBody::LoadFailed) CHECK(event.body_as_LoadFailed()->cancelled());
    if (event.body_type() == stream::EventBody::LoadFailed || event.body_type() == stream::EventBody::Loaded)
      ends.push_back(event.body_type());
  }
  CHECK(ends.back() == stream::EventBody::Loaded);
}

TEST_CASE("progress of a load goes forward, each stage with its name") {
  const TinyModelFile file(make_endless_model(tiny_model_options(Architecture::llama)));
  ServedEngine engine;
  stream::LoadT load;
  load.model_path = file.path();
  engine.send(std::move(load));
  double fraction = -1;
  std::set<std::string> stages;
  engine.until(stream::EventBody::Loaded, [&](const stream::Event& event) {
    if (event.body_type() != stream::EventBody::LoadProgress) return;
    CHECK(event.body_as_LoadProgress()->fraction() > fraction);
    fraction = event.body_as_LoadProgress()->fraction();
    stages.insert(event.body_as_LoadProgress()->stage()->str());
  });
  CHECK(stages.size() == 5);
}

TEST_CASE("the end of the input, Quit, and a reader that is gone end the engine within a second, in mid-answer") {
  const auto carrier = GENERATE(ServedEngine::Carrier::socket_pair, ServedEngine::Carrier::pipes);
  const std::string how = GENERATE("input ends", "quit", "reader gone", "reader asleep");
  ServedEngine engine(carrier);
  engine.load(slow_model_path());
  engine.send(ServedEngine::cold_prompt(1, "Hello", -1));
  engine.until(stream::EventBody::Step);
  CAPTURE(how);
  if (how == "input ends") engine.close_input();
  if (how == "quit") engine.send(stream::QuitT{});
  if (how == "reader gone") engine.close_output();
  if (how == "reader asleep") {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));  // its pipe is full now
    engine.close_input();
  }
  CHECK(engine.ms_to_end() < (stop_limit_ms > 100 ? 5000 : 1000));
  CHECK(engine.ended().empty());
}

TEST_CASE("a reader that sleeps does not slow the model, and loses nothing but counters") {
  const auto carrier = GENERATE(ServedEngine::Carrier::socket_pair, ServedEngine::Carrier::pipes);
  ServedEngine engine(carrier);
  engine.load(slow_model_path());
  constexpr int32_t n_tokens = 400;
  const auto run = [&](uint64_t turn_id, int sleep_ms) {
    engine.send(ServedEngine::cold_prompt(turn_id, "Hello " + std::to_string(turn_id), n_tokens));
    std::this_thread::sleep_for(std::chrono::milliseconds(sleep_ms));
    engine.types.clear();
    return engine.until(stream::EventBody::TurnFinished).body_as_TurnFinished()->generate_ms();
  };
  const double awake_ms = run(1, 0);
  const auto n_snapshots = [&] {
    return std::count(engine.types.begin(), engine.types.end(), stream::EventBody::Snapshot);
  };
  const double asleep_ms = run(2, static_cast<int>(awake_ms * 1.5));
  CHECK(std::count(engine.types.begin(), engine.types.end(), stream::EventBody::Token) == n_tokens);
  CHECK(std::count(engine.types.begin(), engine.types.end(), stream::EventBody::Step) == n_tokens - 1);
  CHECK(n_snapshots() < n_tokens - 1);
  CHECK(asleep_ms < awake_ms * 3);  // other programs run too
  // The mirror applied every event, so none was missing, and its counters are the final ones.
  CHECK(engine.mirror.now().n_tokens == engine.mirror.n_cached());
}
