// The engine answers every wrong input with a sentence, and continues if that is possible.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdio>
#include <limits>

#include "engine/base/error.h"
#include "tests/serve/served_engine.h"

using namespace headroom;
using namespace headroom::test;
using Catch::Matchers::Contains;

namespace {

const std::string& model_path() {
  static const TinyModelFile file(make_endless_model(tiny_model_options(Architecture::llama)));
  return file.path();
}

/// A file with these bytes, removed at the end.
struct OddFile {
  std::string path = temporary_path("odd.gguf");
  explicit OddFile(const Bytes& bytes) { write_file(path, bytes); }
  ~OddFile() { std::remove(path.c_str()); }
};

std::string load_error(ServedEngine& engine, stream::LoadT load) {
  engine.send(std::move(load));
  const auto& failed = *engine.until(stream::EventBody::LoadFailed).body_as_LoadFailed();
  CHECK_FALSE(failed.cancelled());
  CHECK(engine.mirror.load_error() == failed.message()->str());
  return failed.message()->str();
}

stream::LoadT load_of(const std::string& path) {
  stream::LoadT load;
  load.model_path = path;
  load.n_threads = 2;
  return load;
}

/// Sends a prompt that must be refused before its turn starts; returns the message.
std::string refusal(ServedEngine& engine, stream::PromptT prompt) {
  const uint64_t turn_id = prompt.turn_id;
  engine.send(std::move(prompt));
  engine.types.clear();
  const auto& finished = *engine.until(stream::EventBody::TurnFinished).body_as_TurnFinished();
  CHECK(engine.types.size() == 1);  // no TurnStarted
  CHECK(finished.turn_id() == turn_id);
  CHECK(finished.stop_reason()->str() == "error");
  return finished.message()->str();
}

void check_goes_on(ServedEngine& engine) {
  engine.send(ServedEngine::cold_prompt(99, "Hello", 2));
  CHECK(engine.until(stream::EventBody::TurnFinished).body_as_TurnFinished()->stop_reason()->str() == "max_tokens");
}

}  // namespace

TEST_CASE("a model that cannot be opened is a sentence, and the engine goes on") {
  ServedEngine engine;
  CHECK_THAT(load_error(engine, load_of("/nowhere/model.gguf")),
             Contains("/nowhere/model.gguf") && Contains("No such"));
  CHECK_THAT(load_error(engine, load_of("")), Contains("no model file"));
  CHECK_THAT(load_error(engine, load_of(std::string("a\0b", 3))), Contains("NUL"));
  CHECK_THAT(load_error(engine, load_of("/tmp")), Contains("not a regular file"));

  Bytes bytes = make_tiny_model(Architecture::llama).bytes();
  bytes.resize(bytes.size() / 2);
  const OddFile cut(bytes);
  CHECK_THAT(load_error(engine, load_of(cut.path)), Contains(cut.path));
  const OddFile noise(Bytes(1000, std::byte{0xa5}));
  CHECK_THAT(load_error(engine, load_of(noise.path)), Contains("GGUF"));
  GgufWriter foreign = make_tiny_model(Architecture::llama);
  foreign.set("general.architecture", "mamba");
  const OddFile mamba(foreign.bytes());
  CHECK_THAT(load_error(engine, load_of(mamba.path)), Contains("mamba"));

  stream::LoadT load = load_of(model_path());
  load.config = std::make_unique<stream::CacheConfigT>(to_stream(*find_cache_config("paper")));
  load.config->r_local = std::numeric_limits<double>::quiet_NaN();
  CHECK_THAT(load_error(engine, load), Contains("r_local"));
  load.config->r_local = 0.3;
  load.config->policy_set.clear();
  CHECK_THAT(load_error(engine, load), Contains("policy set"));
  load.config = nullptr;
  load.backend = "abacus";
  CHECK_THAT(load_error(engine, load), Contains("abacus"));
  load.backend = "cpu";
  load.n_threads = 1 << 30;
  CHECK_THAT(load_error(engine, load), Contains("threads"));
  load.n_threads = 1;
  load.n_ctx = 1 << 30;
  CHECK_THAT(load_error(engine, load), Contains("context"));
  load.n_ctx = -1;
  CHECK_THAT(load_error(engine, load), Contains("context"));

  CHECK_THAT(refusal(engine, ServedEngine::cold_prompt(5, "Hello", 2)), Contains("no model"));
  engine.load(model_path());
  check_goes_on(engine);
}

TEST_CASE("a load that is refused leaves the model that is open, with its conversation") {
  ServedEngine engine;
  engine.load(model_path());
  engine.send(ServedEngine::cold_prompt(1, "Hello", 3));
  engine.until(stream::EventBody::TurnFinished);
  const int32_t n_cached = engine.mirror.n_cached();
  const std::string name = engine.mirror.model()->name;
  REQUIRE(n_cached > 0);

  const auto check_kept = [&](stream::LoadT load, const char* sentence) {
    engine.send(std::move(load));
    const auto& failed = *engine.until(stream::EventBody::LoadFailed).body_as_LoadFailed();
    INFO(failed.message()->str());
    CHECK(failed.keeps_model());
    CHECK_THAT(failed.message()->str(), Contains(sentence));
    REQUIRE(engine.mirror.is_open());
    CHECK(engine.mirror.model()->name == name);
    CHECK_FALSE(engine.mirror.is_stale());
    CHECK(engine.mirror.n_cached() == n_cached);
  };
  const std::string text = "hello, this is a text that somebody wanted to attach";
  const OddFile txt(Bytes(reinterpret_cast<const std::byte*>(text.data()),
                          reinterpret_cast<const std::byte*>(text.data()) + text.size()));
  check_kept(load_of(txt.path), "found 'hell'");
  check_kept(load_of("/nowhere/model.gguf"), "No such");
  check_kept(load_of("/tmp"), "not a regular file");
  check_kept(load_of(""), "no model file");
  const OddFile empty(Bytes{});
  check_kept(load_of(empty.path), "expected 4 bytes");
  Bytes bytes = make_tiny_model(Architecture::llama).bytes();
  bytes.resize(bytes.size() / 2);
  const OddFile cut(bytes);
  check_kept(load_of(cut.path), "");
  GgufWriter foreign = make_tiny_model(Architecture::llama);
  foreign.set("general.architecture", "mamba");
  const OddFile mamba(foreign.bytes());
  check_kept(load_of(mamba.path), "mamba");

  stream::LoadT load = load_of(model_path());
  load.backend = "abacus";
  check_kept(load, "abacus");
  load.backend = "cpu";
  load.n_threads = -1;
  check_kept(load, "threads");
  load.n_threads = 1;
  load.n_ctx = 1 << 30;
  check_kept(load, "context");
  load.n_ctx = 0;
  load.config = std::make_unique<stream::CacheConfigT>(to_stream(*find_cache_config("headroom")));
  load.config->head_importance = {1, 1, 1};
  check_kept(load, "importance of 3 heads");
  load.config->head_importance.clear();
  load.config->keep = 2;
  check_kept(load, "keep");

  // The conversation continues from the tokens in the cache.
  engine.send(ServedEngine::prompt(2,
                                   {{"user", "Hello", {}},
                                    {"assistant", engine.mirror.messages()[1].content, engine.mirror.messages()[1].ids},
                                    {"user", "And then?", {}}},
                                   1));
  engine.until(stream::EventBody::TurnFinished);
  CHECK(engine.mirror.last_action() == "appended");
}

TEST_CASE("a load that is refused while an answer is written does not end it; a good one does") {
  TinyModelOptions options = tiny_model_options(Architecture::llama);
  options.n_ctx = 32768;
  const TinyModelFile endless(make_endless_model(options));
  ServedEngine engine;
  engine.load(endless.path());
  engine.send(ServedEngine::cold_prompt(1, "Hello", -1));
  engine.until(stream::EventBody::Step);
  for (const char* path : {"/nowhere/model.gguf", "/tmp", ""}) {
    engine.send(load_of(path));
    CHECK(engine.until(stream::EventBody::LoadFailed).body_as_LoadFailed()->keeps_model());
    REQUIRE(engine.mirror.turn());
    engine.until(stream::EventBody::Step);
  }
  engine.send(load_of(model_path()));
  CHECK(engine.until(stream::EventBody::TurnFinished).body_as_TurnFinished()->stop_reason()->str() == "cancelled");
  CHECK(engine.until(stream::EventBody::Loaded).body_as_Loaded()->model_path()->str() == model_path());
}

TEST_CASE("a load that fails when the model before has made room is followed by that model, opened again") {
  ServedEngine engine;
  engine.load(model_path());
  check_goes_on(engine);
  stream::LoadT load = load_of(model_path());
  load.config = std::make_unique<stream::CacheConfigT>(to_stream(*find_cache_config("headroom")));
  load.config->kv_budget_bytes = 1;  // only the session finds out that this is too little
  engine.send(std::move(load));
  CHECK_FALSE(engine.until(stream::EventBody::LoadFailed).body_as_LoadFailed()->keeps_model());
  CHECK_FALSE(engine.mirror.is_open());
  CHECK(engine.until(stream::EventBody::Loaded).body_as_Loaded()->model_path()->str() == model_path());
  CHECK(engine.mirror.config().name == "paper");
  check_goes_on(engine);
}

TEST_CASE("a load that is cancelled leaves a model open") {
  ServedEngine engine;
  engine.load(model_path());
  engine.send(load_of(model_path()));
  engine.send(stream::CancelLoadT{});
  // The load may have finished before the CancelLoad came.
  stream::EventBody end{};
  while (end != stream::EventBody::LoadFailed && end != stream::EventBody::Loaded) end = engine.next().body_type();
  if (!engine.mirror.is_open()) engine.until(stream::EventBody::Loaded);
  check_goes_on(engine);
}

TEST_CASE("a conversation longer than the stream carries is refused") {
  ServedEngine engine;
  engine.load(model_path());
  CHECK_THAT(refusal(engine, ServedEngine::cold_prompt(5, std::string((32 << 20) + 1, 'a'), 2)),
             Contains("expected at most 33554432"));
  check_goes_on(engine);
}

TEST_CASE("a model whose weights are not numbers ends its turns with the tensor's name, and costs no backend") {
  GgufWriter writer = make_endless_model(tiny_model_options(Architecture::llama));
  writer.set_tensor("output_norm.weight", {64}, std::vector<float>(64, std::numeric_limits<float>::quiet_NaN()));
  const TinyModelFile file(writer);
  ServedEngine engine;
  engine.load(file.path());
  engine.types.clear();
  for (const uint64_t turn : {1, 2}) {
    engine.send(ServedEngine::cold_prompt(turn, "Hello", 2));
    const auto& finished = *engine.until(stream::EventBody::TurnFinished).body_as_TurnFinished();
    CHECK(finished.stop_reason()->str() == "error");
    CHECK_THAT(finished.message()->str(), Contains("'output_norm.weight': 64 of 64 values are not numbers"));
  }
  engine.load(model_path());
  check_goes_on(engine);
  // No backend failure was reported.
  CHECK(std::count(engine.types.begin(), engine.types.end(), stream::EventBody::Failure) == 0);
}

TEST_CASE("commands that need a model are refused without one") {
  ServedEngine engine;
  CHECK_THAT(refusal(engine, ServedEngine::cold_prompt(1, "Hello", 2)), Contains("no model"));
  stream::SetConfigT set;
  set.turn_id = 2;
  engine.send(std::move(set));
  CHECK_THAT(engine.until(stream::EventBody::TurnFinished).body_as_TurnFinished()->message()->str(),
             Contains("no model"));
  engine.send(stream::ClearT{});
  CHECK_THAT(engine.until(stream::EventBody::Failure).body_as_Failure()->message()->str(), Contains("no model"));
  engine.send(stream::StopT{});
  engine.send(stream::CancelLoadT{});
  engine.load(model_path());
  check_goes_on(engine);
}

TEST_CASE("a chat written with a larger vocabulary goes on: its answers are tokenised anew") {
  ServedEngine engine;
  engine.load(model_path());
  const auto n_prompt_tokens = [&](const std::vector<TokenId>& ids) {
    engine.send(ServedEngine::prompt(7, {{"user", "Hi", {}}, {"assistant", "Hi", ids}, {"user", "Hi", {}}}, 2));
    const auto& finished = *engine.until(stream::EventBody::TurnFinished).body_as_TurnFinished();
    CHECK(finished.stop_reason()->str() == "max_tokens");
    return finished.n_prompt_tokens();
  };
  const int32_t n_anew = n_prompt_tokens({});
  CHECK(n_anew > 0);
  for (const std::vector<TokenId>& ids : {std::vector<TokenId>{62902, 5}, {1 << 30}, {-1}}) {
    CAPTURE(ids);
    CHECK(n_prompt_tokens(ids) == n_anew);
  }
}

TEST_CASE("a conversation that cannot be used is refused, and the next one is answered") {
  ServedEngine engine;
  engine.load(model_path());
  const auto refuse = [&](const std::vector<ChatMessage>& messages) {
    return refusal(engine, ServedEngine::prompt(7, messages, 2));
  };
  CHECK_THAT(refuse({}), Contains("empty"));
  CHECK_THAT(refuse({{"user", "", {}}}), Contains("empty"));
  CHECK_THAT(refuse({{"user", std::string("a\0b", 3), {}}}), Contains("message 1") && Contains("NUL"));
  CHECK_THAT(refuse({{"user", "\xff\xfe", {}}}), Contains("UTF-8"));
  CHECK_THAT(refuse({{"user", "Hi", {}}, {"assistant", "\xff", {}}, {"user", "Hi", {}}}),
             Contains("message 2") && Contains("UTF-8"));
  CHECK_THAT(refuse({{"tool", "Hi", {}}, {"user", "Hi", {}}}), Contains("tool"));
  CHECK_THAT(refuse({{"user", "Hi", {}}, {"assistant", "Hi", {}}}), Contains("last message"));
  CHECK_THAT(refuse({{"user", "Hi", {5}}}), Contains("only an answer"));
  std::string longer_than_context;
  while (longer_than_context.size() < 20000) longer_than_context += "words ";
  CHECK_THAT(refuse({{"user", longer_than_context, {}}}), Contains("4096"));

  stream::PromptT prompt = ServedEngine::prompt(8, {{"user", "Hello", {}}}, 2);
  prompt.sampler->temperature = std::numeric_limits<float>::quiet_NaN();
  CHECK_THAT(refusal(engine, prompt), Contains("temperature"));
  prompt.sampler = nullptr;  // the defaults
  prompt.stop_strings.resize(1000, "x");
  CHECK_THAT(refusal(engine, prompt), Contains("stop strings"));
  check_goes_on(engine);

  stream::SetConfigT set;
  set.turn_id = 9;
  engine.send(std::move(set));
  CHECK_THAT(engine.until(stream::EventBody::TurnFinished).body_as_TurnFinished()->message()->str(),
             Contains("configuration"));
  check_goes_on(engine);
}

TEST_CASE("a second prompt while one runs is refused, and the first goes on") {
  ServedEngine engine;
  engine.load(model_path());
  engine.send(ServedEngine::cold_prompt(1, "Hello", 200));
  engine.send(ServedEngine::cold_prompt(2, "Hello", 2));
  const auto& refused = *engine.until(stream::EventBody::TurnFinished).body_as_TurnFinished();
  CHECK(refused.turn_id() == 2);
  CHECK(refused.stop_reason()->str() == "error");
  CHECK_THAT(refused.message()->str(), Contains("another turn"));
  const auto& finished = *engine.until(stream::EventBody::TurnFinished).body_as_TurnFinished();
  CHECK(finished.turn_id() == 1);
  CHECK(finished.stop_reason()->str() == "max_tokens");
}

TEST_CASE("bytes that are no command end the engine with a Failure and its sentence") {
  ServedEngine engine;
  engine.load(model_path());
  stream::CommandT command;
  command.body.Set(stream::StopT{});
  std::vector<std::byte> bytes = pack(command);
  const std::string kind = GENERATE("noise", "length 0", "huge length", "an event", "flipped", "cut off");
  CAPTURE(kind);
  if (kind == "noise") bytes.assign(2000, std::byte{0x5a});
  if (kind == "length 0") bytes.assign(8, std::byte{0});
  if (kind == "huge length") bytes.assign(8, std::byte{0xff});
  if (kind == "an event") {
    stream::EventT event;
    event.body.Set(stream::FailureT{});
    bytes = pack(event);
  }
  if (kind == "flipped")
    for (size_t i = 12; i < bytes.size(); ++i) bytes[i] ^= std::byte{0xff};
  if (kind == "cut off") bytes.pop_back();
  engine.send_bytes(bytes);
  if (kind == "cut off") engine.close_input();
  const std::string sentence = engine.until(stream::EventBody::Failure).body_as_Failure()->message()->str();
  CHECK_THAT(sentence, Contains("cannot read its input"));
  CHECK(engine.ended() == sentence);
}

TEST_CASE("a model file that shrinks while it answers ends the turn with a sentence; what was told is what is left") {
  const OddFile file(make_endless_model(tiny_model_options(Architecture::llama)).bytes());
  ServedEngine engine;
  engine.load(file.path);
  engine.send(ServedEngine::cold_prompt(1, "Hello", 3000));
  engine.until(stream::EventBody::Step);
  write_file(file.path, {});
  const auto& finished = *engine.until(stream::EventBody::TurnFinished).body_as_TurnFinished();
  CHECK(finished.stop_reason()->str() == "error");
  CHECK_THAT(finished.message()->str(), Contains(file.path));
  CHECK(engine.mirror.n_cached() == 0);
  engine.load(model_path());
  check_goes_on(engine);
}

TEST_CASE("a conversation is counted as its prompt would be, without being read; what is refused says why") {
  ServedEngine engine;
  uint64_t id = 0;
  const auto count = [&](const std::vector<ChatMessage>& messages) {
    stream::CountT command;
    command.id = ++id;
    command.messages = std::move(ServedEngine::prompt(1, messages, 0).messages);
    engine.send(std::move(command));
    const stream::Counted& counted = *engine.until(stream::EventBody::Counted).body_as_Counted();
    CHECK(counted.id() == id);
    return std::pair{counted.n_tokens(), counted.message() == nullptr ? "" : counted.message()->str()};
  };
  CHECK_THAT(count({{"user", "Hello", {}}}).second, Contains("no model"));
  engine.load(model_path());
  const int32_t n = count({{"user", "Hello", {}}}).first;
  CHECK(engine.mirror.n_cached() == 0);
  engine.send(ServedEngine::cold_prompt(9, "Hello", 2));
  CHECK(engine.until(stream::EventBody::TurnFinished).body_as_TurnFinished()->n_prompt_tokens() == n);
  CHECK(count({}).first == -1);
  CHECK_THAT(count({{"user", "", {}}}).second, Contains("empty"));
  check_goes_on(engine);
}
