// Chats ◄─► one SQLite file. The window keeps its conversations here: a user's message before it is sent to the engine,
// an answer as it arrives. A chat is a tree: messages that follow the same one are versions of each other, and one path
// through it is the conversation. Knows nothing of windows, engines and streams. For one thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace headroom {

class Database;
class FileLock;

struct ChatSummary {
  int64_t id = 0;
  std::string title;       // any bytes
  int64_t updated_ms = 0;  // of the last message, since 1970
  int32_t n_messages = 0;  // all versions
};

enum class MessageState { complete, streaming, stopped, failed };  // numbers in the file: append only

struct StoredMessage {
  int64_t id = 0;
  std::string role;          // "user" or "assistant"
  std::string content;       // any bytes
  std::vector<int32_t> ids;  // of an answer's tokens
  MessageState state = MessageState::complete;
  std::string numbers;  // what is shown under an answer; any text to the store
  int64_t created_ms = 0;
  std::vector<int64_t> versions = {};  // ids, oldest first, its own among them
  bool is_dropped = false;             // the model no longer reads it
};

/// Every function throws Error(io) with a sentence where the file refuses; the store stays usable and what was stored
/// stays. Changing a read_only() store throws its note.
class ChatStore {
 public:
  /// Never throws for what the file or its folder is like: at worst the store is empty and read-only, and note() says
  /// why. A damaged file, or one that is not ours, gets another name; what can be read of it is carried over.
  static ChatStore open(const std::string& path);
  /// What can be read of a database, damaged or whole, which is not changed; read-only. note() says how much it is.
  /// Throws Error where no file lies there.
  static ChatStore read_what_is_left(const std::string& path);
  ChatStore(ChatStore&& other) noexcept;
  ChatStore& operator=(ChatStore&& other) = delete;
  ~ChatStore();

  bool read_only() const { return access_ != Access::write; }
  bool is_held_by_another_window() const { return access_ == Access::read_beside_writer; }
  /// What the user should know about opening, in sentences; empty if all is well.
  const std::string& note() const { return note_; }

  /// Newest first, without the deleted ones.
  std::vector<ChatSummary> list();
  int64_t create_chat(std::string_view title);
  void rename_chat(int64_t chat, std::string_view title);
  /// Hides the chat until undo_delete or purge_deleted.
  void delete_chat(int64_t chat);
  /// False if the chat was purged.
  bool undo_delete(int64_t chat);
  /// Removes for good what was deleted at least so long ago. An answer that arrives in such a chat is lost with it.
  void purge_deleted(int64_t min_age_ms = 0);

  /// The conversation, in its order: the chosen version of each message. An answer that was cut off by a crash is
  /// stopped; one that arrives now is streaming, with everything that was appended.
  std::vector<StoredMessage> messages(int64_t chat);

  /// Follows the conversation's last message. version_of: it becomes another version of this message instead, and the
  /// conversation ends with it; the old version and all that follows it stay. On the disk when it returns, and only
  /// then to be sent.
  int64_t add_user_message(int64_t chat, std::string_view content, int64_t version_of = 0);
  int64_t begin_answer(int64_t chat, int64_t version_of = 0);  // as above
  /// Handed to the system before it returns, so that a kill right after loses nothing; it does not wait for the disk.
  /// If it throws, the text is kept here and goes with the next append or with finish_answer.
  /// Costs one page (4 KiB) of the log a call: append what has arrived together, a few times a second.
  void append_answer(int64_t message, std::string_view text, const std::vector<int32_t>& ids);
  /// On the disk when it returns; if it throws, it may be called again. state: not streaming.
  void finish_answer(int64_t message, MessageState state, std::string_view numbers);
  /// The conversation leads over this message, and on to the newest that follows it. On the disk when it returns.
  void choose_version(int64_t chat, int64_t message);
  /// The model no longer reads this message and all that lead to it; they stay. On the disk when it returns.
  void drop_through(int64_t chat, int64_t message);
  /// This message and all that follow it; its other versions stay.
  void remove_messages_from(int64_t chat, int64_t message);

 private:
  enum class Access {
    write,
    read_beside_writer,  // another window's answers may be streaming
    read,
  };
  struct Piece {
    std::string text;
    std::string ids;  // as in the file
  };

  ChatStore(std::unique_ptr<FileLock> lock, std::unique_ptr<Database> database, Access access, std::string note);
  static ChatStore open_writable(const std::string& path, std::unique_ptr<FileLock>& lock);
  static ChatStore open_readable(const std::string& path, Access access, const std::string& why);
  Database& writable();
  void stop_answers_cut_off();
  int64_t add_message(int64_t chat, std::string_view content, bool is_answer, int64_t version_of);
  Piece stored_pieces(int64_t message);
  void store_answer(int64_t message, MessageState state, std::string_view numbers);

  std::unique_ptr<FileLock> lock_;  // freed after the database is closed
  std::unique_ptr<Database> database_;
  Access access_;
  std::string note_;
  std::map<int64_t, Piece> unsaved_;  // by message: appended, but refused by the file
};

}  // namespace headroom
