// Events that contradict themselves or earlier events: each is refused with a sentence, and the Mirror does not change.
#include <limits>

#include "tests/telemetry/small_stream.h"

using namespace headroom;
using namespace headroom::test;
using Catch::Contains;

namespace {

/// The refusal of a valid event with one change.
template <typename Body, typename Change>
std::string refused(SmallStream& s, Body body, const Change& change) {
  change(body);
  return s.refusal(std::move(body));
}

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

}  // namespace

TEST_CASE("events in another order than they were sent in", "[mirror][refusal]") {
  SmallStream s;
  s.open_model();
  stream::EventT next = s.event(s.turn_started());
  const auto refusal = [&](uint64_t sequence) {
    next.sequence = sequence;
    try {
      apply(s.mirror, next);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK_THAT(refusal(3), Contains("event 2 is missing"));
  CHECK_THAT(refusal(1), Contains("received already"));
  CHECK(refusal(2).empty());
  CHECK_THAT(refusal(2), Contains("received already"));
}

TEST_CASE("a stream that begins wrongly", "[mirror][refusal]") {
  SmallStream s;
  CHECK_THAT(s.refusal(s.loaded()), Contains("a stream begins with Hello"));
  CHECK_THAT(refused(s, s.hello(), [](auto& hello) { hello.protocol = 99; }), Contains("uses protocol 99"));
  s.say_hello();
  CHECK_THAT(s.refusal(s.hello()), Contains("has only one Hello"));
  CHECK_THAT(s.refusal(s.turn_started()), Contains("without an open model"));
  CHECK_THAT(s.refusal(s.tokens()), Contains("without an open model"));
  CHECK_THAT(s.refusal(s.step(0, 1, "a")), Contains("without an open model"));
  CHECK_THAT(s.refusal(*s.snapshot(0, {})), Contains("without an open model"));
  CHECK_THAT(s.refusal(s.rebuilt({}, {0, 0}, 0)), Contains("without an open model"));
  CHECK_THAT(s.refusal(s.token(1, "a")), Contains("no turn is running"));
  CHECK_THAT(s.refusal(s.finished({}, "")), Contains("no turn is running"));
}

TEST_CASE("a model with impossible numbers", "[mirror][refusal]") {
  SmallStream s;
  s.say_hello();
  const auto loaded = [&](const auto& change) { return refused(s, s.loaded(), change); };
  CHECK_THAT(loaded([](auto& e) { e.n_layers = 0; }), Contains("n_layers is 0; expected 1 to 16384"));
  CHECK_THAT(loaded([](auto& e) { e.n_layers = 16384, e.n_kv_heads = e.n_heads = 2; }), Contains("KV heads of all"));
  CHECK_THAT(loaded([](auto& e) { e.n_kv_heads = 2; }), Contains("n_heads is 3; expected a multiple of the 2"));
  CHECK_THAT(loaded([](auto& e) { e.n_heads = 0; }), Contains("n_heads"));
  CHECK_THAT(loaded([](auto& e) { e.head_dim = 0; }), Contains("head_dim"));
  CHECK_THAT(loaded([](auto& e) { e.n_vocab = -1; }), Contains("n_vocab"));
  CHECK_THAT(loaded([](auto& e) { e.n_ctx = (1 << 24) + 1; }), Contains("n_ctx"));
  CHECK_THAT(loaded([](auto& e) { e.windows = {1}; }), Contains("windows has 1 entries; expected 2"));
  CHECK_THAT(loaded([](auto& e) { e.windows[1] = -1; }), Contains("window"));
  CHECK_THAT(loaded([](auto& e) { e.page_tokens = 0; }), Contains("page_tokens"));
  CHECK_THAT(loaded([](auto& e) { e.page_bytes = 0; }), Contains("page_bytes"));
  CHECK_THAT(loaded([](auto& e) { e.file_bytes = -1; }), Contains("file_bytes"));
  CHECK_THAT(loaded([](auto& e) { e.config = nullptr; }), Contains("the configuration is missing"));
  CHECK_THAT(loaded([](auto& e) { e.config->r_local = 1.5; }), Contains("r_local"));
  CHECK_THAT(loaded([](auto& e) { e.config->threshold = not_a_number; }), Contains("the threshold is nan"));
  CHECK_THAT(loaded([](auto& e) { e.config->policy_set.clear(); }), Contains("0 policies"));
  CHECK_THAT(loaded([](auto& e) { e.config->policy_set = {64}; }), Contains("parts 64"));
  stream::LoadProgressT progress;
  progress.fraction = 1.5;
  CHECK_THAT(s.refusal(progress), Contains("the fraction is 1.5; expected 0 to 1"));
  CHECK(s.mirror.model() == nullptr);
}

TEST_CASE("a turn that does not fit the conversation", "[mirror][refusal]") {
  SmallStream s;
  s.open_model();
  const auto started = [&](const auto& change) { return refused(s, s.turn_started(), change); };
  CHECK_THAT(started([](auto& e) { e.n_messages_kept = 1; }), Contains("n_messages_kept is 1; expected 0 to 0"));
  CHECK_THAT(started([](auto& e) { e.n_prompt_tokens = -1; }), Contains("n_prompt_tokens"));
  CHECK_THAT(started([](auto& e) { e.n_cached_tokens = 5; }), Contains("n_cached_tokens is 5; expected 0 to 4"));
  CHECK_THAT(started([](auto& e) { e.messages[0]->ids = {100}; }), Contains("token id is 100"));
  s.send(s.turn_started());
  CHECK_THAT(s.refusal(s.turn_started()), Contains("turn 7 has not finished"));
  CHECK_THAT(s.refusal(s.loaded()), Contains("while a turn runs"));
  CHECK_THAT(s.refusal(stream::LoadFailedT()), Contains("while a turn runs"));
  CHECK_THAT(s.refusal(s.token(20, "a")), Contains("the position is 4; expected 0 to 0"));

  stream::PrefillProgressT progress;
  progress.turn_id = 7;
  progress.n_layers = 2;
  const auto prefill = [&](const auto& change) { return refused(s, progress, change); };
  CHECK_THAT(prefill([](auto& e) { e.turn_id = 9; }), Contains("to turn 9, but turn 7 is running"));
  CHECK_THAT(prefill([](auto& e) { e.layer = 3; }), Contains("layer is 3; expected 0 to 2"));
  CHECK_THAT(prefill([](auto& e) { e.n_tokens = -1; }), Contains("n_tokens"));
  CHECK_THAT(prefill([](auto& e) { e.fraction = not_a_number; }), Contains("the fraction is nan"));
  CHECK(s.mirror.turn()->prefill_fraction == 0);
}

TEST_CASE("tokens that do not fit together", "[mirror][refusal]") {
  SmallStream s;
  s.open_model();
  const auto tokens = [&](const auto& change) { return refused(s, s.tokens(), change); };
  CHECK_THAT(tokens([](auto& e) { e.first_position = 1; }), Contains("first_position is 1; expected 0 to 0"));
  CHECK_THAT(tokens([](auto& e) { e.first_position = -1; }), Contains("first_position"));
  CHECK_THAT(tokens([](auto& e) { e.ids[3] = 100; }), Contains("token id is 100; expected 0 to 99"));
  CHECK_THAT(tokens([](auto& e) { e.ids[0] = -1; }), Contains("token id is -1"));
  CHECK_THAT(tokens([](auto& e) { e.classes[1] = 3; }), Contains("the token class is 3"));
  CHECK_THAT(tokens([](auto& e) { e.classes.pop_back(); }), Contains("classes has 3 entries; expected 4"));
  CHECK_THAT(tokens([](auto& e) { e.ends.pop_back(); }), Contains("ends has 3 entries"));
  CHECK_THAT(tokens([](auto& e) { e.ends[1] = 7; }), Contains("ends before it begins"));
  CHECK_THAT(tokens([](auto& e) { e.ends[3] = 9; }), Contains("ends at byte 9; it has 10"));
  CHECK_THAT(tokens([](auto& e) { e.ends[3] = 11; }), Contains("ends at byte 11; it has 10"));
  CHECK(s.mirror.tokens().empty());
}

TEST_CASE("a cache that contradicts itself or the tokens", "[mirror][refusal]") {
  SmallStream s;
  s.read_prompt();
  const auto rebuilt = [&](const auto& change) { return refused(s, s.rebuilt({0b0001, 0b0001}, {1, 1}), change); };
  CHECK_THAT(rebuilt([](auto& e) { e.snapshot = nullptr; }), Contains("the snapshot is missing"));
  CHECK_THAT(rebuilt([](auto& e) { e.config = nullptr; }), Contains("the configuration is missing"));
  CHECK_THAT(rebuilt([](auto& e) { e.snapshot->n_tokens = 5; }), Contains("n_tokens is 5; expected 0 to 4"));
  CHECK_THAT(rebuilt([](auto& e) { e.policies.pop_back(); }), Contains("policies has 1 entries; expected 2"));
  CHECK_THAT(rebuilt([](auto& e) { e.policies[0] = 0; }), Contains("parts 0"));
  CHECK_THAT(rebuilt([](auto& e) { e.policies[0] = 129; }), Contains("parts 129"));
  CHECK_THAT(rebuilt([](auto& e) { e.recoveries.pop_back(); }), Contains("recoveries has 63 entries; expected 64"));
  CHECK_THAT(rebuilt([](auto& e) { e.recoveries[5] = 1.5; }), Contains("a recovery is 1.5"));
  CHECK_THAT(rebuilt([](auto& e) { e.recoveries[5] = not_a_number; }), Contains("a recovery is nan"));
  CHECK_THAT(rebuilt([](auto& e) { e.kept.push_back(0); }), Contains("kept has 3 entries; expected 2"));
  CHECK_THAT(rebuilt([](auto& e) { e.kept[1] = 0b10001; }), Contains("head 1 holds a position after"));
  CHECK_THAT(rebuilt([](auto& e) { e.kept[1] = 0b0011; }), Contains("head 1 holds 1 tokens; it holds 2"));
  CHECK_THAT(rebuilt([](auto& e) { e.snapshot->lengths.push_back(0); }), Contains("lengths has 3 entries"));
  CHECK_THAT(rebuilt([](auto& e) { e.snapshot->pages[0] = 0; }), Contains("number of pages is 0"));
  CHECK_THAT(rebuilt([](auto& e) { e.snapshot->pages[0] = 2; }), Contains("more than kv_live_bytes, which is 128"));
  CHECK_THAT(rebuilt([](auto& e) { e.snapshot->kv_pool_bytes = -1; }), Contains("kv_pool_bytes is -1"));
  CHECK_THAT(rebuilt([](auto& e) { e.forgets = true; }), Contains("forgotten while a turn runs"));
  CHECK(s.mirror.kept_positions(0) == std::vector<int32_t>{0, 1, 2, 3});
  CHECK(s.mirror.heads()[1].kept_tokens == 2);

  CHECK_THAT(s.refusal(*s.snapshot(3, {4, 2})), Contains("n_tokens is 3; expected 4 to 4"));
  CHECK_THAT(s.refusal(*s.snapshot(4, {4, 3})), Contains("head 1 holds 3 tokens; it holds 2"));
  CHECK(s.mirror.history().size() == 1);
}

TEST_CASE("budgets and importances that do not fit the heads", "[mirror][refusal]") {
  SmallStream s;
  s.say_hello();
  const auto with_importance = [](auto& config, std::vector<float> values) {
    config = to_stream(*find_cache_config("headroom"));
    config.head_importance = std::move(values);
  };
  CHECK_THAT(refused(s, s.loaded(), [&](auto& e) { with_importance(*e.config, {1}); }),
             Contains("head_importance has 1 entries; expected 2"));
  CHECK(s.mirror.model() == nullptr);
  s.send(s.loaded());
  s.send(s.turn_started());
  s.send(s.tokens());
  stream::CacheRebuiltT right = s.rebuilt({0b1111, 0b1001}, {4, 2});
  with_importance(*right.config, {1.5f, 0.5f});
  right.budget_tokens = {4, 2};
  right.budget_of_tokens = {4, 4};
  right.budget_grows = {true, false};
  right.page_bytes = 32;
  right.note = "a calibration would help";
  const auto rebuilt = [&](const auto& change) {
    stream::CacheRebuiltT event = s.rebuilt({0b1111, 0b1001}, {4, 2});
    *event.config = *right.config;
    event.budget_tokens = right.budget_tokens;
    event.budget_of_tokens = right.budget_of_tokens;
    event.budget_grows = right.budget_grows;
    event.page_bytes = right.page_bytes;
    event.note = right.note;
    change(event);
    return s.refusal(std::move(event));
  };
  CHECK_THAT(rebuilt([](auto& e) { e.config->head_importance.push_back(1); }), Contains("has 3 entries; expected 2"));
  CHECK_THAT(rebuilt([](auto& e) { e.budget_tokens.pop_back(); }), Contains("budget_tokens has 1 entries; expected 2"));
  CHECK_THAT(rebuilt([](auto& e) { e.budget_of_tokens = {}; }), Contains("budget_of_tokens has 0 entries; expected 2"));
  CHECK_THAT(rebuilt([](auto& e) { e.budget_grows = {true}; }), Contains("budget_grows has 1 entries; expected 2"));
  CHECK_THAT(rebuilt([](auto& e) { e.budget_tokens = {}; }), Contains("budget_of_tokens has 2 entries; expected 0"));
  CHECK_THAT(rebuilt([](auto& e) { e.budget_tokens[1] = -2; }), Contains("a head's budget is -2"));
  CHECK_THAT(rebuilt([](auto& e) { e.budget_tokens[1] = (1 << 24) + 1; }), Contains("a head's budget is 16777217"));
  CHECK_THAT(rebuilt([](auto& e) { e.budget_tokens[0] = 5; }), Contains("a head's budget is 5; expected -1 to 4"));
  CHECK_THAT(rebuilt([](auto& e) { e.budget_of_tokens[0] = -1; }), Contains("the columns of a head's budget is -1"));
  CHECK_THAT(rebuilt([](auto& e) { e.page_bytes = -1; }), Contains("page_bytes is -1"));
  CHECK_THAT(rebuilt([](auto& e) { e.page_bytes = 1000; }), Contains("pages of 1000 bytes, more than kv_live_bytes"));
  CHECK(s.mirror.heads()[0].budget == HeadBudget{});
  CHECK(s.mirror.cache_note().empty());
  CHECK(
      rebuilt([](auto& e) { e.budget_tokens[1] = 100; }).empty());  // a budget that does not grow may exceed the tokens
  CHECK(s.mirror.heads()[0].budget == HeadBudget{.tokens = 4, .of_tokens = 4, .grows = true});
  CHECK(s.mirror.heads()[1].budget == HeadBudget{.tokens = 100, .of_tokens = 4, .grows = false});
  CHECK(s.mirror.config().head_importance == std::vector<float>{1.5f, 0.5f});
  CHECK(s.mirror.cache_note() == "a calibration would help");
  CHECK(s.mirror.model()->page_bytes == 32);
  CHECK(s.refusal(s.rebuilt({0b1111, 0b1001}, {4, 2})).empty());  // fixed again
  CHECK(s.mirror.heads()[1].budget == HeadBudget{});
  CHECK(s.mirror.cache_note().empty());
}

TEST_CASE("a step that cannot have happened", "[mirror][refusal]") {
  SmallStream s;
  s.read_prompt();
  s.send(s.token(20, "a"));
  const auto step = [&](const auto& change) { return refused(s, s.step(4, 20, "a"), change); };
  CHECK_THAT(step([](auto& e) { e.position = 5; }), Contains("the step has position 5; the cache holds 4 tokens"));
  CHECK_THAT(step([](auto& e) { e.position = 3; }), Contains("the step has position 3"));
  CHECK_THAT(step([](auto& e) { e.id = 21; }), Contains("token 21 went through the model at position 4"));
  CHECK_THAT(step([](auto& e) { e.id = 100; }), Contains("token id is 100"));
  CHECK_THAT(step([](auto& e) { e.token_class = 9; }), Contains("the token class is 9"));
  const auto evicting = [&](std::vector<uint32_t> heads, std::vector<int32_t> positions) {
    return step([&](auto& e) { e.evicted_heads = heads, e.evicted_positions = positions; });
  };
  CHECK_THAT(evicting({0}, {}), Contains("evicted_positions has 0 entries; expected 1"));
  CHECK_THAT(evicting({2}, {0}), Contains("an evicting head is 2; expected 0 to 1"));
  CHECK_THAT(evicting({0}, {5}), Contains("an evicted position is 5; expected 0 to 4"));
  CHECK_THAT(evicting({0}, {-1}), Contains("an evicted position is -1"));
  CHECK_THAT(evicting({0, 1}, {1, 1}), Contains("head 1 evicts position 1, which it does not hold"));
  CHECK_THAT(evicting({0, 0}, {1, 1}), Contains("head 0 evicts position 1 twice"));
  CHECK_THAT(evicting({0, 1, 0}, {4, 0, 4}), Contains("head 0 evicts position 4 twice"));
  CHECK(s.mirror.n_cached() == 4);
  CHECK(s.mirror.n_heads_holding(1) == 1);
  CHECK(evicting({1, 0}, {0, 1}).empty());  // in any order
}

TEST_CASE("an answer that is not the one that was drawn", "[mirror][refusal]") {
  SmallStream s;
  s.read_prompt();
  s.send(s.token(20, "a"));
  CHECK_THAT(refused(s, s.token(21, "b"), [](auto& e) { e.turn_id = 8; }),
             Contains("to turn 8, but turn 7 is running"));
  CHECK_THAT(s.refusal(s.token(100, "b")), Contains("token id is 100"));
  const auto finished = [&](const auto& change) { return refused(s, s.finished({20}, "a"), change); };
  CHECK_THAT(finished([](auto& e) { e.ids = {21}; }), Contains("are not the 1 that were sampled"));
  CHECK_THAT(finished([](auto& e) { e.ids = {}; }), Contains("0 token ids are not the 1"));
  CHECK_THAT(finished([](auto& e) { e.turn_id = 8; }), Contains("to turn 8, but turn 7 is running"));
  CHECK_THAT(finished([](auto& e) { e.n_prefilled_tokens = 5; }), Contains("n_prefilled_tokens is 5"));
  CHECK_THAT(finished([](auto& e) { e.prefill_ms = -1; }), Contains("prefill_ms is -1"));
  CHECK_THAT(finished([](auto& e) { e.generate_tokens_per_s = not_a_number; }),
             Contains("generate_tokens_per_s is nan"));
  CHECK(s.mirror.turn().has_value());
}
