// Each kind of event, with results computed by hand.
#include "tests/telemetry/small_stream.h"

using namespace headroom;
using namespace headroom::test;

using Positions = std::vector<int32_t>;

TEST_CASE("loading is seen from its first stage to the open model", "[mirror]") {
  SmallStream s;
  s.say_hello();
  stream::LoadProgressT progress;
  progress.stage = "reading the vocabulary";
  progress.fraction = 0.25;
  s.send(progress);
  CHECK(s.mirror.is_loading());
  CHECK(s.mirror.load_stage() == "reading the vocabulary");
  CHECK(s.mirror.load_fraction() == 0.25);
  CHECK(s.mirror.model() == nullptr);
  CHECK(s.mirror.heads().empty());

  s.send(s.loaded());
  CHECK_FALSE(s.mirror.is_loading());
  REQUIRE(s.mirror.model() != nullptr);
  CHECK(s.mirror.model()->name == "small");
  CHECK(s.mirror.model()->windows == std::vector<int32_t>{0, 8});
  CHECK(s.mirror.heads().size() == 2);
  CHECK(s.mirror.config().name == "paper");
  CHECK(s.mirror.n_cached() == 0);
  CHECK_FALSE(s.mirror.has_profile());
}

TEST_CASE("a failed load says why, closes the model, and leaves the conversation readable", "[mirror]") {
  SmallStream s;
  s.read_prompt();
  s.send(s.finished({}, ""));
  s.send(load_failed(false, "the file is cut off"));
  CHECK(s.mirror.load_error() == "the file is cut off");
  CHECK(s.mirror.model() == nullptr);
  CHECK(s.mirror.heads().empty());
  CHECK(s.mirror.n_cached() == 0);
  CHECK(s.mirror.is_stale());
  CHECK(s.mirror.messages().size() == 1);
  CHECK(s.mirror.tokens().size() == 4);

  stream::LoadProgressT again;
  s.send(again);
  CHECK(s.mirror.load_error().empty());
}

TEST_CASE("a prompt's tokens and the cache after it", "[mirror]") {
  SmallStream s;
  s.read_prompt();
  REQUIRE(s.mirror.turn().has_value());
  CHECK(s.mirror.turn()->turn_id == 7);
  CHECK(s.mirror.turn()->action == "first_turn");
  CHECK(s.mirror.turn()->started_ms == 20);
  CHECK(s.mirror.turn()->is_generating);
  CHECK(s.mirror.turn()->generating_since_ms == 40);
  CHECK(s.mirror.last_action_reason() == "the cache was empty");

  REQUIRE(s.mirror.tokens().size() == 4);
  CHECK(s.mirror.tokens()[0].token_class == TokenClass::special);
  CHECK(s.mirror.tokens()[2].token_class == TokenClass::punctuation);
  CHECK(s.mirror.text_of(3) == " you");
  CHECK(s.mirror.text_of(4).empty());
  CHECK(s.mirror.text_of(-1).empty());

  CHECK(s.mirror.n_cached() == 4);
  CHECK(s.mirror.kept_positions(0) == Positions{0, 1, 2, 3});
  CHECK(s.mirror.kept_positions(1) == Positions{0, 3});
  CHECK(s.mirror.holds(0, 1));
  CHECK_FALSE(s.mirror.holds(1, 1));
  CHECK(s.mirror.holds(1, 3));
  CHECK(s.mirror.n_heads_holding(0) == 2);
  CHECK(s.mirror.n_heads_holding(1) == 1);
  CHECK(s.mirror.n_heads_holding(4) == 0);
  CHECK_FALSE(s.mirror.holds(1, 2));
  CHECK_FALSE(s.mirror.holds(2, 0));
  CHECK(s.mirror.heads()[0].policy == Policy{Policy::full});
  CHECK(s.mirror.heads()[1].kept_tokens == 2);
  CHECK(s.mirror.heads()[1].pages == 1);
  CHECK(s.mirror.has_profile());
  CHECK(s.mirror.heads()[1].profile.recovery(Policy{9}) == 0.97);

  CHECK(s.mirror.now().time_ms == 40);
  CHECK(s.mirror.now().n_tokens == 4);
  CHECK(s.mirror.now().kv_live_bytes == 3 * 64);
  CHECK(s.mirror.now().kv_full_bytes == 128);
  CHECK(s.mirror.now().kv_pool_bytes == 4096);
  CHECK(s.mirror.kv_peak_bytes() == 5000);
  CHECK(s.mirror.turn_log_bytes() == 17);
  CHECK(s.mirror.resident_bytes() == 100000);
  CHECK(s.mirror.history().size() == 1);
}

TEST_CASE("progress of a prefill", "[mirror]") {
  SmallStream s;
  s.open_model();
  s.send(s.turn_started());
  CHECK_FALSE(s.mirror.turn()->is_generating);
  stream::PrefillProgressT progress;
  progress.turn_id = 7;
  progress.layer = 1;
  progress.n_layers = 2;
  progress.n_tokens = 4;
  progress.fraction = 0.5;
  s.send(progress);
  CHECK(s.mirror.turn()->prefill_fraction == 0.5);
  CHECK(s.mirror.turn()->prefill_layer == 1);
  CHECK(s.mirror.turn()->n_prefill_layers == 2);
  CHECK(s.mirror.turn()->n_prefill_tokens == 4);
}

TEST_CASE("an answer grows with its tokens, and the cache with its steps", "[mirror]") {
  SmallStream s;
  s.read_prompt();
  s.send(s.token(20, " Oh"));
  REQUIRE(s.mirror.messages().size() == 2);
  CHECK(s.mirror.messages()[1].role == "assistant");
  CHECK(s.mirror.messages()[1].content == " Oh");
  CHECK(s.mirror.messages()[1].token_begin == 4);
  CHECK(s.mirror.messages()[1].token_end == 5);
  CHECK(s.mirror.turn()->n_generated == 1);
  CHECK(s.mirror.tokens().size() == 5);  // sampled, but not in the cache yet
  CHECK(s.mirror.n_cached() == 4);
  CHECK_FALSE(s.mirror.holds(0, 4));

  stream::StepT step = s.step(4, 20, " Oh");
  step.token_class = 2;
  step.evicted_heads = {1, 1};
  step.evicted_positions = {3, 4};  // the second is the new one itself
  s.send(step);
  CHECK(s.mirror.n_cached() == 5);
  CHECK(s.mirror.tokens().size() == 5);
  CHECK(s.mirror.tokens()[4].token_class == TokenClass::punctuation);
  CHECK(s.mirror.kept_positions(0) == Positions{0, 1, 2, 3, 4});
  CHECK(s.mirror.kept_positions(1) == Positions{0});
  CHECK(s.mirror.heads()[1].kept_tokens == 1);
  CHECK(s.mirror.n_heads_holding(4) == 1);
  CHECK(s.mirror.n_heads_holding(3) == 1);

  s.send(*s.snapshot(5, {5, 1}));
  CHECK(s.mirror.now().n_tokens == 5);
  CHECK(s.mirror.heads()[0].pages == 3);
  CHECK(s.mirror.history().size() == 2);

  s.send(s.token(21, "!"));
  s.send(s.finished({20, 21}, " Oh!"));
  CHECK_FALSE(s.mirror.turn().has_value());
  CHECK(s.mirror.messages()[1].content == " Oh!");
  CHECK(s.mirror.messages()[1].ids == std::vector<TokenId>{20, 21});
  REQUIRE(s.mirror.messages()[1].numbers.has_value());
  const TurnNumbers& numbers = *s.mirror.messages()[1].numbers;
  CHECK(numbers.stop_reason == "end_of_turn");
  CHECK(numbers.n_answer_tokens == 2);
  CHECK(numbers.generate_tokens_per_s == 66.5);
  CHECK(numbers.kv_live_bytes == s.mirror.now().kv_live_bytes);
  CHECK(s.mirror.last_turn()->generate_ms == 30);
  CHECK(s.mirror.last_turn_id() == 7);
}

TEST_CASE("a character that is split between tokens: each step brings its token's own bytes", "[mirror]") {
  SmallStream s;
  s.read_prompt();
  s.send(s.token(20, ""));
  s.send(s.step(4, 20, "\xc3"));
  s.send(s.token(21, "é"));
  CHECK(s.mirror.text_of(5) == "é");  // complete only with this token
  s.send(s.step(5, 21, "\xa9"));
  CHECK(s.mirror.text_of(4) == "\xc3");
  CHECK(s.mirror.text_of(5) == "\xa9");
  CHECK(s.mirror.messages().back().content == "é");
  CHECK(s.mirror.token_at(s.mirror.messages().back(), 1) == 5);
}

TEST_CASE("another answer to the same message takes the place of the first", "[mirror]") {
  SmallStream s;
  s.read_prompt();
  s.send(s.token(20, "A"));
  s.send(s.step(4, 20, "A"));
  s.send(s.token(21, "B"));
  s.send(s.finished({20, 21}, "AB"));

  stream::TurnStartedT again;
  again.turn_id = 8;
  again.action = "undone";
  again.n_messages_kept = 1;
  again.n_prompt_tokens = again.n_cached_tokens = 4;
  s.send(again);
  CHECK(s.mirror.messages().size() == 1);
  CHECK(s.mirror.tokens().size() == 4);
  CHECK(s.mirror.n_cached() == 4);
  CHECK(s.mirror.heads()[1].kept_tokens == 2);
  CHECK(s.mirror.turn()->is_generating);
  stream::TokenT other = s.token(30, "C");
  other.turn_id = 8;
  s.send(other);
  CHECK(s.mirror.messages().back().content == "C");
  CHECK(s.mirror.tokens().back().id == 30);
}

TEST_CASE("a turn without an answer adds no message", "[mirror]") {
  SmallStream s;
  s.read_prompt();
  stream::TurnFinishedT cancelled = s.finished({}, "");
  cancelled.stop_reason = "cancelled";
  s.send(cancelled);
  CHECK(s.mirror.messages().size() == 1);
  CHECK(s.mirror.last_turn()->stop_reason == "cancelled");
}

TEST_CASE("an answer that broke off with an error keeps what was drawn", "[mirror]") {
  SmallStream s;
  s.read_prompt();
  s.send(s.token(20, "so far"));
  stream::TurnFinishedT error = s.finished({}, "");
  error.stop_reason = "error";
  error.message = "the device is gone";
  s.send(error);
  CHECK(s.mirror.messages().back().content == "so far");
  CHECK(s.mirror.messages().back().numbers->message == "the device is gone");
  CHECK(s.mirror.messages().back().numbers->n_answer_tokens == 1);
}

TEST_CASE("a turn that was refused before it began does not end the one that runs", "[mirror]") {
  SmallStream s;
  s.read_prompt();
  s.send(refused_turn(8, "a turn runs already"));
  CHECK(s.mirror.turn()->turn_id == 7);
  CHECK(s.mirror.failure() == "a turn runs already");
}

TEST_CASE("tokens that are replaced by others leave the cache; the same ones stay", "[mirror]") {
  SmallStream s;
  s.read_prompt();
  stream::TokensT tokens = s.tokens();
  s.send(tokens);
  CHECK(s.mirror.n_cached() == 4);
  tokens.ids[2] = 13;
  s.send(tokens);
  CHECK(s.mirror.n_cached() == 2);
  CHECK(s.mirror.tokens().size() == 4);
  CHECK(s.mirror.kept_positions(1) == Positions{0});
  CHECK(s.mirror.heads()[0].kept_tokens == 2);
}

TEST_CASE("a cleared conversation is gone, an emptied cache leaves it", "[mirror]") {
  SmallStream s;
  s.read_prompt();
  s.send(s.rebuilt({}, {0, 0}, 0));
  CHECK(s.mirror.n_cached() == 0);
  CHECK(s.mirror.tokens().size() == 4);
  s.send(s.finished({}, ""));
  stream::CacheRebuiltT cleared = s.rebuilt({}, {0, 0}, 0);
  cleared.forgets = true;
  cleared.recoveries.clear();
  s.send(cleared);
  CHECK(s.mirror.messages().empty());
  CHECK(s.mirror.tokens().empty());
  CHECK(s.mirror.token_text().empty());
  CHECK_FALSE(s.mirror.has_profile());
}

TEST_CASE("after a restart the old state is shown until the new stream replaces it", "[mirror]") {
  SmallStream s;
  s.read_prompt();
  s.mirror.stream_restarted();
  CHECK_FALSE(s.mirror.turn().has_value());
  CHECK(s.mirror.messages().size() == 1);
  CHECK(s.mirror.n_cached() == 4);
  CHECK(s.mirror.model() != nullptr);
  CHECK(s.mirror.is_stale());
  CHECK_THAT(s.refusal(s.tokens()), Catch::Contains("begins with Hello"));

  s.open_model();
  CHECK(s.mirror.messages().size() == 1);
  CHECK(s.mirror.n_cached() == 0);
  stream::TurnStartedT goes_on = s.turn_started();
  goes_on.n_messages_kept = 1;
  CHECK_THAT(s.refusal(goes_on), Catch::Contains("n_messages_kept is 1; expected 0 to 0"));
  s.send(s.turn_started());
  CHECK_FALSE(s.mirror.is_stale());
  CHECK(s.mirror.messages().size() == 1);
  CHECK(s.mirror.tokens().empty());
}

TEST_CASE("text that is no UTF-8 is shown as such", "[mirror]") {
  SmallStream s;
  s.open_model();
  stream::TurnStartedT started = s.turn_started();
  started.messages[0]->content =
      "a\xff"
      "b\xe2\x82";
  s.send(started);
  CHECK(s.mirror.messages()[0].content == "a\uFFFDb\uFFFD\uFFFD");
}

TEST_CASE("a failure is kept for a banner, and a closed trace takes nothing more", "[mirror]") {
  SmallStream s;
  s.say_hello();
  s.send(failure("no model is open"));
  CHECK(s.mirror.failure() == "no model is open");
  stream::TraceEndT end;
  end.n_events = 3;
  CHECK_THAT(s.refusal(end), Catch::Contains("the trace has 3 events; 2 came"));
  end.n_events = 2;
  s.send(end);
  CHECK(s.mirror.is_closed());
  CHECK_THAT(s.refusal(failure()), Catch::Contains("the trace has ended"));
}
