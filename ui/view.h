// What the panels read beside the Mirror: the chats, the open conversation and its banners (ChatView), and what the
// user has set or picked (UiState). app/desktop writes both, the panels write UiState too. Plain values, no drawing.
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

/// A message of the chat store, as the transcript shows it. `mirror_index` links it to the engine's tokens.
struct TranscriptMessage {
  int64_t id = 0;
  std::string role, content;
  bool is_streaming = false;
  std::string note;           // shown under it: "stopped", "cut off", an error; may be empty
  std::string numbers;        // one line under an answer: tokens, speeds, time to first token, KV bytes
  int32_t mirror_index = -1;  // index into Mirror::messages(); -1: the engine has not received it (yet)
  bool is_dropped = false;    // no longer part of the model's input
  int32_t version = 0;        // index of the shown version, oldest first
  int32_t n_versions = 1;
};

struct Banner {
  enum class Kind { information, warning, failure };
  Kind kind = Kind::information;
  std::string text;
  bool offers_restart = false;
  bool offers_undo = false;  // undo the deletion of a chat
};

/// The shown trace. A moment is the state after a change of the cache: after a prefill, after each token.
struct ReplayView {
  std::string path;
  int32_t moment = 0, n_moments = 0;
  bool is_playing = false;
  double speed = 1;              // factor of the recorded speed
  bool has_chat_behind = false;  // opened from a chat, which continues when the replay is closed
};

/// The engine's token count of the conversation with a draft as its next message.
struct PromptCount {
  std::string draft;
  int32_t n_tokens = -1;  // -1: it cannot be sent
  std::string why_not;    // a sentence if n_tokens is -1
};

/// The model that the window offers to open by one button.
struct DefaultModel {
  std::string path;  // empty: there is none to offer
  bool is_there = false;
};

/// What app/ provides to the panels beside the Mirror.
struct ChatView {
  std::vector<ChatEntry> chats;  // newest first
  int64_t open_chat = 0;         // 0: a new one that has no message yet
  uint64_t n_opened = 0;         // grows when the user opens another chat
  int64_t now_ms = 0;            // clock for the ages of the chats; 0: the system's clock
  std::vector<TranscriptMessage> messages;
  bool is_busy = false;         // a turn runs: Stop is offered, Send is not
  bool can_send = false;        // a model is open and no turn runs
  std::string cannot_send_why;  // a sentence if can_send is false
  bool is_read_only = false;    // another window holds the chats
  bool engine_is_running = false;
  bool is_recording = false;
  std::optional<ReplayView> replay;  // a trace: no engine, nothing can be sent
  std::string recording_path;
  std::vector<Banner> banners;
  std::vector<std::string> input_history;  // oldest first
  DefaultModel default_model;
  std::optional<PromptCount> prompt_count;  // may be that of a slightly older draft
  bool is_overfull = false;                 // the context was too small for the open conversation
  int32_t n_droppable_turns = 0;            // turns that drop_oldest_turns() would remove from the model's input
  // To be put into the draft: a refused message goes in front, the text of files behind.
  std::string returned_text, attached_text;
  uint64_t version = 0;  // grows with every change of messages
};

enum class HeadMapMode { policy, kept_share, recovery, live_bytes, importance };
inline constexpr int n_head_map_modes = 5;

/// What the user has set or picked. It lives across frames; its settings are saved to disk.
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
  std::string draft;  // the message being typed in draft_chat
  int64_t draft_chat = 0;
  std::map<int64_t, std::string> drafts;  // of the other chats; saved to disk
  int32_t active_head() const {
    return hovered_head >= 0 ? hovered_head : pinned_head;
  }
};

}  // namespace headroom
