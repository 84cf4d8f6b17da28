// Bytes to messages and back: framing, identifiers, verification, and forbidden messages.
#include <functional>
#include <limits>

#include "tests/telemetry/small_stream.h"

using namespace headroom;
using namespace headroom::test;
using Catch::Contains;

namespace stream_test {
namespace {

using Bytes = std::vector<std::byte>;

Bytes without_length(const Bytes& packed) {
  return {packed.begin() + sizeof(uint32_t), packed.end()};
}

stream::EventT failure_event(const std::string& message) {
  stream::EventT event;
  event.sequence = 5;
  event.time_ms = 1.5;
  event.body.Set(failure(message));
  return event;
}

stream::CommandT prompt_command() {
  stream::PromptT prompt;
  prompt.turn_id = 3;
  prompt.messages.push_back(SmallStream::message("user", "Hello"));
  prompt.stop_strings = {"stop"};
  stream::CommandT command;
  command.body.Set(std::move(prompt));
  return command;
}

Bytes message_of(flatbuffers::FlatBufferBuilder& builder) {
  const auto* begin = reinterpret_cast<const std::byte*>(builder.GetBufferPointer());
  return {begin, begin + builder.GetSize()};
}

}  // namespace

TEST_CASE("a packed message has its length in front and comes back as it was", "[stream]") {
  const Bytes packed = pack(failure_event("no model"));
  CHECK(flatbuffers::ReadScalar<uint32_t>(packed.data()) == packed.size() - sizeof(uint32_t));
  const Bytes bytes = without_length(packed);
  const stream::Event& event = verify_event(bytes);
  CHECK(event.sequence() == 5);
  CHECK(event.time_ms() == 1.5);
  CHECK(event.body_as_Failure()->message()->str() == "no model");

  const Bytes command = without_length(pack(prompt_command()));
  CHECK(verify_command(command).body_as_Prompt()->messages()->Get(0)->content()->str() == "Hello");
}

TEST_CASE("a frame reader cuts messages out of any pieces", "[stream]") {
  Bytes all;
  for (int i = 0; i < 20; ++i) {
    const Bytes packed = pack(failure_event(std::string(static_cast<size_t>(1 + i * 7), 'x')));
    all.insert(all.end(), packed.begin(), packed.end());
  }
  for (const size_t piece : {size_t{1}, size_t{3}, size_t{64}, all.size()}) {
    FrameReader reader;
    size_t n_messages = 0;
    for (size_t at = 0; at < all.size(); at += piece) {
      reader.push(std::span<const std::byte>(all).subspan(at, std::min(piece, all.size() - at)));
      for (auto message = reader.next(); !message.empty(); message = reader.next())
        CHECK(verify_event(message).body_as_Failure()->message()->size() == 1 + 7 * n_messages++);
    }
    CHECK(n_messages == 20);
    CHECK(reader.n_pending() == 0);
  }
}

TEST_CASE("an impossible length ends a stream", "[stream]") {
  for (const uint32_t length : {0u, max_message_bytes + 1, 0xffffffffu}) {
    Bytes bytes(8);
    flatbuffers::WriteScalar(bytes.data(), length);
    FrameReader reader;
    reader.push(bytes);
    CHECK_THROWS_WITH(reader.next(), Contains("a message of " + std::to_string(length) + " bytes was announced"));
    CHECK_THROWS_AS(reader.next(), Error);
  }
}

TEST_CASE("a command is no event, an event no command, and neither is something else", "[stream]") {
  const Bytes event = without_length(pack(failure_event("a"))), command = without_length(pack(prompt_command()));
  CHECK_THROWS_WITH(verify_event(command), Contains("marked \"HRCM\"; expected an event (\"HREV\")"));
  CHECK_THROWS_WITH(verify_command(event), Contains("marked \"HREV\"; expected a command (\"HRCM\")"));
  CHECK_THROWS_WITH(verify_event(Bytes(7)), Contains("a message of 7 bytes; expected an event"));
  CHECK_THROWS_WITH(verify_event(Bytes(64)), Contains("marked \"????\""));
  CHECK_THROWS_AS(verify_event(Bytes()), Error);
}

TEST_CASE("every cut of a message is refused", "[stream]") {
  const Bytes whole = without_length(pack(SampleStream{.n_tokens = 50, .n_turns = 1}.events()[5]));
  REQUIRE(verify_event(whole).body_as_TurnStarted() != nullptr);
  // The last bytes may be padding, or the 0 byte of a string.
  for (size_t size = 0; size + 8 < whole.size(); ++size) {
    const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    CHECK_THROWS_AS(verify_event(cut), Error);
  }
}

TEST_CASE("a message without a body, or with one of an unknown kind, is refused", "[stream]") {
  CHECK_THROWS_WITH(verify_event(without_length(pack(stream::EventT()))), Contains("without a body"));
  CHECK_THROWS_WITH(verify_command(without_length(pack(stream::CommandT()))), Contains("without a body"));
  flatbuffers::FlatBufferBuilder builder;
  const auto body = stream::CreateFailure(builder, builder.CreateString("a")).Union();
  builder.Finish(stream::CreateEvent(builder, 0, 0, static_cast<stream::EventBody>(99), body), "HREV");
  CHECK_THROWS_WITH(verify_event(message_of(builder)), Contains("unknown kind 99; expected 1 to 15"));
}

TEST_CASE("a message that names one text many times is refused: a reader would copy far more than was sent",
          "[stream]") {
  flatbuffers::FlatBufferBuilder builder;
  const auto text = builder.CreateString(std::string(1000, 'a'));
  const auto message = stream::CreateMessage(builder, text, text);
  const std::vector<flatbuffers::Offset<stream::Message>> messages(500, message);
  const auto turn = stream::CreateTurnStarted(builder, 1, 0, 0, 0, builder.CreateVector(messages));
  builder.Finish(stream::CreateEvent(builder, 0, 0, stream::EventBody::TurnStarted, turn.Union()), "HREV");
  CHECK_THROWS_WITH(verify_event(message_of(builder)), Contains("the same text more than once"));

  flatbuffers::FlatBufferBuilder prompt_builder;
  const std::vector<flatbuffers::Offset<flatbuffers::String>> stops(
      500, prompt_builder.CreateString(std::string(1000, 'a')));
  const auto prompt = stream::CreatePrompt(prompt_builder, 1, 0, 0, -1, prompt_builder.CreateVector(stops));
  prompt_builder.Finish(stream::CreateCommand(prompt_builder, stream::CommandBody::Prompt, prompt.Union()), "HRCM");
  CHECK_THROWS_WITH(verify_command(message_of(prompt_builder)), Contains("the same text more than once"));
}

TEST_CASE("a message over the limit is not sent", "[stream]") {
  stream::CacheRebuiltT rebuilt;
  rebuilt.kept.resize(max_message_bytes);
  stream::EventT event;
  event.body.Set(std::move(rebuilt));
  CHECK_THROWS_WITH(pack(event), Contains("the stream carries at most 67108864"));
}

TEST_CASE("a configuration comes back as it was; a bad one is refused", "[stream]") {
  CacheConfig config = *find_cache_config("paper-local-first");
  config.r_local = 0.25;
  config.threshold = 1.5;
  config.group = GroupReduce::mean;
  const auto round_trip = [](const stream::CacheConfigT& sent) {
    flatbuffers::FlatBufferBuilder builder;
    builder.Finish(stream::CacheConfig::Pack(builder, &sent));
    return from_stream(*flatbuffers::GetRoot<stream::CacheConfig>(builder.GetBufferPointer()));
  };
  const CacheConfig back = round_trip(to_stream(config));
  CHECK(back.name == config.name);
  CHECK(back.policy_set == config.policy_set);
  CHECK(back.r_local == 0.25);
  CHECK(back.r_frequent == config.r_frequent);
  CHECK(back.threshold == 1.5);
  CHECK(back.group == GroupReduce::mean);
  for (const std::string& name : cache_config_names())
    CHECK(round_trip(to_stream(*find_cache_config(name))).policy_set == find_cache_config(name)->policy_set);

  stream::CacheConfigT bad = to_stream(config);
  bad.policy_set.assign(65, 1);
  CHECK_THROWS_WITH(round_trip(bad), Contains("65 policies; expected 1 to 64"));
  bad = to_stream(config);
  bad.r_frequent = -0.1;
  CHECK_THROWS_WITH(round_trip(bad), Contains("r_frequent is -0.1"));
  for (const int parts : {0, 32, 64, 129, 255}) {
    INFO(parts);
    CHECK_THROWS_AS(policy_from_stream(static_cast<uint8_t>(parts)), Error);
  }
  CHECK(policy_from_stream(31).parts == 31);
  CHECK(policy_from_stream(128).parts == Policy::full);
}

TEST_CASE("score, budgets, importance and cache type come back as they were; bad ones are refused", "[stream]") {
  const auto round_trip = [](const stream::CacheConfigT& sent) {
    flatbuffers::FlatBufferBuilder builder;
    builder.Finish(stream::CacheConfig::Pack(builder, &sent));
    return from_stream(*flatbuffers::GetRoot<stream::CacheConfig>(builder.GetBufferPointer()));
  };
  for (const std::string& name : cache_config_names())
    CHECK(round_trip(to_stream(*find_cache_config(name))) == *find_cache_config(name));
  CacheConfig config = *find_cache_config("headroom");
  config.score = TokenScore::expected;
  config.keep = 0.35;
  config.kv_budget_bytes = int64_t{3} << 30;
  config.beta = 0.75;
  config.head_importance = {0, 0.5f, 2.5f};
  config.cache_type = CacheType::q8_0;
  CHECK(round_trip(to_stream(config)) == config);

  const auto refusal = [&](const std::function<void(stream::CacheConfigT&)>& change) {
    stream::CacheConfigT bad = to_stream(config);
    change(bad);
    try {
      round_trip(bad);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_THAT(refusal([](auto& e) { e.score = 4; }), Contains("the token score is 4; expected 0 to 3"));
  CHECK_THAT(refusal([](auto& e) { e.budget = 3; }), Contains("the kind of budgets is 3; expected 0 to 2"));
  CHECK_THAT(refusal([](auto& e) { e.importance = 2; }), Contains("the kind of importance is 2; expected 0 to 1"));
  CHECK_THAT(refusal([](auto& e) { e.cache_type = 2; }), Contains("the cache type is 2; expected 0 to 1"));
  CHECK_THAT(refusal([](auto& e) { e.keep = 0; }), Contains("expected above 0 and at most 1 with budgets"));
  CHECK_THAT(refusal([](auto& e) { e.keep = 1.01; }), Contains("keep is 1.01"));
  CHECK_THAT(refusal([&](auto& e) { e.keep = nan; }), Contains("keep is nan"));
  CHECK_THAT(refusal([](auto& e) { e.policy_set.push_back(128); }), Contains("2 policies; expected 1 with budgets"));
  CHECK_THAT(refusal([](auto& e) { e.kv_budget_bytes = -1; }), Contains("kv_budget_bytes is -1"));
  CHECK_THAT(refusal([](auto& e) { e.beta = -0.5; }), Contains("beta is -0.5"));
  CHECK_THAT(refusal([&](auto& e) { e.beta = nan; }), Contains("beta is nan"));
  CHECK_THAT(refusal([](auto& e) { e.head_importance[1] = -1; }), Contains("a head's importance is -1"));
  CHECK_THAT(refusal([&](auto& e) { e.head_importance[1] = static_cast<float>(nan); }), Contains("importance is nan"));
  CHECK_THAT(refusal([](auto& e) { e.head_importance.assign(65537, 1.0f); }), Contains("65537 entries"));
  CHECK_THAT(refusal([](auto& e) { e.budget = 0, e.keep = -0.1; }), Contains("keep is -0.1"));
  CHECK(refusal([](auto& e) { e.budget = 0, e.keep = 0; }).empty());
}

TEST_CASE("shown text is UTF-8 whatever came", "[stream]") {
  const auto shown = [](const std::string& text) {
    flatbuffers::FlatBufferBuilder builder;
    builder.Finish(builder.CreateString(text));
    return shown_text(flatbuffers::GetRoot<flatbuffers::String>(builder.GetBufferPointer()));
  };
  CHECK(shown("") == "");
  CHECK(shown("plain, é, 日本, 🙂") == "plain, é, 日本, 🙂");
  CHECK(shown(std::string("a\0b", 3)) == std::string("a\0b", 3));
  CHECK(shown("\xff") == "\uFFFD");
  CHECK(shown("a\xc3") == "a\uFFFD");                    // cut off
  CHECK(shown("\xc0\xaf") == "\uFFFD\uFFFD");            // overlong
  CHECK(shown("\xed\xa0\x80") == "\uFFFD\uFFFD\uFFFD");  // a surrogate
  CHECK(shown_text(nullptr).empty());
}

}  // namespace stream_test
