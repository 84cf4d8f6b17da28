// Executes commands: opens models and runs turns. See model_thread.h.
#include "engine/serve/model_thread.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <new>

#include "engine/base/error.h"
#include "engine/base/platform/platform.h"
#include "engine/run/calibration_table.h"

namespace headroom {
namespace {

constexpr size_t max_messages = StreamLimits::max_messages;
constexpr size_t max_stop_strings = 64;
constexpr int max_threads = 1024;
constexpr uint64_t all = std::numeric_limits<uint64_t>::max();

struct LoadCancelled {};

/// The string's bytes, unchecked; the caller checks them.
std::string bytes_of(const flatbuffers::String* text) {
  return text == nullptr ? std::string() : text->str();
}

ChatMessage read_message(const stream::Message& message, const std::string& name, int32_t n_vocab) {
  ChatMessage out{.role = bytes_of(message.role()), .content = bytes_of(message.content()), .ids = {}};
  if (out.role != "system" && out.role != "user" && out.role != "assistant")
    throw Error(name + " has the role '" + shown_text(message.role()) + "'; expected system, user or assistant");
  if (!out.content.empty()) {
    std::string text = out.content;
    // A model can generate NUL bytes. Its own answer must not make the conversation invalid.
    if (out.role == "assistant") std::replace(text.begin(), text.end(), '\0', ' ');
    check_prompt_text(text, name);
  }
  if (message.ids() == nullptr) return out;
  if (message.ids()->size() > 0 && out.role != "assistant")
    throw Error(name + " has the role '" + out.role + "' and has token ids; only an answer has them");
  out.ids.assign(message.ids()->begin(), message.ids()->end());
  // For an answer of a model with a larger vocabulary the text is used instead of the ids.
  if (std::any_of(out.ids.begin(), out.ids.end(), [&](TokenId id) { return id < 0 || id >= n_vocab; })) out.ids.clear();
  return out;
}

/// The checked messages of a Prompt or a Count.
template <typename Command>
std::vector<ChatMessage> read_messages(const Command& prompt, int32_t n_vocab) {
  const size_t n_messages = prompt.messages() == nullptr ? 0 : prompt.messages()->size();
  if (n_messages == 0) throw Error("the conversation is empty; at least one message was expected");
  if (n_messages > max_messages)
    throw Error("a conversation of " + std::to_string(n_messages) + " messages; expected at most " +
                std::to_string(max_messages));
  std::vector<ChatMessage> messages;
  size_t n_bytes = 0;
  for (const stream::Message* message : *prompt.messages())
    n_bytes += StreamLimits::message_bytes(bytes_of(message->role()).size(),
                                           message->content() == nullptr ? 0 : message->content()->size(),
                                           message->ids() == nullptr ? 0 : message->ids()->size());
  if (n_bytes > StreamLimits::max_conversation_bytes)
    throw Error("the conversation has " + std::to_string(n_bytes) + " bytes; expected at most " +
                std::to_string(StreamLimits::max_conversation_bytes));
  for (const stream::Message* message : *prompt.messages())
    messages.push_back(read_message(*message, "message " + std::to_string(messages.size() + 1), n_vocab));
  if (messages.back().role != "user")
    throw Error("the last message has the role '" + messages.back().role + "'; expected user");
  return messages;
}

TurnOptions read_options(const stream::Prompt& prompt) {
  TurnOptions options;
  options.max_tokens = prompt.max_tokens();
  if (const stream::Sampler* sampler = prompt.sampler()) {
    options.sampler.temperature = sampler->temperature();
    options.sampler.top_k = sampler->top_k();
    options.sampler.top_p = sampler->top_p();
    options.sampler.min_p = sampler->min_p();
    options.sampler.repeat_penalty = sampler->repeat_penalty();
    options.sampler.seed = sampler->seed();
  }
  if (prompt.stop_strings() != nullptr) {
    if (prompt.stop_strings()->size() > max_stop_strings)
      throw Error(std::to_string(prompt.stop_strings()->size()) + " stop strings; expected at most " +
                  std::to_string(max_stop_strings));
    for (const flatbuffers::String* text : *prompt.stop_strings()) options.stop_strings.push_back(bytes_of(text));
  }
  return options;
}

int64_t n_kv_heads_total(const ModelConfig& config) {
  return int64_t{config.n_layers} * config.n_kv_heads;
}

/// Throws Error if events about this model would exceed the limits of the stream.
void check_stream_carries(const ModelFile& parts) {
  if (n_kv_heads_total(parts.config) > StreamLimits::max_heads)
    throw Error("the model has " + std::to_string(n_kv_heads_total(parts.config)) +
                " KV heads in all layers; expected at most " + std::to_string(StreamLimits::max_heads));
  for (const std::string& token : parts.vocab.tokens)
    if (token.size() > StreamLimits::max_token_bytes)
      throw Error("the vocabulary has a token of " + std::to_string(token.size()) + " bytes; expected at most " +
                  std::to_string(StreamLimits::max_token_bytes));
}

void bound_context(const ModelConfig& config, SessionOptions& options) {
  const int64_t most = StreamLimits::max_cached_tokens(n_kv_heads_total(config));
  if (options.n_ctx > most)
    throw Error("a context of " + std::to_string(options.n_ctx) + " tokens was asked for; expected at most " +
                std::to_string(most) + ", so that the kept sets of all heads fit into one message");
  if (options.n_ctx == 0 && config.n_ctx_train > most)
    options.n_ctx = static_cast<int32_t>(
        std::min<int64_t>(most, context_that_fits(config, available_memory_bytes(), options.cache.cache_type)));
}

/// An observer that ignores everything except the stop flag.
struct StopFlag final : TurnObserver {
  StopQuestion question;
  explicit StopFlag(StopQuestion question_) : question(std::move(question_)) {}
  bool stop_requested() override { return question(); }
};

/// Two threads raise the number of stopped turns; neither lowers what the other one has set.
void raise_to(std::atomic<uint64_t>& number, uint64_t least) {
  uint64_t before = number;
  while (before < least && !number.compare_exchange_weak(before, least)) {
  }
}

/// Describes the exception that is being handled.
stream::LoadFailedT load_failure() {
  stream::LoadFailedT failed;
  try {
    throw;
  } catch (const LoadCancelled&) {
    failed.message = "opening the model was cancelled";
    failed.cancelled = true;
  } catch (const std::bad_alloc&) {
    failed.message = "the system has no memory left to open this model";
  } catch (const std::exception& error) {
    failed.message = error.what();
  }
  return failed;
}

}  // namespace

ModelThread::ModelThread(SendEvent send) : send_(std::move(send)), thread_([this] { run(); }) {}

ModelThread::~ModelThread() {
  stopped_turns_ = all;
  cancelled_loads_ = all;
  {
    const std::lock_guard lock(mutex_);
    is_closing_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

void ModelThread::take(ReceivedCommand command) {
  switch (command->body_type()) {
    case stream::CommandBody::Stop:
      // Stops the running turn, or the next one if none runs yet. Turns received later are not stopped.
      if (finished_turns_ < n_turns_) raise_to(stopped_turns_, finished_turns_ + 1);
      return;
    case stream::CommandBody::CancelLoad:
      cancelled_loads_ = n_loads_;
      return;
    case stream::CommandBody::Load:
      cancelled_loads_ = n_loads_++;  // cancels all loads before this one
      break;
    case stream::CommandBody::Clear:
      raise_to(stopped_turns_, n_turns_);
      break;
    case stream::CommandBody::Prompt:
      if (finished_turns_ < last_prompt_)
        return send_(refused_turn_event(command->body_as_Prompt()->turn_id(),
                                        "another turn is running; stop it or wait for its end"));
      last_prompt_ = ++n_turns_;
      break;
    case stream::CommandBody::SetConfig:
      ++n_turns_;
      break;
    case stream::CommandBody::Count:
      break;
    default:
      return;
  }
  Work work{std::move(command), n_turns_, n_loads_};
  if (const stream::Load* load = work.command->body_as_Load())
    work.look = std::async(std::launch::async, [this, load, turn = work.turn, number = work.load] {
      const auto look = std::make_shared<Look>(look_at(*load, number));
      if (look->failed)
        ++n_refused_loads_;
      else
        raise_to(stopped_turns_, turn);
      return look;
    });
  const std::lock_guard lock(mutex_);
  waiting_.push_back(std::move(work));
  changed_.notify_all();
}

std::optional<ModelThread::Work> ModelThread::next_work() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return is_closing_ || !waiting_.empty(); });
  if (is_closing_) return std::nullopt;
  Work work = std::move(waiting_.front());
  waiting_.pop_front();
  return work;
}

void ModelThread::run() {
  while (const std::optional<Work> work = next_work()) {
    try {
      execute(*work);
    } catch (const std::exception& error) {
      const bool is_memory = dynamic_cast<const std::bad_alloc*>(&error) != nullptr;
      stream::FailureT failure;
      failure.message = is_memory ? "the system has no memory left for this command" : error.what();
      send_(as_event(std::move(failure)));
    }
    finished_turns_ = work->turn;
  }
  close_model();
}

void ModelThread::execute(const Work& work) {
  running_turn_ = work.turn;
  switch (work.command->body_type()) {
    case stream::CommandBody::Load:
      return load(work);
    case stream::CommandBody::Prompt:
      return prompt(*work.command->body_as_Prompt());
    case stream::CommandBody::SetConfig:
      return set_config(*work.command->body_as_SetConfig());
    case stream::CommandBody::Clear:
      if (!events_) throw Error("no model is open, so there is nothing to clear");
      return events_->clear();
    case stream::CommandBody::Count:
      return count(*work.command->body_as_Count());
    default:
      return;
  }
}

// ---------------------------------------------------------------------------------------------------------- the model

void ModelThread::close_model() {
  events_.reset();
  session_.reset();
  opened_ = {};
}

/// Everything that can be checked is checked while the former model is open; if a check fails, that model stays open.
/// Then its session is closed to free memory. If opening the new model still fails, the former one is opened again with
/// an empty cache.
void ModelThread::load(const Work& work) {
  stream::LoadFailedT failed;
  bool keeps_model = events_.has_value();
  Opened former;
  const std::shared_ptr<Look> look = work.look.get();
  if (look->failed) {
    --n_refused_loads_;
    failed = *look->failed;
  } else {
    try {
      Opened next = std::move(look->opened);
      begin_stage("starting the backend", 0.9, work.load);
      next.backend = std::make_unique<RestartableBackend>(next.choice);
      begin_stage("loading the weights into the backend", 0.95, work.load);
      keeps_model = false;
      events_.reset();
      session_.reset();
      former = std::exchange(opened_, std::move(next));
      begin_session();
      if (cancelled_loads_ >= work.load) throw LoadCancelled{};
      return start_events();
    } catch (...) {
      failed = load_failure();
    }
  }
  failed.keeps_model = keeps_model;
  send_(as_event(std::move(failed)));
  if (keeps_model) return;
  close_model();
  if (former.model == nullptr || another_load_waits()) return;
  try {
    opened_ = std::move(former);
    begin_session();
    start_events();
  } catch (const std::exception&) {  // the LoadFailed already said that no model is open
    close_model();
  }
}

bool ModelThread::another_load_waits() {
  const std::lock_guard lock(mutex_);
  return std::any_of(waiting_.begin(), waiting_.end(),
                     [](const Work& work) { return work.command->body_type() == stream::CommandBody::Load; });
}

void ModelThread::tell_progress(const char* stage, double fraction) {
  stream::LoadProgressT progress;
  progress.stage = stage;
  progress.fraction = fraction;
  send_(as_event(std::move(progress)));
}

void ModelThread::begin_stage(const char* stage, double fraction, uint64_t number) {
  if (cancelled_loads_ >= number) throw LoadCancelled{};
  tell_progress(stage, fraction);
}

ModelThread::Look ModelThread::look_at(const stream::Load& command, uint64_t number) {
  Look look;
  try {
    look.opened = open_without_backend(command, number);
  } catch (...) {
    look.failed = load_failure();
  }
  return look;
}

/// Creates everything except the backend and the session. Changes neither the open model nor the running turn.
ModelThread::Opened ModelThread::open_without_backend(const stream::Load& command, uint64_t number) {
  const std::string path = bytes_of(command.model_path());
  if (path.empty() || path.find('\0') != std::string::npos)
    throw Error(path.empty() ? "no model file was named" : "the model's path has a NUL byte; a path was expected");
  if (command.n_threads() < 0 || command.n_threads() > max_threads)
    throw Error(std::to_string(command.n_threads()) + " threads were asked for; expected 0 (physical cores) to " +
                std::to_string(max_threads));
  Opened next;
  std::optional<CacheConfig> config;
  if (command.config() != nullptr) config = from_stream(*command.config());

  next.choice = {.name = bytes_of(command.backend()), .n_threads = command.n_threads()};
  prepare_backend(next.choice);
  begin_stage("opening the file", 0, number);
  GgufFile file = GgufFile::open(path);
  begin_stage("reading the vocabulary and the list of tensors", 0.1, number);
  ModelFile parts = load_model_file(std::move(file));
  check_stream_carries(parts);
  begin_stage("building the tokenizer", 0.5, number);
  next.model = std::make_unique<Model>(std::move(parts), TemplateChoice{.name = bytes_of(command.chat_template_name()),
                                                                        .source = bytes_of(command.chat_template())});
  next.options = {.cache = config ? *config : default_chat_config(*next.model), .n_ctx = command.n_ctx()};
  Session::check(*next.model, next.options);
  bound_context(next.model->config(), next.options);
  if (cancelled_loads_ >= number) throw LoadCancelled{};
  return next;
}

/// Reports refused loads during a turn. They do not end the turn.
void ModelThread::tell_refused_loads() {
  std::vector<std::shared_ptr<Look>> refused;
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(waiting_, [&](const Work& work) {
      const bool is_known =
          work.look.valid() && work.look.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
      if (!is_known || !work.look.get()->failed) return false;
      refused.push_back(work.look.get());
      return true;
    });
  }
  for (const std::shared_ptr<Look>& look : refused) {
    --n_refused_loads_;
    look->failed->keeps_model = true;
    send_(as_event(std::move(*look->failed)));
  }
}

/// The running turn calls this between layers and tokens.
bool ModelThread::stop_requested() {
  if (n_refused_loads_ > 0) tell_refused_loads();
  return stopped_turns_ >= running_turn_;
}

void ModelThread::begin_session() {
  session_.emplace(*opened_.model, opened_.backend->get(), opened_.options);
}

void ModelThread::start_events() {
  events_.emplace(*opened_.model, *session_,
                  [this](stream::EventBodyUnion body) { finish_turn_with(std::move(body)); });
  std::vector<std::pair<std::string, std::string>> skipped;
  for (const DeviceEntry& device : passed_over(opened_.choice, session_->backend_info().name))
    skipped.emplace_back(device.backend, device.skip_reason);
  events_->tell_loaded(skipped);
}

/// Called after a failed turn. If the device failed, the backend is restarted: the client gets a Failure with the
/// reason and a new Loaded with an empty cache.
void ModelThread::recover_if_device_failed(const std::exception& error) {
  const auto* known = dynamic_cast<const Error*>(&error);
  if (known == nullptr || known->kind() != ErrorKind::device) return;
  events_.reset();
  stream::FailureT failure;
  failure.message = opened_.backend->recover(*session_, *known);
  send_(as_event(std::move(failure)));
  start_events();
}

// --------------------------------------------------------------------------------------------------------------- turns

/// Sends an event. A TurnFinished updates finished_turns_ first, because the client can send its next Prompt as soon as
/// it receives the event.
void ModelThread::finish_turn_with(stream::EventBodyUnion body) {
  if (body.type == stream::EventBody::TurnFinished) finished_turns_ = running_turn_;
  send_(std::move(body));
}

void ModelThread::prompt(const stream::Prompt& command) {
  std::vector<ChatMessage> messages;
  TurnOptions options;
  try {
    if (!events_) throw Error("no model is open; a turn needs one");
    messages = read_messages(command, opened_.model->tokenizer().size());
    options = read_options(command);
  } catch (const Error& error) {
    return finish_turn_with(refused_turn_event(command.turn_id(), error.what()));
  }
  try {
    StopFlag stop([this] { return stop_requested(); });
    events_->run_turn(command.turn_id(), messages, options, stop);
  } catch (const std::exception& error) {
    // The TurnFinished has already reported the error.
    recover_if_device_failed(error);
  }
}

void ModelThread::count(const stream::Count& command) {
  stream::CountedT counted;
  counted.id = command.id();
  counted.n_tokens = -1;
  try {
    if (!events_) throw Error("no model is open; a count needs one");
    const std::vector<ChatMessage> messages = read_messages(command, opened_.model->tokenizer().size());
    // Any other command, or the end of the thread, cancels the count.
    const auto stop = [this] {
      const std::lock_guard lock(mutex_);
      return is_closing_ || !waiting_.empty();
    };
    const size_t n_tokens = encode_chat(*opened_.model, messages, stop).ids.size();
    counted.n_tokens = static_cast<int32_t>(std::min<size_t>(n_tokens, std::numeric_limits<int32_t>::max()));
  } catch (const Cancelled&) {
  } catch (const Error& error) {
    counted.message = error.what();
  }
  send_(as_event(std::move(counted)));
}

void ModelThread::set_config(const stream::SetConfig& command) {
  try {
    if (!events_) throw Error("no model is open; a configuration needs one");
    if (command.config() == nullptr) throw Error("the configuration is missing");
    session_->set_cache_config(from_stream(*command.config()));
  } catch (const Error& error) {
    return finish_turn_with(refused_turn_event(command.turn_id(), error.what()));
  }
  try {
    StopFlag stop([this] { return stop_requested(); });
    events_->re_encode(command.turn_id(), stop);
  } catch (const std::exception& error) {
    // The TurnFinished has already reported the error.
    recover_if_device_failed(error);
  }
}

}  // namespace headroom
