// The engine's life and what it says ─► turns, answers and banners. A part of the Controller; a person's actions on
// the chats are in controller.cpp.
#include <algorithm>
#include <filesystem>

#include "app/desktop/controller.h"
#include "app/desktop/numbers_line.h"
#include "app/desktop/opened_file.h"
#include "app/format.h"
#include "engine/base/error.h"
#include "engine/run/prompt.h"

namespace headroom {
namespace {

constexpr size_t max_failures_a_minute = 3;
constexpr int count_after_ms = 150;  // of a draft that stands still
constexpr int max_file_banners = 3;

std::string model_name(const LoadedModel& model) {
  return model.name.empty() ? model.path : model.name;
}

}  // namespace

/// False where there is no engine or the command is too long to be sent, which a banner then says.
template <typename Body>
bool Controller::tell(Body body) {
  if (!engine_) return false;
  stream::CommandT command;
  command.body.Set(std::move(body));
  try {
    engine_->send(command);
    return true;
  } catch (const Error& error) {
    add_banner(Banner::Kind::failure, std::string("Could not send to the engine: ") + error.what());
    return false;
  }
}

// --- start and end

void Controller::start_engine() {
  is_loaded_ = is_loading_ = engine_counts_ = false;
  conversation_changed();
  mirror_.stream_restarted();
  try {
    engine_ = std::make_unique<EngineLink>(options_.engine_command, options_.wake);
  } catch (const Error& error) {
    engine_ended(error.what());
    return;
  }
  load_is_due_ = !options_.model_path.empty();
  begin_waiting_work();
}

void Controller::engine_ended(const std::string& how) {
  engine_.reset();
  is_loaded_ = is_loading_ = false;
  load_is_due_ = clear_is_due_ = config_is_due_ = read_is_due_ = clear_is_unanswered_ = false;
  unfinished_turns_.clear();
  if (turn_) break_off_turn("cut off: " + how, MessageState::failed);
  stop_recording();

  const Clock::time_point now = Clock::now();
  failures_.push_back(now);
  while (now - failures_.front() > std::chrono::minutes(1)) failures_.pop_front();
  remove_banner(engine_banner_);
  if (failures_.size() < max_failures_a_minute) {
    engine_banner_ = "The engine stopped (" + how + ") and was started again. It prefills the conversation again.";
    add_banner(Banner::Kind::warning, engine_banner_);
    start_engine();
    return;
  }
  engine_banner_ = format(
      "The engine ended %zu times within a minute (%s). Try a smaller context (-c), another model "
      "or another backend, then start it again.",
      failures_.size(), how.c_str());
  add_banner(Banner::Kind::failure, engine_banner_, true);
  mirror_.stream_restarted();
}

void Controller::restart_engine() {
  leave_turn("stopped: the engine was started again");
  failures_.clear();
  remove_banner(engine_banner_);
  stop_recording();
  engine_.reset();
  unfinished_turns_.clear();
  clear_is_due_ = config_is_due_ = clear_is_unanswered_ = false;
  start_engine();
  refresh();
}

// --- actions: model and policy

/// An answer that is being written goes on until the engine has found the file to be good.
void Controller::open_model(const std::string& path) {
  if (template_path_.empty()) template_path_ = path;
  options_.model_path = path;
  // A table of importance is of one model; the engine looks for the other one's.
  if (options_.config && options_.config->importance == ImportanceKind::calibrated) {
    options_.config->head_importance.clear();
    options_.config->beta = 0;
  }
  if (!engine_) {
    restart_engine();
    return;
  }
  load_is_due_ = true;
  cancel_load();
  begin_waiting_work();
  refresh();
}

void Controller::look_for_default_model() {
  std::error_code ignored;
  view_.default_model.path = options_.default_model_path;
  view_.default_model.is_there =
      !options_.default_model_path.empty() && std::filesystem::exists(options_.default_model_path, ignored);
  ++view_.version;
}

void Controller::open_default_model() {
  look_for_default_model();
  if (view_.default_model.is_there)
    open_model(view_.default_model.path);
  else
    add_banner(Banner::Kind::information, "The default model is not at " + view_.default_model.path + " yet.");
}

void Controller::open_files(const std::vector<std::string>& paths) {
  std::string model, recording;
  std::vector<std::string> problems;
  const auto take_one = [&](std::string& to, const std::string& path, const char* what) {
    if (to.empty())
      to = path;
    else
      problems.push_back(std::string("One ") + what +
                         " is opened at a time: " + std::filesystem::path(to).filename().string() + ". Open " +
                         std::filesystem::path(path).filename().string() + " by itself.");
  };
  for (const std::string& path : paths) {
    std::error_code ignored;
    // A path that is typed for an engine elsewhere is one there.
    if (!options_.engine_command.empty() && !std::filesystem::exists(path, ignored)) {
      take_one(model, path, "model");
      continue;
    }
    OpenedFile file = look_at_file(path);
    switch (file.kind) {
      case FileKind::model:
        take_one(model, path, "model");
        break;
      case FileKind::recording:
        take_one(recording, path, "recording");
        break;
      case FileKind::text:
        view_.attached_text += (view_.attached_text.empty() ? "" : "\n") + file.text;
        break;
      case FileKind::other:
        problems.push_back(file.why);
        break;
    }
  }
  if (std::ssize(problems) > max_file_banners) {
    problems.resize(max_file_banners);
    problems.push_back(format("Of %zu files these and others could not be opened.", paths.size()));
  }
  for (const std::string& problem : problems) add_banner(Banner::Kind::warning, problem);
  if (!model.empty()) open_model(model);
  if (!recording.empty() && on_open_recording) on_open_recording(recording);
  ++view_.version;
}

void Controller::choose_model() {
  if (on_choose_model) on_choose_model();
}

void Controller::cancel_load() {
  if (is_loading_) tell(stream::CancelLoadT{});
}

void Controller::apply_config(const CacheConfig& config) {
  options_.config = config;
  config_is_due_ = engine_ && !load_is_due_;
  begin_waiting_work();
  refresh();
}

/// What was asked for while the engine was busy.
void Controller::begin_waiting_work() {
  if (!engine_ || is_loading_) return;
  if (load_is_due_) {
    load_is_due_ = is_loaded_ = was_closed_for_another_ = false;
    is_loading_ = true;
    stream::LoadT load;
    load.model_path = options_.model_path;
    load.backend = options_.backend;
    load.n_threads = options_.n_threads;
    load.n_ctx = options_.n_ctx;
    if (options_.config) load.config = std::make_unique<stream::CacheConfigT>(to_stream(*options_.config));
    if (options_.model_path == template_path_) {
      load.chat_template = options_.chat_template.source;
      load.chat_template_name = options_.chat_template.name;
    }
    tell(std::move(load));
    return;
  }
  if (!is_loaded_ || is_busy()) return;
  if (clear_is_due_) {
    clear_is_due_ = false;
    clear_is_unanswered_ = tell(stream::ClearT{});
  } else if (config_is_due_) {
    config_is_due_ = false;
    stream::SetConfigT set;
    set.turn_id = next_turn_id_++;
    set.config = std::make_unique<stream::CacheConfigT>(to_stream(*options_.config));
    // An empty cache only takes note.
    if (mirror_.n_cached() > 0) unfinished_turns_.insert(set.turn_id);
    tell(std::move(set));
  } else if (read_is_due_) {
    read_is_due_ = false;
    begin_turn(0);
  } else if (fit_is_due_) {
    fit_is_due_ = false;
    ask_whether_it_fits("");
  }
}

// --- turns

void Controller::stop() {
  if (!view_.is_busy) return;
  if (turn_) turn_->was_stopped = true;
  tell(stream::StopT{});
}

/// The first n messages of the chat as the engine reads them, then `next` of the user. Messages that got no answer are
/// one with what follows: many templates refuse two messages of one role in a row.
std::vector<std::unique_ptr<stream::MessageT>> Controller::conversation(size_t n, const std::string& next) const {
  std::vector<std::unique_ptr<stream::MessageT>> all;
  const auto add = [&](const std::string& role, const std::string& content, const std::vector<TokenId>& ids) {
    if (role == "user" && !all.empty() && all.back()->role == "user") {
      all.back()->content += message_joint + content;
      return;
    }
    all.push_back(std::make_unique<stream::MessageT>());
    all.back()->role = role;
    all.back()->content = content;
    all.back()->ids = ids;
  };
  if (!options_.system_prompt.empty()) add("system", options_.system_prompt, {});
  for (size_t i = 0; i < n; ++i)
    if (!messages_[i].is_dropped) add(messages_[i].role, messages_[i].content, messages_[i].ids);
  if (!next.empty()) add("user", next, {});
  return all;
}

/// Asks for a turn over the chat's messages up to the last one of the user. max_tokens 0: they are only read. False
/// where there is nothing to read, or the engine could not be told.
bool Controller::begin_turn(int32_t max_tokens, bool replaces_answer) {
  size_t n = messages_.size();
  while (n > 0 && messages_[n - 1].role != "user") --n;
  if (n == 0 || messages_[n - 1].is_dropped) return false;
  stream::PromptT prompt;
  prompt.turn_id = next_turn_id_++;
  prompt.messages = conversation(n);
  const SamplerOptions& sampler = options_.sampler;
  prompt.sampler = std::make_unique<stream::SamplerT>();
  prompt.sampler->temperature = sampler.temperature;
  prompt.sampler->top_k = sampler.top_k;
  prompt.sampler->top_p = sampler.top_p;
  prompt.sampler->min_p = sampler.min_p;
  prompt.sampler->repeat_penalty = sampler.repeat_penalty;
  prompt.sampler->seed = sampler.seed + n_regenerated_;  // or another answer would be the same one
  prompt.max_tokens = max_tokens;
  prompt.stop_strings = options_.stop_strings;
  const Turn turn{.id = prompt.turn_id, .only_reads = max_tokens == 0, .replaces_answer = replaces_answer};
  if (!tell(std::move(prompt))) return false;
  turn_ = turn;
  unfinished_turns_.insert(turn.id);
  return true;
}

// --- counting

/// Once the draft stands still and the engine is idle.
void Controller::ask_for_count() {
  if (!draft_to_count_ || !engine_counts_ || count_is_asked_ || !view_.can_send) return;
  if (Clock::now() - draft_since_ < std::chrono::milliseconds(count_after_ms)) return;
  if (view_.prompt_count && view_.prompt_count->draft == *draft_to_count_) return;
  try {
    check_prompt_text(*draft_to_count_, "the message");
  } catch (const Error& error) {
    view_.prompt_count = PromptCount{.draft = *draft_to_count_, .n_tokens = -1, .why_not = error.what()};
    ++view_.version;
    return;
  }
  asked_draft_ = *draft_to_count_;
  stream::CountT count;
  count.id = ++count_id_;
  count.messages = conversation(messages_.size(), asked_draft_);
  count_is_asked_ = tell(std::move(count));
}

/// Whether the open chat is too long, which the drawing then says with a way out. refusal: why the engine did not read
/// it, for a banner where that is not the reason; empty: it was not asked to.
bool Controller::ask_whether_it_fits(const std::string& refusal) {
  size_t n = messages_.size();
  while (n > 0 && messages_[n - 1].role != "user") --n;
  if (n == 0 || !engine_counts_) return false;
  stream::CountT count;
  count.id = ++count_id_;
  count.messages = conversation(n);
  count_is_asked_ = tell(std::move(count));
  if (count_is_asked_) refused_reading_ = refusal;
  return count_is_asked_;
}

void Controller::counted(const stream::Counted& event) {
  if (!count_is_asked_ || event.id() != count_id_) return;
  count_is_asked_ = false;
  if (refused_reading_) {
    view_.is_overfull = mirror_.model() != nullptr && event.n_tokens() >= mirror_.model()->n_ctx;
    if (!view_.is_overfull && !refused_reading_->empty()) add_banner(Banner::Kind::warning, *refused_reading_);
    refused_reading_.reset();
    find_droppable();
    ++view_.version;
    return;
  }
  if (event.n_tokens() < 0 && shown_sentence(event.message()).empty()) return;  // broken off: it is asked again
  view_.prompt_count =
      PromptCount{.draft = asked_draft_, .n_tokens = event.n_tokens(), .why_not = shown_sentence(event.message())};
  find_droppable();
  ++view_.version;
}

/// What is on screen no longer belongs to the running turn; whatever the engine still says of it is ignored.
void Controller::leave_turn(const std::string& note) {
  if (!turn_) return;
  tell(stream::StopT{});
  break_off_turn(note, MessageState::stopped);
}

/// The answer stays as far as it was written.
void Controller::break_off_turn(const std::string& note, MessageState state) {
  const Turn turn = *turn_;
  turn_.reset();
  if (turn.has_answer)
    finish_answer(state, note, "");
  else if (!turn.only_reads)
    note_without_answer(turn, note);
}

/// A turn that came to no answer. An old answer that it would have replaced is still there.
void Controller::note_without_answer(const Turn& turn, const std::string& note) {
  if (turn.replaces_answer)
    add_banner(Banner::Kind::warning, "There is no other answer: " + note);
  else
    view_.messages.back().note = note;
  ++view_.version;
}

/// False where the event ended the engine.
bool Controller::take_in(const ReceivedEvent& event) {
  try {
    mirror_.apply(*event);
  } catch (const Error& error) {
    engine_ended(std::string("it sent something that cannot be used: ") + error.what());
    return false;
  }
  if (recording_ && event->body_type() != stream::EventBody::Counted) {
    const std::unique_ptr<stream::EventT> copy(event->UnPack());
    record(*copy);
  }
  switch (event->body_type()) {
    case stream::EventBody::Hello:
      engine_counts_ = event->body_as_Hello()->counts();
      break;
    case stream::EventBody::Counted:
      counted(*event->body_as_Counted());
      break;
    case stream::EventBody::LoadProgress:
      is_loading_ = true;
      break;
    case stream::EventBody::Loaded:
      is_loading_ = false;
      is_loaded_ = true;
      clear_is_due_ = false;
      if (std::exchange(was_closed_for_another_, false))
        add_banner(Banner::Kind::information, model_name(*mirror_.model()) + " is open again.");
      loaded_path_ =
          event->body_as_Loaded()->model_path() == nullptr ? "" : event->body_as_Loaded()->model_path()->str();
      // The one before, where another was refused; it is the one that a new start of the engine opens.
      if (!load_is_due_ && !loaded_path_.empty()) options_.model_path = loaded_path_;
      read_is_due_ = !messages_.empty();
      opened_config_ = options_.config;
      view_.is_overfull = false;
      conversation_changed();
      if (!mirror_.model()->template_note.empty())
        add_banner(mirror_.model()->has_template ? Banner::Kind::information : Banner::Kind::warning,
                   mirror_.model()->template_note);
      // An engine elsewhere may be of a version that does not know of it.
      if (options_.chat_template.is_given() && loaded_path_ == template_path_ && mirror_.model()->template_name.empty())
        add_banner(Banner::Kind::failure, "The engine did not take the chat template " + options_.chat_template.name +
                                              "; it may be of an older version.");
      break;
    case stream::EventBody::LoadFailed:
      load_failed(*event->body_as_LoadFailed());
      break;
    case stream::EventBody::TurnStarted:
      if (turn_ && turn_->id == event->body_as_TurnStarted()->turn_id()) turn_->is_started = true;
      join_with_mirror();
      break;
    case stream::EventBody::CacheRebuilt:
      if (!event->body_as_CacheRebuilt()->forgets()) break;
      clear_is_unanswered_ = false;
      join_with_mirror();
      break;
    case stream::EventBody::Token:
      token_drawn(*event->body_as_Token());
      break;
    case stream::EventBody::TurnFinished:
      turn_finished(*event->body_as_TurnFinished());
      break;
    case stream::EventBody::Failure:
      add_banner(Banner::Kind::failure, shown_sentence(event->body_as_Failure()->message()));
      break;
    default:
      break;
  }
  return true;
}

void Controller::load_failed(const stream::LoadFailed& event) {
  is_loading_ = false;
  is_loaded_ = event.keeps_model();
  if (load_is_due_) return;  // it made way for another model
  if (!loaded_path_.empty()) {
    options_.model_path = loaded_path_;
    options_.config = opened_config_;
  }
  look_for_default_model();
  was_closed_for_another_ = !event.keeps_model();
  std::string still_open;
  if (event.keeps_model()) still_open = " " + model_name(*mirror_.model()) + " is still open.";
  if (event.cancelled())
    add_banner(Banner::Kind::information, "Opening the model was cancelled." + still_open);
  else
    add_banner(Banner::Kind::failure, "The model was not opened: " + shown_sentence(event.message()) +
                                          (still_open.empty() ? "" : "." + still_open));
}

void Controller::token_drawn(const stream::Token& event) {
  if (turn_ && turn_->id == event.turn_id()) add_to_answer(shown_text(event.text()), {event.id()});
}

void Controller::turn_finished(const stream::TurnFinished& event) {
  unfinished_turns_.erase(event.turn_id());
  const std::string reason = shown_name(event.stop_reason());
  const std::string message = shown_sentence(event.message());
  if (!turn_ || turn_->id != event.turn_id()) return join_with_mirror();
  if (!turn_->only_reads) {
    // The last part of the answer may arrive only here: it was held back for a stop string, or sent without Token
    // events.
    const std::string text = shown_text(event.text());
    std::vector<TokenId> ids;
    if (event.ids() != nullptr) ids.assign(event.ids()->begin(), event.ids()->end());
    const size_t n_text = turn_->has_answer ? messages_.back().content.size() : 0;
    const size_t n_ids = turn_->has_answer ? messages_.back().ids.size() : 0;
    if (text.size() > n_text || ids.size() > n_ids)
      add_to_answer(text.substr(std::min(n_text, text.size())),
                    {ids.begin() + static_cast<std::ptrdiff_t>(std::min(n_ids, ids.size())), ids.end()});
  }
  const Turn turn = *turn_;
  turn_.reset();
  const bool is_refused = reason == "error" && !turn.is_started;
  std::string sentence = message;
  if (turn.has_answer) {
    const bool makes_way = reason == "cancelled" && is_loading_ && !turn.was_stopped;
    const bool is_failure = reason == "error" || reason == "out_of_memory";
    finish_answer(reason == "cancelled" ? MessageState::stopped
                  : is_failure          ? MessageState::failed
                                        : MessageState::complete,
                  makes_way ? "stopped: another model was opened" : stop_note(reason, message),
                  mirror_.last_turn() ? numbers_line(*mirror_.last_turn()) : "");
  } else if (is_refused && turn.is_new_message) {
    return_message();
    sentence = "The message was not sent: " + message + ". Its text is in the message field again.";
  } else if (!turn.only_reads) {
    note_without_answer(turn, reason == "cancelled" ? "stopped before an answer began"
                              : message.empty()     ? "the model ended its answer at once"
                                                    : "not answered: " + message);
  }
  view_.is_overfull = false;
  join_with_mirror();
  conversation_changed();
  if (turn.only_reads && is_refused && ask_whether_it_fits(message)) return;
  if (!sentence.empty()) add_banner(Banner::Kind::warning, sentence);
}

// --- answers

void Controller::begin_answer() {
  Message answer;
  answer.role = "assistant";
  answer.state = MessageState::streaming;
  if (turn_->replaces_answer) {
    store_messages("save the answer");  // where it was refused before, it is tried once more
    Message before = std::move(messages_.back());
    messages_.pop_back();
    view_.messages.pop_back();
    answer.versions = std::move(before.versions);
    answer.unsaved_versions = std::move(before.unsaved_versions);
    if (before.id == 0) {
      if (before.unsaved_place < 0) answer.unsaved_versions.emplace_back();
      const size_t place =
          before.unsaved_place < 0 ? answer.unsaved_versions.size() - 1 : static_cast<size_t>(before.unsaved_place);
      answer.unsaved_versions[place].push_back(std::move(before));
    }
  }
  answer.unsaved_place = static_cast<int32_t>(answer.unsaved_versions.size());
  answer.unsaved_versions.emplace_back();
  view_.messages.back().note.clear();  // "not answered", of an earlier try
  messages_.push_back(std::move(answer));
  store_messages("save the answer");
  appended_at_ = Clock::now();
  turn_->has_answer = true;
  view_.messages.push_back(shown(messages_.back(), messages_.size() - 1));
  view_.messages.back().is_streaming = true;
  join_with_mirror();
}

void Controller::add_to_answer(const std::string& text, const std::vector<TokenId>& ids) {
  if (!turn_->has_answer) begin_answer();
  Message& answer = messages_.back();
  answer.content += text;
  answer.ids.insert(answer.ids.end(), ids.begin(), ids.end());
  view_.messages.back().content += text;
  arrived_text_ += text;
  arrived_ids_.insert(arrived_ids_.end(), ids.begin(), ids.end());
  ++view_.version;
}

void Controller::finish_answer(MessageState state, const std::string& note, const std::string& numbers) {
  append_what_arrived(0);
  Message& answer = messages_.back();
  answer.state = state;
  answer.note = note;
  answer.numbers = numbers;
  store_messages("save the answer");
  view_.messages.back() = shown(answer, messages_.size() - 1);
  join_with_mirror();
  conversation_changed();
  show_chats();
}

}  // namespace headroom
