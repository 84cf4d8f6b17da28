// What the panels read beside the Mirror: the chats, the open conversation and its banners (ChatView), and what a
// person has set or picked (UiState). Written by app/desktop, and UiState by the panels too. Plain values, no drawing.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace headroom {

struct ChatEntry {
  int64_t id = 0;
  std::string title;
  int64_t updated_ms = 0;
};

/// A message as the chat store has it; the transcript shows these. `mirror_index` joins it with the engine's tokens.
struct TranscriptMessage {
  int64_t id = 0;
  std::string role, content;
  bool is_streaming = false;
  std::string note;           // "stopped", "cut off", an error: shown under it; may be empty
  std::string numbers;        // one line under an answer: tokens, speeds, time to first token, KV bytes
  int32_t mirror_index = -1;  // index into Mirror::messages(); -1: the engine has not read it (yet)
  bool is_dropped = false;    // the model no longer reads it
  int32_t version = 0;        // which of its versions this is, oldest first
  int32_t n_versions = 1;
};

struct Banner {
  enum class Kind { information, warning, failure };
  Kind kind = Kind::information;
  std::string text;
  bool offers_restart = false;
  bool offers_undo = false;  // of a deleted chat
};

/// A trace that is shown. A moment is the state after the cache changed: after a prefill, after each token.
struct ReplayView {
  std::string path;
  int32_t moment = 0, n_moments = 0;
  bool is_playing = false;
  double speed = 1;              // of the recording's own
  bool has_chat_behind = false;  // it was opened in a chat's window, which goes on when it is closed
};

/// The conversation with a draft as its next message, as the engine counts.
struct PromptCount {
  std::string draft;
  int32_t n_tokens = -1;  // -1: it cannot be sent
  std::string why_not;    // then: a sentence
};

/// The model that comes with the program.
struct DefaultModel {
  std::string path;  // empty: there is none to offer
  bool is_there = false;
};

/// What app/ knows and the panels show, beside the Mirror.
struct ChatView {
  std::vector<ChatEntry> chats;  // newest first
  int64_t open_chat = 0;         // 0: a new one that has no message yet
  uint64_t n_opened = 0;         // grows when a person opens another chat
  int64_t now_ms = 0;            // the wall clock that the chats' ages are counted from; 0: the system's
  std::vector<TranscriptMessage> messages;
  bool is_busy = false;         // a turn runs: Stop is offered, Send is not
  bool can_send = false;        // a model is open and nothing runs
  std::string cannot_send_why;  // a sentence where can_send is false
  bool is_read_only = false;    // another window holds the chats
  bool engine_is_running = false;
  bool is_recording = false;
  std::optional<ReplayView> replay;  // a trace: no engine, nothing can be sent
  std::string recording_path;
  std::vector<Banner> banners;
  std::vector<std::string> input_history;  // oldest first
  DefaultModel default_model;
  std::optional<PromptCount> prompt_count;  // of the draft as it was a moment ago
  bool is_overfull = false;                 // the context was too small for the open conversation
  int32_t n_droppable_turns = 0;            // that drop_oldest_turns() would take from what the model reads; 0: none
  // To be put into the draft: a message that was refused, in front; text of files, behind.
  std::string returned_text, attached_text;
  uint64_t version = 0;  // grows with every change of messages
};

enum class HeadMapMode { policy, kept_share, recovery, live_bytes, importance };
inline constexpr int n_head_map_modes = 5;

/// What a person has set or picked; outlives frames, and the settings in it outlive the program.
struct UiState {
  // settings
  bool dark = true;
  float zoom = 1.0f;
#define HEADROOM_PANEL(id, ...) bool show_##id = true;
#include "ui/panels.def"
  // picked
  HeadMapMode head_map_mode = HeadMapMode::policy;
  int32_t recovery_policy = 0;  // index into the policy set, for the recovery mode
  int32_t hovered_head = -1;    // set by the head map, read by the transcript; -1: none
  int32_t pinned_head = -1;
  int32_t hovered_token = -1;  // position; set by the transcript, read by the head map
  bool show_tokens = false;    // the transcript as tokens instead of Markdown
  bool show_help = false;
  std::string draft;  // what is being typed, in draft_chat
  int64_t draft_chat = 0;
  std::map<int64_t, std::string> drafts;  // of the other chats; outlive the program
  int32_t active_head() const {
    return hovered_head >= 0 ? hovered_head : pinned_head;
  }
};

}  // namespace headroom
