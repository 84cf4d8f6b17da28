// The open conversation ─► the chat store, and back; the list of chats. A part of the Controller: a refusal of the
// store becomes a banner here, and what it refused is written again with the next message.
#include <algorithm>

#include "app/desktop/controller.h"
#include "app/format.h"
#include "engine/base/error.h"

namespace headroom {
namespace {

constexpr size_t max_made_title_bytes = 60, max_given_title_bytes = 300;
const std::string deleted_sentence = "The chat was deleted.";

std::string first_line_of(const std::string& text, size_t max_bytes) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) return "New chat";
  const size_t end = text.find_first_of("\r\n", begin);
  return shortened(text.substr(begin, end == std::string::npos ? end : end - begin), max_bytes);
}

/// The store keeps one text beside an answer: its numbers, then a line feed and its note.
std::string stored_caption(const std::string& numbers, const std::string& note) {
  return note.empty() ? numbers : numbers + "\n" + note;
}

}  // namespace

// --- messages

void Controller::open_store() {
  store_.emplace(ChatStore::open(options_.chats_path));
  view_.is_read_only = store_->is_held_by_another_window();
  if (!store_->note().empty())
    add_banner(view_.is_read_only ? Banner::Kind::information : Banner::Kind::warning, store_->note());
  show_chats();
}

/// Runs something with the store; an error becomes a banner and false. Where nothing can be saved at all, the store's
/// note has said so.
bool Controller::with_store(const char* what, const std::function<void()>& work) {
  if (!store_ || store_->read_only()) return false;
  try {
    work();
    store_trouble_.clear();
    return true;
  } catch (const Error& error) {
    const std::string trouble = format("Could not %s: %s. What is on screen stays.", what, error.what());
    if (trouble != store_trouble_) add_banner(Banner::Kind::failure, trouble);
    store_trouble_ = trouble;
    return false;
  }
}

/// Everything of the open chat that is not in the store yet, in order: what came now, and what was refused before.
bool Controller::store_messages(const char* what) {
  return with_store(what, [&] {
    for (Message& message : messages_) {
      // Other versions first: the conversation that the store has ends with what was written last.
      for (std::vector<Message>& branch : message.unsaved_versions) {
        for (Message& other : branch) {
          const bool is_first = &other == &branch.front();
          store_message(other, is_first && !message.versions.empty() ? message.versions.back() : 0);
          const auto end = message.versions.end();
          if (is_first && std::find(message.versions.begin(), end, other.id) == end)
            message.versions.push_back(other.id);
        }
        branch.clear();
      }
      store_message(message, message.versions.empty() ? 0 : message.versions.back());
      if (message.unsaved_place >= 0) message.versions.push_back(message.id);
      message.unsaved_versions.clear();
      message.unsaved_place = -1;
    }
  });
}

/// version_of: in the store; 0: it follows the last message there. What is there already is not stored again.
void Controller::store_message(Message& message, int64_t version_of) {
  if (message.id == 0) {
    if (view_.open_chat == 0)
      view_.open_chat = store_->create_chat(first_line_of(message.content, max_made_title_bytes));
    if (message.role == "user") {
      message.id = store_->add_user_message(view_.open_chat, message.content, version_of);
    } else {
      message.id = store_->begin_answer(view_.open_chat, version_of);
      message.is_finished_in_store = false;
      if (!message.content.empty()) store_->append_answer(message.id, message.content, message.ids);
    }
  }
  if (message.is_finished_in_store || message.state == MessageState::streaming) return;
  store_->finish_answer(message.id, message.state, stored_caption(message.numbers, message.note));
  message.is_finished_in_store = true;
}

/// min_age_ms: since the last time. Pieces go to the store together, because each costs it a page.
void Controller::append_what_arrived(int min_age_ms) {
  if (arrived_ids_.empty() && arrived_text_.empty()) return;
  const Clock::time_point now = Clock::now();
  if (now - appended_at_ < std::chrono::milliseconds(min_age_ms)) return;
  appended_at_ = now;
  const int64_t answer = messages_.back().id;
  // An answer that is not in the store yet goes there whole. What append_answer refuses, the store keeps for later.
  if (answer != 0) with_store("save the answer", [&] { store_->append_answer(answer, arrived_text_, arrived_ids_); });
  arrived_text_.clear();
  arrived_ids_.clear();
}

void Controller::show_chats() {
  view_.chats.clear();
  ++view_.version;
  if (!store_) return;
  try {
    for (const ChatSummary& chat : store_->list()) view_.chats.push_back({chat.id, chat.title, chat.updated_ms});
  } catch (const Error& error) {
    add_banner(Banner::Kind::failure, std::string("Could not list the chats: ") + error.what());
  }
}

/// Throws Error.
std::vector<Controller::Message> Controller::read_messages(int64_t chat) {
  std::vector<Message> messages;
  for (StoredMessage& stored : store_->messages(chat)) {
    Message& message = messages.emplace_back();
    message.id = stored.id;
    message.role = std::move(stored.role);
    message.content = std::move(stored.content);
    message.ids = std::move(stored.ids);
    message.state = stored.state;
    message.is_dropped = stored.is_dropped;
    message.versions = std::move(stored.versions);
    const size_t end = std::min(stored.numbers.find('\n'), stored.numbers.size());
    message.numbers = stored.numbers.substr(0, end);
    message.note = stored.numbers.substr(std::min(end + 1, stored.numbers.size()));
    if (message.state == MessageState::stopped && message.note.empty()) message.note = "cut off";
    if (message.state == MessageState::streaming) message.note = "being written in the other window";
  }
  return messages;
}

// --- actions: the list of chats

void Controller::rename_chat(int64_t chat, const std::string& title) {
  with_store("rename the chat", [&] { store_->rename_chat(chat, first_line_of(title, max_given_title_bytes)); });
  show_chats();
}

void Controller::delete_chat(int64_t chat) {
  if (chat == view_.open_chat) new_chat();
  if (!with_store("delete the chat", [&] { store_->delete_chat(chat); })) return;
  last_deleted_ = chat;
  remove_banner(deleted_sentence);
  add_banner(Banner::Kind::information, deleted_sentence, false, true);
  show_chats();
}

void Controller::undo_delete() {
  if (last_deleted_ == 0) return;
  if (!with_store("bring the chat back", [&] { store_->undo_delete(last_deleted_); })) return;
  last_deleted_ = 0;
  remove_banner(deleted_sentence);
  show_chats();
}

}  // namespace headroom
