// The numbers of the column of messages: estimated heights, heights kept when a text grows, items in a view.
#include "ui/transcript_layout.h"

#include <catch2/catch.hpp>

using namespace headroom;

namespace {

using Part = TranscriptItem::Part;

ChatView chat_of(std::vector<std::pair<std::string, std::string>> messages) {
  ChatView chat;
  for (auto& [role, content] : messages) {
    TranscriptMessage message;
    message.id = std::ssize(chat.messages) + 1;
    message.role = role;
    message.content = content;
    chat.messages.push_back(message);
  }
  chat.version = 1;
  return chat;
}

}  // namespace

TEST_CASE("each message is a name, its blocks and a foot", "[transcript]") {
  TranscriptLayout layout;
  layout.follow(chat_of({{"user", "hello"}, {"assistant", ""}}));
  std::vector<Part> parts;
  for (const TranscriptItem& item : layout.items()) parts.push_back(item.part);
  CHECK(parts == std::vector<Part>{Part::header, Part::block, Part::footer, Part::header, Part::footer});
}

TEST_CASE("tops are sums of heights, and a view begins with the item at its top", "[transcript]") {
  TranscriptLayout layout;
  layout.follow(chat_of({{"user", "hello"}, {"assistant", "world"}}));
  const float heights[] = {10, 20, 5, 10, 40, 5};
  for (size_t i = 0; i < 6; ++i) layout.set_height(i, heights[i]);
  CHECK(layout.top(4) == 45);
  CHECK(layout.total_height() == 90);
  CHECK(layout.item_at(0) == 0);
  CHECK(layout.item_at(9.5f) == 0);
  CHECK(layout.item_at(10) == 1);
  CHECK(layout.item_at(1000) == 5);
  layout.set_height(1, 30);
  CHECK(layout.top(4) == 55);
}

TEST_CASE("a text that grows keeps the heights of what it had, but for its last block", "[transcript]") {
  TranscriptLayout layout;
  std::string text;
  while (text.size() < 4 * block_bytes) text += "A paragraph.\n\n";
  ChatView chat = chat_of({{"user", "hello"}, {"assistant", text}});
  layout.follow(chat);
  for (size_t i = 0; i < layout.items().size(); ++i) layout.set_height(i, 100);
  const size_t last_block = layout.items().size() - 2;
  chat.messages.back().content += "more";
  ++chat.version;
  layout.follow(chat);
  for (size_t i = 0; i < layout.items().size(); ++i) {
    CAPTURE(i);
    CHECK(layout.items()[i].is_measured == (i != last_block));
  }
}

TEST_CASE("another text in the place of one is measured anew", "[transcript]") {
  TranscriptLayout layout;
  ChatView chat = chat_of({{"user", "hello"}, {"assistant", "the first answer"}});
  layout.follow(chat);
  for (size_t i = 0; i < layout.items().size(); ++i) layout.set_height(i, 100);
  chat.messages.back().content = "the other answer";
  ++chat.version;
  layout.follow(chat);
  CHECK(layout.items()[1].is_measured);
  CHECK_FALSE(layout.items()[4].is_measured);
  CHECK(layout.blocks(1).back().end == 16);
}

TEST_CASE("a note under an answer makes its foot higher, so it is measured anew", "[transcript]") {
  TranscriptLayout layout;
  ChatView chat = chat_of({{"assistant", "an answer"}});
  layout.follow(chat);
  for (size_t i = 0; i < 3; ++i) layout.set_height(i, 100);
  chat.messages.back().note = "stopped";
  ++chat.version;
  layout.follow(chat);
  CHECK(layout.items()[1].is_measured);
  CHECK_FALSE(layout.items()[2].is_measured);
}

TEST_CASE("another width makes all heights estimates", "[transcript]") {
  TranscriptLayout layout;
  layout.set_measures(500, 20);
  layout.follow(chat_of({{"user", std::string(1000, 'a')}}));
  layout.set_height(1, 123);
  layout.set_measures(500, 20);
  CHECK(layout.items()[1].is_measured);
  layout.set_measures(250, 20);
  CHECK_FALSE(layout.items()[1].is_measured);
  CHECK(layout.items()[1].height > 20 * 1000 / 50);
}
