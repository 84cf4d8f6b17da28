// Plays a trace. See replay.h.
#include "app/desktop/replay.h"

#include <algorithm>

#include "app/desktop/numbers_line.h"
#include "engine/base/error.h"
#include "engine/telemetry/trace.h"

namespace headroom {
namespace {

constexpr size_t max_checkpoints = 40;
// Limit for all checkpoints together. Larger copies mean fewer checkpoints, so going back takes longer.
constexpr size_t max_checkpoint_bytes = size_t{64} << 20;

}  // namespace

Replay::Replay(const std::string& path) {
  view_.replay = ReplayView{.path = path};
  view_.cannot_send_why = "This is a recording; there is no engine behind it.";
  read(path);
  view_.replay->n_moments = n_moments();
  go_to_end();
}

void Replay::read(const std::string& path) {
  std::string damage;
  {
    TraceReader reader(path);
    try {
      while (const stream::Event* event = reader.next()) {
        const std::span<const std::byte> bytes = reader.bytes();
        ReceivedEvent received(std::vector<std::byte>(bytes.begin(), bytes.end()));
        if (events_.size() >= next_checkpoint_) keep_checkpoint();
        mirror_.apply(*event);
        events_.push_back(std::move(received));
        const stream::EventBody type = event->body_type();
        const bool is_moment = type == stream::EventBody::Step || type == stream::EventBody::CacheRebuilt ||
                               type == stream::EventBody::TurnFinished;
        if (is_moment) moments_.push_back({events_.size(), event->time_ms(), mirror_.n_cached()});
        // A Snapshot follows the change that it measures, so it belongs to that moment.
        if (type == stream::EventBody::Snapshot && !moments_.empty()) moments_.back().n_events = events_.size();
      }
    } catch (const Error& error) {
      damage = error.what();
    }
  }
  if (moments_.empty())
    throw Error(damage.empty() ? path + " holds no conversation: nothing was read by a model in it" : damage);
  if (!damage.empty())
    view_.banners.push_back({Banner::Kind::warning, damage + "; what came before is shown", false, false});
  // Events after the last change of the cache, such as the end of the trace, belong to the last moment.
  moments_.back().n_events = events_.size();
  n_applied_ = events_.size();
}

/// Adds a checkpoint for going back. The first one, the empty beginning, stays. If there are too many or they use too
/// much memory, every second one is removed.
void Replay::keep_checkpoint() {
  const size_t bytes = mirror_.memory_bytes();
  if (bytes > max_checkpoint_bytes) {
    events_between_ *= 2;
    next_checkpoint_ = events_.size() + events_between_;
    return;
  }
  checkpoints_.emplace_back(events_.size(), mirror_);
  checkpoint_bytes_ += bytes;
  while (checkpoints_.size() > 1 &&
         (checkpoints_.size() > max_checkpoints || checkpoint_bytes_ > max_checkpoint_bytes)) {
    events_between_ *= 2;
    checkpoint_bytes_ = 0;
    size_t n_left = 0;
    for (size_t i = 0; i < checkpoints_.size(); ++i) {
      if (i % 2 != 0) continue;
      if (i != n_left) checkpoints_[n_left] = std::move(checkpoints_[i]);
      checkpoint_bytes_ += checkpoints_[n_left++].second.memory_bytes();
    }
    checkpoints_.erase(checkpoints_.begin() + static_cast<std::ptrdiff_t>(n_left), checkpoints_.end());
  }
  next_checkpoint_ = events_.size() + events_between_;
}

void Replay::go_to_end() {
  replay_seek(n_moments() - 1);
}

void Replay::go_to_token(int32_t n_tokens) {
  const auto found =
      std::find_if(moments_.begin(), moments_.end(), [&](const Moment& moment) { return moment.n_tokens >= n_tokens; });
  if (found == moments_.end()) {
    int32_t most = 0;
    for (const Moment& moment : moments_) most = std::max(most, moment.n_tokens);
    throw Error("token " + std::to_string(n_tokens) + " was asked for; the cache of this trace never holds more than " +
                std::to_string(most) + " tokens");
  }
  replay_seek(static_cast<int32_t>(found - moments_.begin()));
}

void Replay::replay_seek(int32_t index) {
  index = std::clamp(index, 0, n_moments() - 1);
  const size_t wanted = moments_[static_cast<size_t>(index)].n_events;
  if (wanted < n_applied_) {
    const auto after = std::upper_bound(checkpoints_.begin(), checkpoints_.end(), wanted,
                                        [](size_t n, const auto& checkpoint) { return n < checkpoint.first; });
    n_applied_ = std::prev(after)->first;
    mirror_ = std::prev(after)->second;
  }
  while (n_applied_ < wanted) mirror_.apply(*events_[n_applied_++]);
  view_.replay->moment = index;
  if (view_.replay->is_playing) {
    playing_since_ = std::chrono::steady_clock::now();
    playing_from_ms_ = moments_[static_cast<size_t>(index)].time_ms;
  }
  show();
}

/// Builds the transcript from the conversation in the stream.
void Replay::show() {
  view_.messages.clear();
  int32_t index = 0;
  for (const MirrorMessage& message : mirror_.messages()) {
    TranscriptMessage shown;
    shown.id = index + 1;
    shown.role = message.role;
    shown.content = message.content;
    shown.mirror_index = index;
    if (message.numbers) {
      shown.numbers = numbers_line(*message.numbers);
      shown.note = stop_note(message.numbers->stop_reason, message.numbers->message);
    }
    shown.is_streaming = mirror_.turn() && message.role == "assistant" &&
                         index + 1 == static_cast<int32_t>(mirror_.messages().size()) && !message.numbers;
    view_.messages.push_back(std::move(shown));
    ++index;
  }
  view_.is_busy = mirror_.turn().has_value();
  ++view_.version;
}

void Replay::replay_play_or_pause() {
  ReplayView& replay = *view_.replay;
  if (!replay.is_playing && replay.moment + 1 == replay.n_moments) replay_seek(0);
  replay.is_playing = !replay.is_playing;
  playing_since_ = std::chrono::steady_clock::now();
  playing_from_ms_ = moments_[static_cast<size_t>(replay.moment)].time_ms;
  ++view_.version;
}

void Replay::replay_speed(double factor) {
  view_.replay->speed = std::clamp(factor, 0.1, 100.0);
  playing_since_ = std::chrono::steady_clock::now();
  playing_from_ms_ = moments_[static_cast<size_t>(view_.replay->moment)].time_ms;
  ++view_.version;
}

bool Replay::poll() {
  ReplayView& replay = *view_.replay;
  if (!replay.is_playing) return false;
  const double elapsed_ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - playing_since_).count();
  const double now_ms = playing_from_ms_ + elapsed_ms * replay.speed;
  int32_t moment = replay.moment;
  while (moment + 1 < replay.n_moments && moments_[static_cast<size_t>(moment) + 1].time_ms <= now_ms) ++moment;
  if (moment == replay.moment) return false;
  const auto since = playing_since_;
  const double from_ms = playing_from_ms_;
  replay_seek(moment);
  playing_since_ = since;
  playing_from_ms_ = from_ms;
  if (moment + 1 == replay.n_moments) replay.is_playing = false;
  return true;
}

void Replay::set_chat_behind(std::function<void()> on_close) {
  on_close_ = std::move(on_close);
  view_.replay->has_chat_behind = true;
  ++view_.version;
}

void Replay::close_replay() {
  if (on_close_) on_close_();
}

/// Without an owner that can open files, a banner says what to do.
void Replay::open_files(const std::vector<std::string>& paths) {
  if (on_open_files) return on_open_files(paths);
  view_.banners.push_back({Banner::Kind::information,
                           "This window shows a recording and has no engine. Start headroom without \"replay\" to open "
                           "models, texts and other recordings.",
                           false, false});
  ++view_.version;
}

void Replay::dismiss_banner() {
  if (!view_.banners.empty()) view_.banners.erase(view_.banners.begin());
  ++view_.version;
}

void Replay::set_clipboard(const std::string& text) {
  if (on_set_clipboard) on_set_clipboard(text);
}

void Replay::settings_changed() {
  if (on_settings_changed) on_settings_changed();
}

}  // namespace headroom
