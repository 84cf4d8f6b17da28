// The list of chats: open, begin, rename in place, delete; what is disabled in a read-only list; titles of any kind.
#include "ui/chat_list.h"

#include <catch2/catch.hpp>

#include "tests/ui/ui_fixture.h"

using namespace headroom;
using test::UiFixture;

namespace {

void fill(ChatView& chat, int n) {
  chat.now_ms = 1'000'000'000;
  for (int i = 1; i <= n; ++i)
    chat.chats.push_back(
        {.id = i, .title = "Chat " + std::to_string(i), .updated_ms = chat.now_ms - int64_t{i} * 3'600'000});
}

std::string row(int id, const std::string& item = "###row") {
  return "//###chats/**/chat_" + std::to_string(id) + "/" + item;
}

}  // namespace

TEST_CASE("chat list: a click opens, the button begins", "[chat_list]") {
  UiFixture ui("chats");
  fill(ui.chat, 5);
  ui.act([&](ImGuiTestContext& person) {
    person.ItemClick(row(3).c_str());
    person.ItemClick("//###chats/###new_chat");
  });
  CHECK(ui.actions.calls == std::vector<std::string>{"open_chat 3", "new_chat"});
}

TEST_CASE("chat list: renaming in place, by menu and by key; Esc keeps the old title", "[chat_list]") {
  UiFixture ui("chats");
  fill(ui.chat, 3);
  ui.chat.open_chat = 2;
  ui.act([&](ImGuiTestContext& person) {
    person.ItemClick(row(1).c_str(), ImGuiMouseButton_Right);
    person.ItemClick("//$FOCUSED/###rename");
    person.Yield(2);
    person.KeyCharsReplaceEnter("By menu");
    person.Yield(2);
    person.KeyPress(ImGuiKey_F2);
    person.Yield(2);
    person.KeyCharsReplaceEnter("By key");
    person.Yield(2);
    person.KeyPress(ImGuiKey_F2);
    person.Yield(2);
    person.KeyCharsReplace("Never");
    person.KeyPress(ImGuiKey_Escape);
    person.Yield(2);
    IM_CHECK(!person.ItemExists(row(2, "###chat_title").c_str()));
  });
  CHECK(ui.actions.count("rename_chat 1 By menu") == 1);
  CHECK(ui.actions.count("rename_chat 2 By key") == 1);
  CHECK(ui.actions.calls.size() == 2);
}

TEST_CASE("chat list: deleting by the row's menu", "[chat_list]") {
  UiFixture ui("chats");
  fill(ui.chat, 3);
  ui.chat.open_chat = 2;
  ui.act([&](ImGuiTestContext& person) {
    person.ItemClick(row(2, "###more").c_str());
    person.ItemClick("//$FOCUSED/###delete");
  });
  CHECK(ui.actions.calls == std::vector<std::string>{"delete_chat 2"});
}

TEST_CASE("chat list: a read-only list opens chats and changes none", "[chat_list]") {
  UiFixture ui("chats");
  fill(ui.chat, 3);
  ui.chat.is_read_only = true;
  ui.chat.open_chat = 1;
  ui.act([&](ImGuiTestContext& person) {
    person.ItemClick(row(2).c_str());
    person.KeyPress(ImGuiKey_F2);
    person.KeyPress(ImGuiKey_Delete);
    person.Yield(2);
    IM_CHECK(!person.ItemExists(row(1, "###chat_title").c_str()));
    IM_CHECK(!person.ItemExists(row(2, "###chat_title").c_str()));
    IM_CHECK((person.ItemInfo("//###chats/###new_chat").ItemFlags & ImGuiItemFlags_Disabled) != 0);
  });
  CHECK(ui.actions.calls == std::vector<std::string>{"open_chat 2"});
}

TEST_CASE("chat list: titles of any kind, ten thousand chats, every zoom", "[chat_list]") {
  UiFixture ui("chats", 640, 480);
  fill(ui.chat, 10'000);
  ui.chat.chats[0].title = std::string(1 << 20, 'x');
  ui.chat.chats[1].title = "a\nb\tc\x01\xff";
  ui.chat.chats[2].title = "";
  ui.chat.chats[3].title = "%s%n ##hidden ###id";
  ui.chat.chats[4].title = "שלום \xe2\x80\xae evil 👩‍🚀";
  for (const float zoom : {0.5f, 1.0f, 3.0f}) {
    ui.state.zoom = zoom;
    ui.frames(3);
    CHECK(ImGui::GetDrawData()->TotalVtxCount > 100);
    CHECK(ImGui::GetDrawData()->TotalVtxCount < 100'000);
  }
}
