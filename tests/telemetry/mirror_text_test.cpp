// The token ranges of messages, whatever a template does to their ends, and the cost of finding them.
#include <chrono>

#include "tests/telemetry/small_stream.h"

using namespace headroom;
using namespace headroom::test;

namespace {

/// A conversation whose rendered text is tokenised with one token per letter.
Mirror conversation(const std::vector<std::string>& contents, const std::string& rendered) {
  SmallStream s;
  s.open_model();
  stream::TurnStartedT started;
  for (const std::string& content : contents) started.messages.push_back(s.message("user", content));
  started.n_prompt_tokens = static_cast<int32_t>(rendered.size());
  s.send(std::move(started));
  stream::TokensT tokens;
  for (const char c : rendered) {
    tokens.ids.push_back(c % 100);
    tokens.text.push_back(static_cast<uint8_t>(c));
    tokens.ends.push_back(static_cast<uint32_t>(tokens.text.size()));
  }
  tokens.classes.assign(rendered.size(), 0);
  s.send(std::move(tokens));
  return s.mirror;
}

std::pair<int32_t, int32_t> range(const MirrorMessage& message) {
  return {message.token_begin, message.token_end};
}
using Range = std::pair<int32_t, int32_t>;

}  // namespace

TEST_CASE("a message stands where its bytes are, behind the one before it", "[mirror][text]") {
  const Mirror mirror = conversation({"be", "or", "be"}, "<be><or><be>");
  CHECK(range(mirror.messages()[0]) == Range{1, 3});
  CHECK(range(mirror.messages()[1]) == Range{5, 7});
  CHECK(range(mirror.messages()[2]) == Range{9, 11});
  CHECK(mirror.token_at(mirror.messages()[2], 1) == 10);
  CHECK(mirror.token_at(mirror.messages()[2], 2) == -1);
  CHECK(mirror.content_bytes_of(mirror.messages()[2], 10) == std::pair<size_t, size_t>{1, 2});
  CHECK(mirror.content_bytes_of(mirror.messages()[2], 11) == std::pair<size_t, size_t>{0, 0});
  CHECK(mirror.content_bytes_of(mirror.messages()[2], 1) == std::pair<size_t, size_t>{0, 0});
}

TEST_CASE("white space that a template cut off belongs to no token", "[mirror][text]") {
  const Mirror mirror = conversation({" \n a b\n ", "  c "}, "<a b>< c>");
  const MirrorMessage& first = mirror.messages()[0];
  CHECK(range(first) == Range{1, 4});
  CHECK(first.content_begin == 3);
  CHECK(mirror.token_at(first, 0) == -1);
  CHECK(mirror.token_at(first, 3) == 1);
  CHECK(mirror.token_at(first, 5) == 3);
  CHECK(mirror.token_at(first, 6) == -1);
  // The template kept one space of the second message.
  CHECK(range(mirror.messages()[1]) == Range{6, 8});
  CHECK(mirror.messages()[1].content_begin == 1);
}

TEST_CASE("a message that the template left out or changed is not found, the next one is", "[mirror][text]") {
  const Mirror mirror = conversation({"gone", "", "here"}, "<HERE><here>");
  CHECK(range(mirror.messages()[0]) == Range{-1, -1});
  CHECK(range(mirror.messages()[1]) == Range{-1, -1});
  CHECK(range(mirror.messages()[2]) == Range{7, 11});
  CHECK(mirror.token_at(mirror.messages()[0], 0) == -1);
}

TEST_CASE("a token that covers more than the message is cut to it", "[mirror][text]") {
  SmallStream s;
  s.open_model();
  stream::TurnStartedT started = s.turn_started();
  started.messages[0]->content = "i, y";
  s.send(std::move(started));
  s.send(s.tokens());  // <s> | Hi | , | _you
  const MirrorMessage& message = s.mirror.messages()[0];
  CHECK(range(message) == Range{1, 4});
  CHECK(s.mirror.content_bytes_of(message, 1) == std::pair<size_t, size_t>{0, 1});
  CHECK(s.mirror.content_bytes_of(message, 2) == std::pair<size_t, size_t>{1, 2});
  CHECK(s.mirror.content_bytes_of(message, 3) == std::pair<size_t, size_t>{2, 4});
}

TEST_CASE("text that repeats itself is found, or not, in time that grows with its length only", "[mirror][text]") {
  SmallStream s;
  s.open_model();
  stream::TurnStartedT started;
  for (int i = 0; i < 1000; ++i) started.messages.push_back(s.message("user", std::string(20000, 'a') + "b"));
  started.n_prompt_tokens = 1;
  s.send(std::move(started));
  stream::TokensT tokens;
  for (uint32_t i = 1; i <= 40; ++i) {
    tokens.ids.push_back(5);
    tokens.classes.push_back(0);
    tokens.ends.push_back(i * 50000);
  }
  tokens.text.assign(2000000, 'a');
  const auto start = std::chrono::steady_clock::now();
  s.send(std::move(tokens));
  CHECK(s.mirror.messages()[0].token_begin == -1);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(20));  // 0.1 s alone
}
