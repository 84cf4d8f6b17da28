// What the window does, without drawing: a person's actions ─► the engine and the chats; events of the engine ─►
// Mirror, chats and banners. Owns the engine process, the chat store and everything that must survive a crash of
// either. All on one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "app/chats/chat_store.h"
#include "app/desktop/engine_link.h"
#include "engine/run/model.h"
#include "engine/run/sampler.h"
#include "engine/telemetry/mirror.h"
#include "engine/telemetry/trace.h"
#include "ui/actions.h"
#include "ui/view.h"

namespace headroom {

struct ControllerOptions {
  std::string model_path;             // opened at the start; empty: none
  std::string default_model_path;     // offered where none is open; empty: none
  std::string backend;                // empty: the best one
  int32_t n_threads = 0;              // 0: physical cores
  int32_t n_ctx = 0;                  // 0: the model's, at most what memory allows
  std::optional<CacheConfig> config;  // nothing: what the engine takes for the model
  TemplateChoice chat_template;       // for model_path; not given: the file's own
  SamplerOptions sampler;
  int32_t max_tokens = -1;
  std::vector<std::string> stop_strings;
  std::string system_prompt;   // empty: none
  std::string engine_command;  // empty: this program's own engine
  std::string chats_path;      // of the database
  std::string recordings_folder;
  std::function<void()> wake;  // from any thread: something can be taken in
};

class Controller : public Actions {
 public:
  /// Opens the chats, starts the engine and asks it to load the model. Never throws for what can be shown in a banner.
  explicit Controller(ControllerOptions options);
  ~Controller() override;  // as close()

  /// Takes in what the engine sent and what time has done; true where something that is shown has changed.
  bool poll();
  /// Everything is on disk when this returns; the engine is gone.
  void close();

  const Mirror& mirror() const { return mirror_; }
  const ChatView& view() const { return view_; }
  bool wants_to_quit() const { return wants_to_quit_; }
  int engine_process_id() const;  // 0: none
  /// A sentence for the user, as a banner.
  void add_note(const std::string& sentence) { add_banner(Banner::Kind::information, sentence); }
  void add_warning(const std::string& sentence) { add_banner(Banner::Kind::warning, sentence); }
  /// Set by whoever has them: the file dialog, the clipboard, where settings go.
  std::function<void()> on_choose_model;
  std::function<void(const std::string&)> on_set_clipboard;
  std::function<void()> on_settings_changed;
  std::function<void(const std::string&)> on_open_recording;

  // Actions
  bool send(const std::string& text) override;
  void stop() override;
  void regenerate() override;
  void take_back_message() override;
  void drop_oldest_turns() override;
  void count_draft(const std::string& draft) override;
  void take_for_draft() override;
  void choose_version(int64_t message, int32_t version) override;
  void new_chat() override;
  void open_chat(int64_t chat) override;
  void rename_chat(int64_t chat, const std::string& title) override;
  void delete_chat(int64_t chat) override;
  void undo_delete() override;
  void open_model(const std::string& path) override;
  void open_default_model() override;
  void choose_model() override;
  void open_files(const std::vector<std::string>& paths) override;
  void cancel_load() override;
  void restart_engine() override;
  void apply_config(const CacheConfig& config) override;
  void start_recording() override;
  void stop_recording() override;
  void set_clipboard(const std::string& text) override;
  void dismiss_banner() override;
  void settings_changed() override;
  void quit() override;
  // of a trace, which this is not
  void replay_seek(int32_t) override {}
  void replay_play_or_pause() override {}
  void replay_speed(double) override {}
  void close_replay() override {}

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr const char* message_joint = "\n\n";  // between messages that go to the engine as one

  /// A message of the open chat. What the store refused is tried again with the next message.
  struct Message {
    int64_t id = 0;  // in the store; 0: not there yet
    std::string role, content;
    std::vector<TokenId> ids;
    MessageState state = MessageState::complete;
    std::string numbers, note;
    bool is_finished_in_store = true;  // an answer's state and numbers
    bool is_dropped = false;           // the model no longer reads it
    std::vector<int64_t> versions;     // in the store, oldest first
    // Versions that the store has not taken, each with what followed it; the place of this one, if it is one of them,
    // is empty.
    std::vector<std::vector<Message>> unsaved_versions;
    int32_t unsaved_place = -1;

    int32_t n_versions() const;
    int32_t version() const;
  };
  /// The running turn that belongs to what is on screen.
  struct Turn {
    uint64_t id = 0;
    bool only_reads = false;  // the transcript, after a start
    bool replaces_answer = false;
    bool is_new_message = false;  // the last message was sent with it
    bool is_started = false;      // the engine took it on
    bool has_answer = false;      // it is the last message
    bool was_stopped = false;     // by the person
  };

  // controller.cpp
  void show_messages(int64_t chat);
  void show_messages();
  TranscriptMessage shown(const Message& message, size_t index) const;
  void return_message();
  void join_with_mirror();
  void conversation_changed();
  void find_droppable();
  void add_banner(Banner::Kind kind, const std::string& text, bool offers_restart = false, bool offers_undo = false);
  void remove_banner(const std::string& text);
  bool is_busy() const;
  void refresh();
  void record(stream::EventT& event);

  // controller_store.cpp
  void open_store();
  bool with_store(const char* what, const std::function<void()>& work);
  bool store_messages(const char* what);
  void store_message(Message& message, int64_t version_of);
  void append_what_arrived(int min_age_ms);
  void show_chats();
  std::vector<Message> read_messages(int64_t chat);

  // controller_versions.cpp
  bool swap_version(size_t index, int32_t version);

  // controller_engine.cpp
  void start_engine();
  void engine_ended(const std::string& how);
  template <typename Body>
  bool tell(Body body);
  void begin_waiting_work();
  std::vector<std::unique_ptr<stream::MessageT>> conversation(size_t n, const std::string& next = "") const;
  bool begin_turn(int32_t max_tokens, bool replaces_answer = false);
  void ask_for_count();
  bool ask_whether_it_fits(const std::string& refusal);
  void counted(const stream::Counted& event);
  void look_for_default_model();
  bool take_in(const ReceivedEvent& event);
  void load_failed(const stream::LoadFailed& event);
  void token_drawn(const stream::Token& event);
  void turn_finished(const stream::TurnFinished& event);
  void begin_answer();
  void add_to_answer(const std::string& text, const std::vector<TokenId>& ids);
  void finish_answer(MessageState state, const std::string& note, const std::string& numbers);
  void leave_turn(const std::string& note);
  void break_off_turn(const std::string& note, MessageState state);
  void note_without_answer(const Turn& turn, const std::string& note);

  ControllerOptions options_;
  Mirror mirror_;
  ChatView view_;
  uint64_t reported_view_ = 0, reported_mirror_ = 0;  // versions at the last poll

  std::optional<ChatStore> store_;
  std::string store_trouble_;      // the last one: said once, not with every piece of an answer
  std::vector<Message> messages_;  // of the open chat
  std::string arrived_text_;       // of the answer, not yet in the store
  std::vector<TokenId> arrived_ids_;
  Clock::time_point appended_at_;
  int64_t last_deleted_ = 0;

  std::unique_ptr<EngineLink> engine_;
  std::deque<Clock::time_point> failures_;  // of the engine, within the last minute
  std::string engine_banner_;
  bool is_loaded_ = false, is_loading_ = false;
  bool was_closed_for_another_ = false;  // which then was not opened; the engine opens it again where it can
  std::string template_path_;  // of the model that options_.chat_template was brought along for; empty: the first
  std::string loaded_path_;    // of the model that was opened last; empty: none was yet
  std::optional<Turn> turn_;
  std::set<uint64_t> unfinished_turns_;  // asked for, no TurnFinished yet; one may be of a chat that is closed
  bool clear_is_unanswered_ = false;
  // Asked for while the engine was busy; begun in this order once it is not.
  bool load_is_due_ = false, clear_is_due_ = false, config_is_due_ = false, read_is_due_ = false, fit_is_due_ = false;
  uint64_t next_turn_id_ = 1;
  uint64_t n_regenerated_ = 0;
  std::optional<CacheConfig> opened_config_;  // as options_.config was when a model was opened last
  size_t drop_end_ = 0;                       // messages before it go with drop_oldest_turns()

  // Counting the draft: at most one question is on its way, and only of what stood still for a moment.
  std::optional<std::string> draft_to_count_;
  std::string asked_draft_;
  std::optional<std::string> refused_reading_;  // the question is whether the chat fits
  Clock::time_point draft_since_;
  uint64_t count_id_ = 0;        // of the last question
  bool count_is_asked_ = false;  // and not answered
  bool engine_counts_ = false;

  std::unique_ptr<TraceWriter> recording_;
  uint64_t recording_sequence_ = 0;
  bool wants_to_quit_ = false;
  bool is_closed_ = false;
};

}  // namespace headroom
