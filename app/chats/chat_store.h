// Chats ◄─► one SQLite file. The window keeps its conversations here: a user's message before it is sent to the engine,
// an answer as it arrives. A chat is a tree: messages with the same parent are versions of each other, and one path
// through it is the conversation. Knows nothing of windows, engines and streams. For use by one thread.
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
  std::string numbers;  // shown under an answer; the store accepts any text
  int64_t created_ms = 0;
  std::vector<int64_t> versions = {};  // ids, oldest first, including its own
  bool is_dropped = false;             // the model no longer reads it
};

/// Every function throws Error(io) with a sentence if the file cannot be read or written. The store stays usable then,
/// and keeps what was stored. Changing a read_only() store throws its note.
class ChatStore {
 public:
  /// Never throws because of the state of the file or its folder. At worst the store is empty and read-only, and note()
  /// says why. A damaged or foreign file is renamed, and its readable rows are copied to a new file.
  static ChatStore open(const std::string& path);
  /// Everything readable in a database, damaged or whole. The file is not changed and the store is read-only. note()
  /// says how much was read. Throws Error if there is no file.
  static ChatStore read_what_is_left(const std::string& path);
  ChatStore(ChatStore&& other) noexcept;
  ChatStore& operator=(ChatStore&& other) = delete;
  ~ChatStore();

  bool read_only() const { return access_ != Access::write; }
  bool is_held_by_another_window() const { return access_ == Access::read_beside_writer; }
  /// What the user should know about how the file was opened, in sentences; empty if there is nothing to report.
  const std::string& note() const { return note_; }

  /// Newest first, without the deleted ones.
  std::vector<ChatSummary> list();
  int64_t create_chat(std::string_view title);
  void rename_chat(int64_t chat, std::string_view title);
  /// Hides the chat until undo_delete or purge_deleted.
  void delete_chat(int64_t chat);
  /// False if the chat was purged.
  bool undo_delete(int64_t chat);
  /// Removes permanently the chats deleted at least this long ago. An answer that is arriving in such a chat is lost
  /// with it.
  void purge_deleted(int64_t min_age_ms = 0);

  /// The conversation, in order: the chosen version of each message. An answer cut off by a crash has state stopped.
  /// One that is arriving has state streaming and contains everything appended so far.
  std::vector<StoredMessage> messages(int64_t chat);

  /// Adds a message after the conversation's last one. version_of: adds it as another version of this message instead,
  /// and the conversation ends with it. The old version and all that follows it stay. The message is on disk when this
  /// returns; send it to the engine only then.
  int64_t add_user_message(int64_t chat, std::string_view content, int64_t version_of = 0);
  int64_t begin_answer(int64_t chat, int64_t version_of = 0);  // same as add_user_message
  /// The text is with the operating system when this returns, so a killed process loses nothing. It does not wait for
  /// the disk. If it throws, the text is kept here and stored with the next append or with finish_answer. Each call
  /// costs one page (4 KiB) of the log: collect text and append a few times per second.
  void append_answer(int64_t message, std::string_view text, const std::vector<int32_t>& ids);
  /// On disk when it returns. If it throws, it may be called again. state: not streaming.
  void finish_answer(int64_t message, MessageState state, std::string_view numbers);
  /// Makes the conversation go through this message and on to the newest message below it. On disk when it returns.
  void choose_version(int64_t chat, int64_t message);
  /// The model no longer sees this message and all before it; they stay in the store. On disk when it returns.
  void drop_through(int64_t chat, int64_t message);
  /// Removes this message and all that follow it. Its other versions stay.
  void remove_messages_from(int64_t chat, int64_t message);

 private:
  enum class Access {
    write,
    read_beside_writer,  // another window writes; its answers may be streaming
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
  std::map<int64_t, Piece> unsaved_;  // by message: text that was appended but could not be written yet
};

}  // namespace headroom
