// The stream reports what the session did: ids, text, every number, and every head's kept set at every token. The
// oracle is a session of the same model in the test's process.
#include <catch2/catch.hpp>
#include <deque>

#include "engine/backend/registry.h"
#include "engine/base/error.h"
#include "engine/run/prompt.h"
#include "tests/serve/served_engine.h"

using namespace headroom;
using namespace headroom::test;
using Catch::Matchers::Contains;

namespace {

const std::string long_text =
    "One two three, four five six. A cache keeps what a head needs; the rest can go. Then again, who knows what will "
    "be asked next? The tide pulls, the river runs, and every letter here is a token of its own.";

/// The cache at one moment.
struct Moment {
  CacheState state;
  std::vector<std::vector<int32_t>> kept;  // (heads)
};

Moment moment_of(const Session& session) {
  Moment moment{session.cache_state(), {}};
  for (const HeadState& head : moment.state.heads)
    moment.kept.push_back(session.kept_positions(head.layer, head.kv_head));
  return moment;
}

/// Records each state of a session.
struct Diary : TurnObserver {
  Session* session = nullptr;
  std::deque<Moment> moments;
  void on_cache_rebuilt() override { moments.push_back(moment_of(*session)); }
  void on_step(const TokenStep&) override { moments.push_back(moment_of(*session)); }
};

std::vector<TokenId> ids_of(const stream::TurnFinished& finished) {
  if (finished.ids() == nullptr) return {};
  return {finished.ids()->begin(), finished.ids()->end()};
}

void check_counters(const stream::Snapshot& snapshot, const CacheState& state) {
  CHECK(snapshot.n_tokens() == state.n_tokens);
  CHECK(snapshot.kv_live_bytes() == state.kv_live_bytes);
  CHECK(snapshot.kv_full_bytes() == state.kv_full_bytes);
  CHECK(snapshot.kv_pool_bytes() == state.kv_pool_bytes);
  CHECK(snapshot.kv_peak_bytes() == state.kv_peak_bytes);
  CHECK(snapshot.turn_log_bytes() == state.turn_log_bytes);
  CHECK(snapshot.resident_bytes() > 0);
  REQUIRE(snapshot.lengths()->size() == state.heads.size());
  for (size_t head = 0; head < state.heads.size(); ++head) {
    CHECK(snapshot.lengths()->Get(static_cast<uint32_t>(head)) == state.heads[head].kept_tokens);
    CHECK(snapshot.pages()->Get(static_cast<uint32_t>(head)) == state.heads[head].pages);
  }
}

void check_heads(const Mirror& mirror, const Moment& moment) {
  REQUIRE(mirror.heads().size() == moment.state.heads.size());
  CHECK(mirror.n_cached() == moment.state.n_tokens);
  for (size_t head = 0; head < moment.kept.size(); ++head)
    CHECK(mirror.kept_positions(static_cast<int32_t>(head)) == moment.kept[head]);
}

void check_rebuilt(const Mirror& mirror, const Moment& moment) {
  CHECK(mirror.config().name == moment.state.config.name);
  CHECK(mirror.config() == moment.state.config);
  CHECK(mirror.has_profile() == moment.state.has_profile);
  for (size_t head = 0; head < moment.state.heads.size(); ++head) {
    CHECK(mirror.heads()[head].policy == moment.state.heads[head].policy);
    CHECK(mirror.heads()[head].profile.recoveries == moment.state.heads[head].profile.recoveries);
    CHECK(mirror.heads()[head].budget == moment.state.heads[head].budget);
  }
}

/// An engine and a session that get the same turns.
struct Twins {
  Model model;
  std::unique_ptr<Backend> backend = make_backend({.name = "cpu", .n_threads = 2});
  Session session;
  ServedEngine engine;
  Diary diary;
  uint64_t turn_id = 0;
  Moment now;

  Twins(const std::string& path, const std::string& config)
      : model(path), session(model, *backend, {.cache = *find_cache_config(config), .n_ctx = 0}) {
    diary.session = &session;
    engine.load(path, config);
    now = moment_of(session);
  }

  /// Checks every event against the diary, in order.
  void see(const stream::Event& event) {
    const bool is_rebuilt = event.body_type() == stream::EventBody::CacheRebuilt;
    if (is_rebuilt || event.body_type() == stream::EventBody::Step) {
      REQUIRE_FALSE(diary.moments.empty());
      now = std::move(diary.moments.front());
      diary.moments.pop_front();
      check_heads(engine.mirror, now);
      if (!is_rebuilt) return;
      check_rebuilt(engine.mirror, now);
      check_counters(*event.body_as_CacheRebuilt()->snapshot(), now.state);
    } else if (event.body_type() == stream::EventBody::Snapshot) {
      check_counters(*event.body_as_Snapshot(), now.state);
    }
  }

  void check_finished(const stream::TurnFinished& finished, const TurnResult& result) {
    CHECK(finished.turn_id() == turn_id);
    CHECK(finished.stop_reason()->str() == stop_reason_name(result.stop_reason));
    CHECK(shown_text(finished.text()) == result.text);
    CHECK(ids_of(finished) == result.ids);
    CHECK(finished.n_prompt_tokens() == result.n_prompt_tokens);
    CHECK(finished.n_prefilled_tokens() == result.n_prefilled_tokens);
    REQUIRE((finished.first_token_top() ? finished.first_token_top()->size() : 0) == result.first_token_top.size());
    for (size_t i = 0; i < result.first_token_top.size(); ++i) {
      CHECK(finished.first_token_top()->Get(static_cast<uint32_t>(i))->id() == result.first_token_top[i].id);
      CHECK(finished.first_token_top()->Get(static_cast<uint32_t>(i))->logit() == result.first_token_top[i].logit);
    }
    CHECK(diary.moments.empty());
    const Mirror& mirror = engine.mirror;
    CHECK(mirror.last_action() == cache_action_name(result.action));
    CHECK(mirror.last_action_reason() == result.action_reason);
    const std::vector<TokenId>& ids = session.ids();
    REQUIRE(mirror.tokens().size() >= ids.size());
    for (size_t i = 0; i < ids.size(); ++i) CHECK(mirror.tokens()[i].id == ids[i]);
  }

  TurnResult turn(const std::vector<ChatMessage>& messages, int32_t max_tokens) {
    TurnOptions options;
    options.sampler.seed = 3;
    options.max_tokens = max_tokens;
    diary.moments.clear();
    const TurnResult result = session.run_turn(messages, options, diary);
    engine.send(ServedEngine::prompt(++turn_id, messages, max_tokens));
    const stream::Event& end =
        engine.until(stream::EventBody::TurnFinished, [&](const stream::Event& event) { see(event); });
    check_finished(*end.body_as_TurnFinished(), result);
    check_messages(messages, result);
    return result;
  }

  void check_messages(std::vector<ChatMessage> messages, const TurnResult& result) {
    if (!result.ids.empty()) messages.push_back({"assistant", result.text, result.ids});
    const auto& shown = engine.mirror.messages();
    REQUIRE(shown.size() == messages.size());
    for (size_t i = 0; i < shown.size(); ++i) {
      CHECK(shown[i].role == messages[i].role);
      CHECK(shown[i].content == messages[i].content);
      CHECK(shown[i].ids == messages[i].ids);
    }
  }

  TurnResult re_encode(const std::string& config) {
    diary.moments.clear();
    session.set_cache_config(*find_cache_config(config));
    const TurnResult result = session.re_encode(diary);
    stream::SetConfigT set;
    set.turn_id = ++turn_id;
    set.config = std::make_unique<stream::CacheConfigT>(to_stream(*find_cache_config(config)));
    engine.send(std::move(set));
    const stream::Event& end =
        engine.until(stream::EventBody::TurnFinished, [&](const stream::Event& event) { see(event); });
    check_finished(*end.body_as_TurnFinished(), result);
    return result;
  }
};

}  // namespace

TEST_CASE(
    "over turns, regenerate, edits, another configuration and clear the stream tells exactly what the cache holds") {
  const Architecture architecture = GENERATE(Architecture::llama, Architecture::gemma3);
  const TinyModelFile file(tiny_model_options(architecture));
  Twins twins(file.path(), "paper");
  std::vector<ChatMessage> messages;
  const auto say = [&](const std::string& text, int32_t n_tokens) {
    messages.push_back({"user", text, {}});
    const TurnResult result = twins.turn(messages, n_tokens);
    messages.push_back({"assistant", result.text, result.ids});
    return result.action;
  };
  CHECK(say(long_text, 40) == CacheAction::first_turn);
  CHECK(say("And then?", 20) == CacheAction::appended);
  CHECK(say(long_text + " Tell me.", 30) == CacheAction::appended);

  messages.pop_back();  // another answer
  CHECK(twins.turn(messages, 30).action == CacheAction::undone);
  messages.back().content = "An edited last message.";
  CHECK(twins.turn(messages, 10).action == CacheAction::undone);
  messages.front().content = "Another beginning.";
  CHECK(twins.turn(messages, 10).action == CacheAction::re_encoded);

  CHECK(twins.re_encode("h2o").n_prefilled_tokens == static_cast<int32_t>(twins.session.ids().size()));
  CHECK(twins.engine.mirror.config().name == "h2o");
  messages.push_back(
      {"assistant", twins.engine.mirror.messages().back().content, twins.engine.mirror.messages().back().ids});
  CHECK(say("Go on, then.", 10) == CacheAction::appended);

  twins.engine.send(stream::ClearT{});
  twins.engine.until(stream::EventBody::CacheRebuilt);
  CHECK(twins.engine.mirror.messages().empty());
  CHECK(twins.engine.mirror.n_cached() == 0);
  CHECK(twins.engine.mirror.now().kv_pool_bytes == 0);
  twins.session.clear();
  messages.clear();
  CHECK(say("A new chat.", 10) == CacheAction::first_turn);
}

TEST_CASE("Loaded has the model's numbers") {
  const TinyModelFile file(tiny_model_options(Architecture::gemma3));
  ServedEngine engine;
  const stream::Loaded& loaded = engine.load(file.path());
  const Model model(file.path());
  CHECK(loaded.architecture()->str() == "gemma3");
  CHECK(loaded.n_layers() == model.config().n_layers);
  CHECK(loaded.n_kv_heads() == model.config().n_kv_heads);
  CHECK(loaded.n_vocab() == model.tokenizer().size());
  CHECK(loaded.windows()->Get(0) == model.config().layers[0].window);
  CHECK(loaded.file_bytes() == static_cast<int64_t>(model.file().file_bytes()));
  CHECK(loaded.backend()->str() == "cpu");
  CHECK(engine.mirror.model()->has_template);
}

TEST_CASE("a chat template that Load brings along is taken, and one that cannot be used is refused") {
  TinyModelOptions options = tiny_model_options(Architecture::llama);
  options.chat_template = false;
  const TinyModelFile file(options);
  ServedEngine engine;
  const auto load = [&](const std::string& name, const std::string& source) {
    stream::LoadT command;
    command.model_path = file.path();
    command.backend = "cpu";
    command.chat_template_name = name;
    command.chat_template = source;
    engine.send(std::move(command));
  };
  load("", "");
  engine.until(stream::EventBody::Loaded);
  CHECK(!engine.mirror.model()->has_template);
  CHECK(engine.mirror.model()->template_note.find("although its vocabulary has <|im_start|>") != std::string::npos);
  CHECK(engine.mirror.model()->template_name.empty());

  load("mine.jinja", "{{ '<|im_start|>' + messages[-1].content }}");
  engine.until(stream::EventBody::Loaded);
  CHECK(engine.mirror.model()->has_template);
  CHECK(engine.mirror.model()->template_name == "mine.jinja");
  engine.send(ServedEngine::cold_prompt(1, "Hello", 0));
  engine.until(stream::EventBody::TurnFinished);
  CHECK(engine.mirror.tokens().size() ==
        encode_chat(Model(file.path(), {.name = "x", .source = "{{ '<|im_start|>' + messages[-1].content }}"}),
                    {{"user", "Hello", {}}})
            .ids.size());

  load("mine.jinja", "{% for");
  const stream::LoadFailed& failed = *engine.until(stream::EventBody::LoadFailed).body_as_LoadFailed();
  CHECK(failed.message()->str().find("the chat template mine.jinja cannot be used: ") == 0);
}

TEST_CASE("a configuration for an empty cache is taken note of") {
  const TinyModelFile file(make_endless_model(tiny_model_options(Architecture::llama)));
  ServedEngine engine;
  engine.load(file.path());
  if (GENERATE(false, true)) {  // emptied
    engine.send(ServedEngine::cold_prompt(3, "Hello", 4));
    engine.until(stream::EventBody::TurnFinished);
    engine.send(stream::ClearT{});
    engine.until(stream::EventBody::CacheRebuilt);
  }
  stream::SetConfigT set;
  set.turn_id = 1;
  set.config = std::make_unique<stream::CacheConfigT>(to_stream(*find_cache_config("full")));
  engine.send(std::move(set));
  engine.send(ServedEngine::cold_prompt(2, "Hello", 4));  // without waiting
  engine.until(stream::EventBody::CacheRebuilt);
  CHECK(engine.mirror.config().name == "full");
  const stream::Event& end = engine.until(stream::EventBody::TurnFinished);
  CHECK(end.body_as_TurnFinished()->turn_id() == 2);
  CHECK(ids_of(*end.body_as_TurnFinished()).size() == 4);
}

TEST_CASE("the bytes of the tokens are those of the rendered conversation") {
  const TinyModelFile file(tiny_model_options(GENERATE(Architecture::llama, Architecture::gemma3)));
  ServedEngine engine;
  engine.load(file.path());
  engine.send(ServedEngine::prompt(1, {{"user", long_text, {}}}, 0));
  engine.until(stream::EventBody::TurnFinished);
  const Model model(file.path());
  std::vector<TokenId> ids;
  for (const MirrorToken& token : engine.mirror.tokens()) ids.push_back(token.id);
  CHECK(std::string(engine.mirror.token_text()) == model.tokenizer().decode(ids, true));
  CHECK(engine.mirror.tokens()[0].token_class == TokenClass::special);
  CHECK_THAT(std::string(engine.mirror.token_text()), Contains("who knows what"));
}
