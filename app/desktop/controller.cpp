// A person's actions ─► the open conversation, banners and recordings. The other parts of the Controller:
// controller_store.cpp keeps the chats on disk, controller_versions.cpp changes between versions of an answer, and
// controller_engine.cpp takes in what the engine says.
#include "app/desktop/controller.h"

#include <algorithm>
#include <ctime>
#include <filesystem>

#include "app/format.h"
#include "engine/base/error.h"
#include "engine/base/platform/private_file.h"
#include "engine/run/prompt.h"
#include "engine/telemetry/mirror_events.h"

namespace headroom {
namespace {

constexpr size_t max_banners = 12, max_banner_bytes = 2000;
constexpr int piece_ms = 200;  // of an answer: at most so much of it is lost with this process

}  // namespace

Controller::Controller(ControllerOptions options) : options_(std::move(options)), template_path_(options_.model_path) {
  open_store();
  look_for_default_model();
  start_engine();
  refresh();
}

Controller::~Controller() {
  close();
}

void Controller::close() {
  if (is_closed_) return;
  is_closed_ = true;
  if (turn_) break_off_turn("stopped: the window was closed", MessageState::stopped);
  store_messages("save the chat");
  stop_recording();
  engine_.reset();
  with_store("remove the deleted chats", [&] { store_->purge_deleted(); });
  store_.reset();
  refresh();
}

bool Controller::poll() {
  if (engine_) {
    // An event that cannot be used ends its engine; what came behind it is not the new engine's.
    for (const ReceivedEvent& event : engine_->take())
      if (!take_in(event)) break;
  }
  if (engine_) {
    const std::string how = engine_->how_it_ended();
    if (!how.empty()) engine_ended(how);
  }
  append_what_arrived(piece_ms);
  ask_for_count();
  begin_waiting_work();
  refresh();
  const bool changed = view_.version != reported_view_ || mirror_.version() != reported_mirror_;
  reported_view_ = view_.version;
  reported_mirror_ = mirror_.version();
  return changed;
}

int Controller::engine_process_id() const {
  return engine_ ? engine_->process_id() : 0;
}

// --- the open conversation

void Controller::show_messages(int64_t chat) {
  view_.open_chat = chat;
  view_.is_overfull = false;
  messages_.clear();
  if (chat != 0 && store_) {
    try {
      messages_ = read_messages(chat);
    } catch (const Error& error) {
      add_banner(Banner::Kind::failure, std::string("Could not read the chat: ") + error.what());
    }
  }
  show_messages();
}

/// As they are now.
void Controller::show_messages() {
  view_.messages.clear();
  view_.input_history.clear();
  for (size_t i = 0; i < messages_.size(); ++i) {
    view_.messages.push_back(shown(messages_[i], i));
    if (messages_[i].role == "user") view_.input_history.push_back(messages_[i].content);
  }
  join_with_mirror();
  conversation_changed();
}

TranscriptMessage Controller::shown(const Message& message, size_t index) const {
  return {.id = message.id != 0 ? message.id : -1 - static_cast<int64_t>(index),
          .role = message.role,
          .content = message.content,
          .is_streaming = false,
          .note = message.note,
          .numbers = message.numbers,
          .mirror_index = -1,
          .is_dropped = message.is_dropped,
          .version = message.version(),
          .n_versions = message.n_versions()};
}

/// Compares contents: called when messages begin, end or change places, not with every token.
void Controller::join_with_mirror() {
  const std::vector<MirrorMessage>& known = mirror_.messages();
  // A system prompt is in the engine's conversation, not among the chat's messages.
  const size_t first = !known.empty() && known[0].role == "system" ? 1 : 0;
  size_t index = first;
  bool all_equal = true;
  for (size_t i = 0; i < view_.messages.size();) {
    TranscriptMessage& message = view_.messages[i];
    message.mirror_index = -1;
    size_t end = i + 1;
    // Messages without an answer go to the engine as one, see conversation().
    std::string joined = message.role == "user" ? message.content : "";
    for (; message.role == "user" && !message.is_dropped && end < view_.messages.size() &&
           view_.messages[end].role == "user";
         ++end) {
      view_.messages[end].mirror_index = -1;
      joined += message_joint + view_.messages[end].content;
    }
    i = end;
    if (message.is_dropped) continue;
    all_equal = all_equal && index < known.size() && known[index].role == message.role &&
                (message.is_streaming || known[index].content == (joined.empty() ? message.content : joined));
    if (all_equal && (message.role != "user" || joined.size() == message.content.size()))
      message.mirror_index = static_cast<int32_t>(index);
    ++index;
  }
  find_droppable();
  ++view_.version;
}

/// What was counted was of another conversation.
void Controller::conversation_changed() {
  view_.prompt_count.reset();
  refused_reading_.reset();
  ++count_id_;
  count_is_asked_ = false;
  find_droppable();
}

/// How many of the oldest turns to drop so that half of what the draft leaves of the context is free: the question
/// should not come back with every turn. Messages that the engine has not read are estimated by their bytes.
void Controller::find_droppable() {
  constexpr size_t bytes_per_token = 4, template_tokens = 6;
  const size_t n = view_.messages.size();
  std::vector<size_t> sizes(n, 0);
  size_t total = 0, begin = 0;
  while (begin < n && view_.messages[begin].is_dropped) ++begin;
  for (size_t i = begin; i < n; ++i) {
    const TranscriptMessage& message = view_.messages[i];
    sizes[i] = message.content.size() / bytes_per_token + template_tokens;
    if (message.mirror_index >= 0) {
      const MirrorMessage& read = mirror_.messages()[static_cast<size_t>(message.mirror_index)];
      if (read.token_begin >= 0 && read.token_end > read.token_begin)
        sizes[i] = static_cast<size_t>(read.token_end - read.token_begin) + template_tokens;
    }
    total += sizes[i];
  }
  drop_end_ = begin;
  view_.n_droppable_turns = 0;
  if (!mirror_.model()) return;
  const size_t n_ctx = static_cast<size_t>(mirror_.model()->n_ctx);
  size_t draft = 0;
  bool is_needed = view_.is_overfull;
  if (view_.prompt_count && view_.prompt_count->n_tokens > 0) {
    const size_t counted = static_cast<size_t>(view_.prompt_count->n_tokens);
    draft = counted - std::min(counted, mirror_.tokens().empty() ? total : mirror_.tokens().size());
    // No dropping makes room for a draft that is too long by itself.
    if (draft >= n_ctx)
      draft = 0;
    else
      is_needed = is_needed || counted >= n_ctx;
  }
  const size_t most = (n_ctx - std::min(n_ctx, draft)) / 2;
  while (total > most || (is_needed && view_.n_droppable_turns == 0)) {
    // A turn: the messages of a user, and what was answered. One without an answer stays.
    size_t end = drop_end_, dropped = 0;
    while (end < n && view_.messages[end].role == "user") ++end;
    const size_t first_answer = end;
    while (end < n && view_.messages[end].role != "user") ++end;
    if (end == first_answer) break;
    for (size_t i = drop_end_; i < end; ++i) dropped += sizes[i];
    total -= std::min(total, dropped);
    drop_end_ = end;
    ++view_.n_droppable_turns;
  }
}

// --- banners, and what can be done now

void Controller::add_banner(Banner::Kind kind, const std::string& text, bool offers_restart, bool offers_undo) {
  // The same trouble again replaces its banner.
  const std::string bounded = shortened(text, max_banner_bytes);
  std::erase_if(view_.banners, [&](const Banner& banner) { return banner.text == bounded; });
  view_.banners.push_back({kind, bounded, offers_restart, offers_undo});
  if (view_.banners.size() > max_banners) {
    // The oldest goes, but not one with a button that is nowhere else.
    const auto oldest = std::find_if(view_.banners.begin(), view_.banners.end(), [](const Banner& banner) {
      return !banner.offers_restart && !banner.offers_undo;
    });
    view_.banners.erase(oldest == view_.banners.end() ? view_.banners.begin() : oldest);
  }
  ++view_.version;
}

void Controller::remove_banner(const std::string& text) {
  if (std::erase_if(view_.banners, [&](const Banner& banner) { return banner.text == text; }) > 0) ++view_.version;
}

bool Controller::is_busy() const {
  return turn_ || !unfinished_turns_.empty() || clear_is_unanswered_ || mirror_.turn();
}

void Controller::refresh() {
  const bool busy = is_busy();
  std::string why;
  if (view_.is_read_only)
    why = "Another window has these chats open; here they can only be read.";
  else if (!engine_)
    why = "The engine is not running.";
  else if (is_loading_ || load_is_due_)
    why = "The model is being opened.";
  else if (!is_loaded_)
    why = "No model is open.";
  else if (busy)
    why = turn_ && !turn_->only_reads ? "An answer is being written." : "The engine is busy with the conversation.";
  if (busy == view_.is_busy && (engine_ != nullptr) == view_.engine_is_running && why == view_.cannot_send_why &&
      why.empty() == view_.can_send)
    return;
  view_.is_busy = busy;
  view_.engine_is_running = engine_ != nullptr;
  view_.can_send = why.empty();
  view_.cannot_send_why = std::move(why);
  ++view_.version;
}

// --- actions: chat

bool Controller::send(const std::string& text) {
  refresh();
  if (!view_.can_send || text.find_first_not_of(" \t\r\n") == std::string::npos) return false;
  try {
    check_prompt_text(text, "the message");
  } catch (const Error& error) {
    add_banner(Banner::Kind::warning, error.what());
    return false;
  }
  Message& message = messages_.emplace_back();
  message.role = "user";
  message.content = text;
  // On disk before it is sent. Where it cannot be saved the chat goes on unsaved, and a banner says so.
  store_messages("save the message");
  view_.messages.push_back(shown(messages_.back(), messages_.size() - 1));
  view_.input_history.push_back(text);
  n_regenerated_ = 0;
  show_chats();
  if (begin_turn(options_.max_tokens))
    turn_->is_new_message = true;
  else
    return_message();  // a banner says why
  conversation_changed();
  refresh();
  return true;
}

void Controller::regenerate() {
  refresh();
  if (!view_.can_send || messages_.empty()) return;
  // Of each version the first is drawn with the seed itself, the second with the next, also after a start.
  n_regenerated_ = std::max(n_regenerated_ + 1, static_cast<uint64_t>(messages_.back().n_versions()));
  // The old answer steps aside when the new one's first token is there.
  begin_turn(options_.max_tokens, messages_.back().role == "assistant");
  refresh();
}

/// The last message leaves the chat, here and on disk, and becomes the draft again.
void Controller::return_message() {
  const Message message = messages_.back();
  if (message.id != 0)
    with_store("take the message back", [&] { store_->remove_messages_from(view_.open_chat, message.id); });
  messages_.pop_back();
  view_.messages.pop_back();
  if (!view_.input_history.empty()) view_.input_history.pop_back();
  view_.returned_text += (view_.returned_text.empty() ? "" : "\n\n") + message.content;
  // A chat that never had an answer was made by this message.
  if (messages_.empty() && view_.open_chat != 0) {
    const int64_t chat = view_.open_chat;
    view_.open_chat = 0;
    with_store("remove the empty chat", [&] { store_->delete_chat(chat); });
  }
  show_chats();
  join_with_mirror();
}

void Controller::take_back_message() {
  refresh();
  if (!view_.can_send || messages_.empty() || messages_.back().role != "user") return;
  return_message();
  conversation_changed();
  // What the engine read of it goes with the next turn.
  clear_is_due_ = messages_.empty();
  begin_waiting_work();
  refresh();
}

void Controller::drop_oldest_turns() {
  refresh();
  if (!view_.can_send || view_.n_droppable_turns == 0) return;
  for (size_t i = 0; i < drop_end_; ++i) messages_[i].is_dropped = view_.messages[i].is_dropped = true;
  if (const int64_t last = messages_[drop_end_ - 1].id; last != 0)
    with_store("save what was dropped", [&] { store_->drop_through(view_.open_chat, last); });
  view_.is_overfull = false;
  clear_is_due_ = drop_end_ == messages_.size();
  read_is_due_ = !clear_is_due_;
  join_with_mirror();
  conversation_changed();
  begin_waiting_work();
  refresh();
}

void Controller::count_draft(const std::string& draft) {
  if (draft_to_count_ == draft) return;
  draft_to_count_ = draft;
  draft_since_ = Clock::now();
}

void Controller::take_for_draft() {
  view_.returned_text.clear();
  view_.attached_text.clear();
  ++view_.version;
}

void Controller::new_chat() {
  open_chat(0);
}

void Controller::open_chat(int64_t chat) {
  if (chat != 0) {
    const auto listed = [&](const ChatEntry& entry) { return entry.id == chat; };
    if (chat == view_.open_chat || std::none_of(view_.chats.begin(), view_.chats.end(), listed)) return;
  }
  ++view_.n_opened;
  leave_turn("stopped: another chat was opened");
  store_messages("save the chat");
  clear_is_due_ = is_loaded_;
  read_is_due_ = false;
  fit_is_due_ = chat != 0;
  n_regenerated_ = 0;
  show_messages(chat);
  begin_waiting_work();
  refresh();
}

// --- actions: recording, settings, program

void Controller::start_recording() {
  if (recording_ || !mirror_.is_open()) return;
  const std::time_t now = std::time(nullptr);
  char stamp[32];
  std::tm local{};
  localtime_r(&now, &local);
  std::strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &local);
  try {
    own_private_folder(options_.recordings_folder);
    const std::string base = options_.recordings_folder + "/headroom-" + stamp;
    std::string path = base + ".hrtrace";
    for (int n = 2; std::filesystem::exists(path); ++n) path = format("%s-%d.hrtrace", base.c_str(), n);
    recording_ = std::make_unique<TraceWriter>(path);
    view_.recording_path = path;
    view_.is_recording = true;
    recording_sequence_ = 0;
    for (stream::EventT& event : describe(mirror_)) record(event);
  } catch (const std::exception& error) {  // filesystem_error too
    add_banner(Banner::Kind::failure, std::string("Could not record: ") + error.what());
  }
  ++view_.version;
}

/// Adds an event under the recording's own numbering. A refusal ends the recording, and nothing else.
void Controller::record(stream::EventT& event) {
  if (!recording_) return;
  event.sequence = recording_sequence_++;
  try {
    const std::vector<std::byte> packed = pack(event);
    const ReceivedEvent whole({packed.begin() + sizeof(uint32_t), packed.end()});
    recording_->write(*whole, whole.bytes());
  } catch (const Error& error) {
    recording_.reset();
    view_.is_recording = false;
    add_banner(Banner::Kind::failure, std::string("The recording ended: ") + error.what());
  }
}

void Controller::stop_recording() {
  if (!recording_) return;
  try {
    recording_->close();
    add_banner(Banner::Kind::information, "The recording is in " + view_.recording_path);
  } catch (const Error& error) {
    add_banner(Banner::Kind::failure, std::string("The recording could not be closed: ") + error.what());
  }
  recording_.reset();
  view_.is_recording = false;
  ++view_.version;
}

void Controller::set_clipboard(const std::string& text) {
  if (on_set_clipboard) on_set_clipboard(text);
}

void Controller::dismiss_banner() {
  if (view_.banners.empty()) return;
  view_.banners.erase(view_.banners.begin());
  ++view_.version;
}

void Controller::settings_changed() {
  if (on_settings_changed) on_settings_changed();
}

void Controller::quit() {
  wants_to_quit_ = true;
}

}  // namespace headroom
