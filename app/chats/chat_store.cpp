// Each function is one transaction. An answer arrives as rows of `pieces`, written at once without waiting for the
// disk: a killed process loses nothing that was appended, and no timer or second thread is needed. The next commit that
// waits for the disk (the answer's end, or the next user message) also protects it against a power failure.
#include "app/chats/chat_store.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <chrono>
#include <cstring>
#include <set>

#include "app/chats/file_lock.h"
#include "app/chats/sqlite.h"

namespace headroom {
namespace {

static_assert(std::endian::native == std::endian::little, "token ids are stored as they lie in memory");

int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string_view bytes_of(const std::vector<int32_t>& ids) {
  return {reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(int32_t)};
}

// A blob whose length is no multiple of an id's size is damaged; the answer is shown without ids.
std::vector<int32_t> ids_in(const std::string& bytes) {
  if (bytes.size() % sizeof(int32_t) != 0) return {};
  std::vector<int32_t> ids(bytes.size() / sizeof(int32_t));
  if (!ids.empty()) std::memcpy(ids.data(), bytes.data(), bytes.size());
  return ids;
}

void expect_one_changed(Database& database, const char* what, int64_t id) {
  if (database.n_changed() != 1) {
    throw Error(ErrorKind::io, "the chat database has no " + std::string(what) + " " + std::to_string(id));
  }
}

void touch(Database& database, int64_t chat) {
  Statement(database, "UPDATE chats SET updated_ms = ?1 WHERE id = ?2", now_ms(), chat).step();
  expect_one_changed(database, "chat", chat);
}

// All versions of a chat's messages. Parents come before their children, so one pass reaches every message of a branch.
class Tree {
 public:
  Tree(Database& database, int64_t chat) {
    Statement rows(database, "SELECT id, coalesce(parent, 0) FROM messages WHERE chat = ?1 ORDER BY id", chat);
    while (rows.step()) parents_.emplace(rows.number(0), rows.number(1));
    Statement row(database, "SELECT leaf, dropped FROM chats WHERE id = ?1", chat);
    const bool is_there = row.step();
    if (is_there && contains(row.number(0)))
      leaf_ = row.number(0);
    else if (!parents_.empty())
      leaf_ = parents_.rbegin()->first;
    if (!is_there) return;
    for (int64_t at = row.number(1); contains(at); at = parent_of(at)) dropped_.insert(at);
  }
  bool contains(int64_t message) const { return parents_.contains(message); }
  int64_t leaf() const { return leaf_; }  // 0: there is no message
  bool is_dropped(int64_t message) const { return dropped_.contains(message); }
  int64_t parent_of(int64_t message) const { return parents_.at(message); }

  std::vector<int64_t> path() const {
    std::vector<int64_t> path;
    for (int64_t at = leaf_; contains(at); at = parent_of(at)) path.push_back(at);
    std::reverse(path.begin(), path.end());
    return path;
  }
  std::vector<int64_t> versions_of(int64_t message) const {
    std::vector<int64_t> versions;
    for (const auto& [id, parent] : parents_)
      if (parent == parent_of(message)) versions.push_back(id);
    return versions;
  }
  /// The message and all that follow it, ascending.
  std::set<int64_t> branch_of(int64_t message) const {
    std::set<int64_t> branch = {message};
    for (const auto& [id, parent] : parents_)
      if (branch.contains(parent)) branch.insert(id);
    return branch;
  }

 private:
  std::map<int64_t, int64_t> parents_;  // by message; 0: it is a first one
  int64_t leaf_ = 0;
  std::set<int64_t> dropped_;
};

void expect_in_chat(const Tree& tree, int64_t message) {
  if (!tree.contains(message))
    throw Error(ErrorKind::io, "the chat database has no message " + std::to_string(message) + " in this chat");
}

void set_leaf(Database& database, int64_t chat, int64_t message) {
  Statement(database, "UPDATE chats SET leaf = nullif(?2, 0) WHERE id = ?1", chat, message).step();
}

}  // namespace

ChatStore::ChatStore(std::unique_ptr<FileLock> lock, std::unique_ptr<Database> database, Access access,
                     std::string note)
    : lock_(std::move(lock)), database_(std::move(database)), access_(access), note_(std::move(note)) {}
ChatStore::ChatStore(ChatStore&&) noexcept = default;
ChatStore::~ChatStore() = default;

Database& ChatStore::writable() {
  if (read_only()) throw Error(ErrorKind::io, note_);
  return *database_;
}

// --- Chats ---

std::vector<ChatSummary> ChatStore::list() {
  Statement rows(*database_,
                 "SELECT id, title, updated_ms, (SELECT count(*) FROM messages WHERE chat = chats.id) "
                 "FROM chats WHERE deleted_ms IS NULL ORDER BY updated_ms DESC, id DESC");
  std::vector<ChatSummary> chats;
  while (rows.step()) {
    chats.push_back({rows.number(0), rows.bytes(1), rows.number(2), static_cast<int32_t>(rows.number(3))});
  }
  return chats;
}

int64_t ChatStore::create_chat(std::string_view title) {
  Transaction transaction(writable(), Sync::disk);
  Statement(*database_, "INSERT INTO chats(title, updated_ms) VALUES (?1, ?2)", title, now_ms()).step();
  const int64_t chat = database_->last_id();
  transaction.commit();
  return chat;
}

void ChatStore::rename_chat(int64_t chat, std::string_view title) {
  Transaction transaction(writable(), Sync::disk);
  Statement(*database_, "UPDATE chats SET title = ?1 WHERE id = ?2", title, chat).step();
  expect_one_changed(*database_, "chat", chat);
  transaction.commit();
}

void ChatStore::delete_chat(int64_t chat) {
  Transaction transaction(writable(), Sync::disk);
  Statement(*database_, "UPDATE chats SET deleted_ms = ?1 WHERE id = ?2", now_ms(), chat).step();
  expect_one_changed(*database_, "chat", chat);
  transaction.commit();
}

bool ChatStore::undo_delete(int64_t chat) {
  Transaction transaction(writable(), Sync::disk);
  Statement(*database_, "UPDATE chats SET deleted_ms = NULL WHERE id = ?1", chat).step();
  const bool found = database_->n_changed() == 1;
  transaction.commit();
  return found;
}

void ChatStore::purge_deleted(int64_t min_age_ms) {
  Transaction transaction(writable(), Sync::disk);
  Statement(*database_, "DELETE FROM chats WHERE deleted_ms <= ?1", now_ms() - min_age_ms).step();
  transaction.commit();
}

// --- Messages ---

ChatStore::Piece ChatStore::stored_pieces(int64_t message) {
  Statement rows(*database_, "SELECT content, ids FROM pieces WHERE message = ?1 ORDER BY id", message);
  Piece all;
  while (rows.step()) {
    all.text += rows.bytes(0);
    all.ids += rows.bytes(1);
  }
  return all;
}

std::vector<StoredMessage> ChatStore::messages(int64_t chat) {
  // One transaction, so that messages and their pieces are consistent while another window writes.
  database_->run("BEGIN");
  const auto end = [](Database* database) { sqlite3_exec(database->handle(), "ROLLBACK", nullptr, nullptr, nullptr); };
  const std::unique_ptr<Database, decltype(end)> reading(database_.get(), end);
  const Tree tree(*database_, chat);
  Statement rows(*database_, "SELECT id, role, content, ids, state, numbers, created_ms FROM messages WHERE id = ?1",
                 int64_t{0});
  std::vector<StoredMessage> messages;
  for (const int64_t id : tree.path()) {
    rows.reset();
    rows.bind(1, id);
    if (!rows.step()) continue;
    StoredMessage message{rows.number(0),       rows.bytes(1), rows.bytes(2), {},
                          MessageState::failed, rows.bytes(5), rows.number(6)};
    std::string ids = rows.bytes(3);
    // CHECKs refuse other numbers, but a damaged page bypasses them.
    const int64_t state = rows.number(4);
    if (state >= 0 && state <= 3) message.state = static_cast<MessageState>(state);
    if (message.state == MessageState::streaming) {
      const Piece stored = stored_pieces(message.id);
      message.content += stored.text;
      ids += stored.ids;
      if (const auto unsaved = unsaved_.find(message.id); unsaved != unsaved_.end()) {
        message.content += unsaved->second.text;
        ids += unsaved->second.ids;
      }
      if (access_ == Access::read) message.state = MessageState::stopped;
    }
    message.ids = ids_in(ids);
    message.versions = tree.versions_of(id);
    message.is_dropped = tree.is_dropped(id);
    messages.push_back(std::move(message));
  }
  return messages;
}

int64_t ChatStore::add_message(int64_t chat, std::string_view content, bool is_answer, int64_t version_of) {
  Transaction transaction(writable(), is_answer ? Sync::system : Sync::disk);
  touch(*database_, chat);
  const Tree tree(*database_, chat);
  if (version_of > 0) expect_in_chat(tree, version_of);
  const int64_t parent = version_of > 0 ? tree.parent_of(version_of) : tree.leaf();
  const MessageState state = is_answer ? MessageState::streaming : MessageState::complete;
  Statement(*database_,
            "INSERT INTO messages(chat, role, content, ids, state, numbers, created_ms, parent) "
            "VALUES (?1, CASE ?2 WHEN 0 THEN 'user' ELSE 'assistant' END, ?3, x'', ?4, x'', ?5, ?6)",
            chat, int64_t{is_answer}, content, static_cast<int64_t>(state), now_ms(), parent)
      .step();
  const int64_t message = database_->last_id();
  set_leaf(*database_, chat, message);
  transaction.commit();
  return message;
}

int64_t ChatStore::add_user_message(int64_t chat, std::string_view content, int64_t version_of) {
  return add_message(chat, content, false, version_of);
}

int64_t ChatStore::begin_answer(int64_t chat, int64_t version_of) {
  return add_message(chat, "", true, version_of);
}

void ChatStore::append_answer(int64_t message, std::string_view text, const std::vector<int32_t>& ids) {
  writable();
  Piece& piece = unsaved_[message];
  piece.text += text;
  piece.ids += bytes_of(ids);
  Transaction transaction(*database_, Sync::system);
  Statement(*database_,
            "INSERT INTO pieces(message, content, ids) "
            "SELECT id, ?2, ?3 FROM messages WHERE id = ?1 AND state = 1",
            message, std::string_view(piece.text), std::string_view(piece.ids))
      .step();
  if (database_->n_changed() == 0)
    unsaved_.erase(message);  // the message was removed or finished, so the text can never be stored
  expect_one_changed(*database_, "unfinished answer", message);
  transaction.commit();
  unsaved_.erase(message);
}

// Joins the pieces and the unsaved text into the message's content.
void ChatStore::store_answer(int64_t message, MessageState state, std::string_view numbers) {
  Piece all = stored_pieces(message);
  if (const auto unsaved = unsaved_.find(message); unsaved != unsaved_.end()) {
    all.text += unsaved->second.text;
    all.ids += unsaved->second.ids;
  }
  Statement(*database_,
            "UPDATE messages SET content = ?2, ids = ?3, state = ?4, numbers = ?5 WHERE id = ?1 AND state = 1", message,
            std::string_view(all.text), std::string_view(all.ids), static_cast<int64_t>(state), numbers)
      .step();
  expect_one_changed(*database_, "unfinished answer", message);
  Statement(*database_, "DELETE FROM pieces WHERE message = ?1", message).step();
}

void ChatStore::finish_answer(int64_t message, MessageState state, std::string_view numbers) {
  assert(state != MessageState::streaming);
  Transaction transaction(writable(), Sync::disk);
  store_answer(message, state, numbers);
  Statement(*database_, "UPDATE chats SET updated_ms = ?1 WHERE id = (SELECT chat FROM messages WHERE id = ?2)",
            now_ms(), message)
      .step();
  transaction.commit();
  unsaved_.erase(message);
  // Checkpoints here, where waiting for the disk does not delay tokens. If it fails, everything is safe in the log.
  sqlite3_wal_checkpoint_v2(database_->handle(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
}

void ChatStore::stop_answers_cut_off() {
  std::vector<int64_t> cut_off;
  {
    Statement rows(*database_, "SELECT id FROM messages WHERE state = 1");
    while (rows.step()) cut_off.push_back(rows.number(0));
  }
  if (cut_off.empty()) return;
  Transaction transaction(*database_, Sync::disk);
  for (const int64_t message : cut_off) store_answer(message, MessageState::stopped, "");
  transaction.commit();
}

void ChatStore::choose_version(int64_t chat, int64_t message) {
  Transaction transaction(writable(), Sync::disk);
  const Tree tree(*database_, chat);
  expect_in_chat(tree, message);
  set_leaf(*database_, chat, *tree.branch_of(message).rbegin());
  transaction.commit();
}

void ChatStore::drop_through(int64_t chat, int64_t message) {
  Transaction transaction(writable(), Sync::disk);
  expect_in_chat(Tree(*database_, chat), message);
  Statement(*database_, "UPDATE chats SET dropped = ?2 WHERE id = ?1", chat, message).step();
  transaction.commit();
}

void ChatStore::remove_messages_from(int64_t chat, int64_t message) {
  Transaction transaction(writable(), Sync::disk);
  const Tree tree(*database_, chat);
  if (!tree.contains(message)) return;
  const std::set<int64_t> branch = tree.branch_of(message);
  if (branch.contains(tree.leaf())) set_leaf(*database_, chat, tree.parent_of(message));
  if (tree.is_dropped(message))
    Statement(*database_, "UPDATE chats SET dropped = nullif(?2, 0) WHERE id = ?1", chat, tree.parent_of(message))
        .step();
  Statement remove(*database_, "DELETE FROM messages WHERE id = ?1", int64_t{0});
  for (const int64_t id : branch) {
    remove.reset();
    remove.bind(1, id);
    remove.step();
  }
  transaction.commit();
}

}  // namespace headroom
