// What a person does in the window, as calls. Panels call it and never act themselves. app/ implements it with the
// engine's commands and the chat store, tests with a recorder.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/policy.h"

namespace headroom {

class Actions {
 public:
  virtual ~Actions() = default;
  // --- chat
  /// Sends a user's message and requests the answer. False: nothing was sent, and the caller keeps the text.
  virtual bool send(const std::string& text) = 0;
  virtual void stop() = 0;
  virtual void
  regenerate() = 0;  // generates another answer to the last message; the previous answer stays as a version
  virtual void choose_version(int64_t message, int32_t version) = 0;  // shows that version of a message
  virtual void take_back_message() = 0;  // moves the last message, which has no answer, back into the draft
  virtual void drop_oldest_turns() = 0;  // removes ChatView::n_droppable_turns turns from the model's input
  /// Asks how many tokens the conversation has with this as its next message. ChatView::prompt_count holds the reply
  /// later.
  virtual void count_draft(const std::string& draft) = 0;
  virtual void take_for_draft() = 0;  // confirms that ChatView::returned_text and attached_text were put into the draft
  virtual void new_chat() = 0;
  virtual void open_chat(int64_t chat) = 0;
  virtual void rename_chat(int64_t chat, const std::string& title) = 0;
  virtual void delete_chat(int64_t chat) = 0;
  virtual void undo_delete() = 0;
  // --- model
  virtual void open_model(const std::string& path) = 0;
  virtual void open_default_model() = 0;
  virtual void choose_model() = 0;  // shows the system's file dialog, then calls open_files
  /// Opens dropped or chosen files of any kind: a model, a recording, text for the message.
  virtual void open_files(const std::vector<std::string>& paths) = 0;
  virtual void cancel_load() = 0;
  virtual void restart_engine() = 0;
  // --- policy
  virtual void apply_config(const CacheConfig& config) = 0;
  // --- replay of a trace
  virtual void replay_seek(int32_t moment) = 0;  // 0 … ReplayView::n_moments - 1
  virtual void replay_play_or_pause() = 0;
  virtual void replay_speed(double factor) = 0;
  virtual void close_replay() = 0;  // returns to the chat that is behind it
  // --- recording, settings, program
  virtual void start_recording() = 0;
  virtual void stop_recording() = 0;
  virtual void set_clipboard(const std::string& text) = 0;
  virtual void dismiss_banner() = 0;
  virtual void settings_changed() = 0;  // saves the settings in UiState: theme, zoom, open panels
  virtual void quit() = 0;
};

}  // namespace headroom
