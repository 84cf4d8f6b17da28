// Commands on standard input ─► the events of an engine without a model: one token per word, 2 layers of 2 KV heads.
// The question and the seed decide every answer. Options make it misbehave, so that clients of an engine can be tested
// without one. Knows the stream only.
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engine/telemetry/stream.h"

namespace headroom::test {
namespace {

constexpr int n_layers = 2, n_kv_heads = 2, page_tokens = 16, n_vocab = 65536;
constexpr size_t n_heads = n_layers * n_kv_heads;
constexpr int64_t page_bytes = 1024;

struct Options {
  double tokens_per_s = 0;  // 0: as fast as it can
  int answer_tokens = 20;
  int load_ms = 0, prefill_ms = 0;
  int n_ctx = 1 << 20;
  bool has_ctx = false;  // if true, it refuses longer prompts
  // Misbehaviour, each at its moment; -1: never.
  int crash_after = -1, kill_after = -1, garbage_after = -1, hang_after = -1;  // tokens of an answer
  bool dies_at_start = false, hangs_at_start = false, refuses = false, crashes_in_load = false,
       crashes_in_prefill = false, floods_stderr = false;
  int n_failures = 0, failure_bytes = 20;  // Failure events sent once a model is open, each with another sentence
  size_t token_bytes = 0;                  // size of each token of an answer; 0: one word
  std::string once;                        // a file: misbehaves only if it does not exist, and creates it
};

struct Token {
  TokenId id;
  TokenClass token_class;
  std::string text;
  bool operator==(const Token&) const = default;
};

TokenId id_of(const std::string& text) {
  uint32_t hash = 2166136261;  // FNV-1a
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619;
  return static_cast<TokenId>(hash % n_vocab);
}

/// Each token is a word with the white space behind it; a very long word is several tokens.
void add_words(std::vector<Token>& tokens, const std::string& text) {
  for (size_t begin = 0; begin < text.size();) {
    const std::string_view ahead = std::string_view(text).substr(begin, 1000);
    size_t n = std::min(ahead.find_first_of(" \n"), ahead.size());
    n = std::min(ahead.find_first_not_of(" \n", n), ahead.size());
    const std::string word(ahead.substr(0, n));
    tokens.push_back({id_of(word), word[0] == '.' ? TokenClass::punctuation : TokenClass::plain, word});
    begin += n;
  }
}

void add_control(std::vector<Token>& tokens, const std::string& text) {
  tokens.push_back({id_of(text), TokenClass::special, text});
}

[[noreturn]] void die(const char* last_words, int code) {
  std::fprintf(stderr, "%s\n", last_words);
  std::_Exit(code);
}

class FakeEngine {
 public:
  explicit FakeEngine(Options options) : options_(std::move(options)) {
    stream::HelloT hello;
    hello.protocol = stream_protocol;
    hello.version = "fake";
    hello.counts = true;
    emit(std::move(hello));
  }

  void run() {
    while (true) {
      if (!put_off_.empty()) {
        const std::vector<std::byte> message = std::exchange(put_off_, {});
        obey(verify_command(message));
      } else if (const stream::Command* command = next_command(-1)) {
        obey(*command);
      }
    }
  }

 private:
  using Clock = std::chrono::steady_clock;

  bool misbehaves(bool option) {
    if (!option) return false;
    if (options_.once.empty()) return true;
    if (std::ifstream(options_.once)) return false;
    std::ofstream(options_.once) << "happened\n";
    return true;
  }
  bool misbehaves(int after, int n_tokens) { return misbehaves(after == n_tokens); }

  void write_all(const void* data, size_t n_bytes) {
    const char* at = static_cast<const char*>(data);
    while (n_bytes > 0) {
      const ssize_t n = write(STDOUT_FILENO, at, n_bytes);
      if (n <= 0) std::_Exit(0);  // nobody reads the output
      at += n;
      n_bytes -= static_cast<size_t>(n);
    }
  }

  template <typename Body>
  void emit(Body body) {
    stream::EventT event;
    event.sequence = sequence_++;
    event.time_ms = std::chrono::duration<double, std::milli>(Clock::now() - start_).count();
    event.body.Set(std::move(body));
    const std::vector<std::byte> bytes = pack(event);
    write_all(bytes.data(), bytes.size());
  }

  /// Waits at most timeout_ms for a command; null if none came. The end of the input ends the process.
  const stream::Command* next_command(int timeout_ms) {
    const Clock::time_point until = Clock::now() + std::chrono::milliseconds(timeout_ms);
    while (true) {
      if (const auto message = reader_.next(); !message.empty()) {
        command_.assign(message.begin(), message.end());
        return &verify_command(command_);
      }
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
      pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
      if (poll(&input, 1, timeout_ms < 0 ? -1 : static_cast<int>(std::max<int64_t>(left, 0))) == 0) return nullptr;
      std::byte buffer[65536];
      const ssize_t n = read(STDIN_FILENO, buffer, sizeof buffer);
      if (n <= 0) std::_Exit(0);
      reader_.push({buffer, static_cast<size_t>(n)});
    }
  }

  /// Waits; returns false if the command `ending` came, which ends the turn or the load. Other commands are queued.
  bool wait(int milliseconds, stream::CommandBody ending) {
    const Clock::time_point until = Clock::now() + std::chrono::milliseconds(milliseconds);
    while (true) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
      const stream::Command* command = next_command(static_cast<int>(std::max<int64_t>(left, 0)));
      if (command == nullptr) return true;
      if (command->body_type() == ending) return false;
      if (command->body_type() == stream::CommandBody::Quit) std::_Exit(0);
      if (const auto* load = command->body_as_Load(); load != nullptr && ending == stream::CommandBody::Stop) {
        const std::string path = shown_text(load->model_path());
        if (!is_refused(path)) {
          put_off_ = command_;
          return false;
        }
        emit(refusal(path));
      }
      if (const auto* prompt = command->body_as_Prompt()) refuse(prompt->turn_id(), "a turn runs already");
    }
  }

  void obey(const stream::Command& command) {
    switch (command.body_type()) {
      case stream::CommandBody::Load:
        return load(*command.body_as_Load());
      case stream::CommandBody::Prompt:
        return prompt(*command.body_as_Prompt());
      case stream::CommandBody::SetConfig:
        return set_config(*command.body_as_SetConfig());
      case stream::CommandBody::Clear:
        known_.clear();
        messages_.clear();
        return rebuilt(0, true);
      case stream::CommandBody::Count:
        return count(*command.body_as_Count());
      case stream::CommandBody::Quit:
        std::_Exit(0);
      default:
        return;
    }
  }

  bool is_refused(const std::string& path) const {
    return options_.refuses || path.find("refused") != std::string::npos;
  }
  stream::LoadFailedT refusal(const std::string& path) const {
    stream::LoadFailedT failed;
    failed.message = path + " has the architecture 'unheard', which is not supported";
    failed.keeps_model = is_loaded_;
    return failed;
  }

  void load(const stream::Load& command) {
    const std::string path = shown_text(command.model_path());
    const stream::CacheConfig* config = command.config();
    if (config != nullptr) config_ = to_stream(from_stream(*config));
    if (misbehaves(options_.crashes_in_load)) std::abort();
    for (int step = 0; step < 4; ++step) {
      stream::LoadProgressT progress;
      progress.stage = "pretending";
      progress.fraction = step / 4.0;
      emit(std::move(progress));
      if (wait(options_.load_ms / 4, stream::CommandBody::CancelLoad)) continue;
      stream::LoadFailedT failed;
      failed.message = "the load was cancelled";
      failed.cancelled = true;
      failed.keeps_model = is_loaded_;
      return emit(std::move(failed));
    }
    if (is_refused(path)) return emit(refusal(path));
    if (path.find("too large") != std::string::npos) {
      stream::LoadFailedT failed;
      failed.message = "the device has no memory left";
      emit(std::move(failed));
      if (is_loaded_) loaded(path_);
      return;
    }
    path_ = path;
    loaded(path);
  }

  void loaded(const std::string& path) {
    is_loaded_ = true;
    known_.clear();
    messages_.clear();
    n_cached_ = 0;
    stream::LoadedT loaded;
    loaded.model_path = path;
    loaded.model_name = "fake";
    loaded.architecture = "fake";
    loaded.backend = "none";
    loaded.n_layers = n_layers;
    loaded.n_heads = loaded.n_kv_heads = n_kv_heads;
    loaded.head_dim = 8;
    loaded.n_vocab = n_vocab;
    loaded.n_ctx = options_.n_ctx;
    loaded.n_ctx_train = 1 << 20;
    loaded.windows.assign(n_layers, 0);
    loaded.page_tokens = page_tokens;
    loaded.page_bytes = page_bytes;
    loaded.has_template = true;
    loaded.config = std::make_unique<stream::CacheConfigT>(config_);
    loaded.cache_note = note();
    emit(std::move(loaded));
    for (int i = 0; i < options_.n_failures; ++i) {
      stream::FailureT failure;
      failure.message = "trouble " + std::to_string(i) + "\n";
      while (failure.message.size() < static_cast<size_t>(options_.failure_bytes)) failure.message += "and so on ";
      emit(std::move(failure));
    }
  }

  void refuse(uint64_t turn_id, const std::string& why) {
    stream::TurnFinishedT finished;
    finished.turn_id = turn_id;
    finished.stop_reason = "error";
    finished.message = why;
    emit(std::move(finished));
  }

  /// Whether a head keeps a position of n tokens. The heads keep everything, control tokens, every second token, or the
  /// last eight tokens.
  bool keeps(size_t head, size_t position, size_t n) const {
    switch (head) {
      case 0:
        return true;
      case 1:
        return known_[position].token_class == TokenClass::special;
      case 2:
        return position % 2 == 0;
      default:
        return position + 8 >= n;
    }
  }

  stream::SnapshotT snapshot(size_t n) const {
    stream::SnapshotT counters;
    counters.n_tokens = static_cast<int32_t>(n);
    int32_t n_pages = 0;
    for (size_t head = 0; head < n_heads; ++head) {
      int32_t n_kept = 0;
      for (size_t position = 0; position < n; ++position) n_kept += keeps(head, position, n);
      counters.lengths.push_back(n_kept);
      counters.pages.push_back((n_kept + page_tokens - 1) / page_tokens);
      n_pages += counters.pages.back();
    }
    counters.kv_live_bytes = counters.kv_pool_bytes = counters.kv_peak_bytes = n_pages * page_bytes;
    counters.kv_full_bytes = static_cast<int64_t>(n * n_heads * 8 * 4);
    return counters;
  }

  /// The cache note; this engine has no calibration table for any model.
  std::string note() const {
    return config_.importance == 1 && config_.head_importance.empty() ? "all heads count alike: nobody calibrated this"
                                                                      : "";
  }

  void rebuilt(size_t n, bool forgets) {
    n_cached_ = n;
    stream::CacheRebuiltT event;
    event.snapshot = std::make_unique<stream::SnapshotT>(snapshot(n));
    event.config = std::make_unique<stream::CacheConfigT>(config_);
    event.note = note();
    event.policies = {128, 1, 4, 8};
    if (config_.budget != 0) {
      event.policies.assign(n_heads, config_.policy_set[0]);
      event.budget_tokens = event.snapshot->lengths;
      event.budget_of_tokens.assign(n_heads, static_cast<int32_t>(n));
      event.budget_grows.assign(n_heads, true);
    }
    if (n > 0) event.recoveries.assign(n_heads * 32, 0.5);
    event.kept.assign(n_heads * ((n + 7) / 8), 0);
    for (size_t head = 0; head < n_heads; ++head)
      for (size_t position = 0; position < n; ++position)
        if (keeps(head, position, n))
          event.kept[head * ((n + 7) / 8) + position / 8] |= static_cast<uint8_t>(1u << (position % 8));
    event.forgets = forgets;
    emit(std::move(event));
  }

  /// Simulates the decoding of the next token.
  void step() {
    const size_t position = n_cached_++;
    stream::StepT event;
    event.position = static_cast<int32_t>(position);
    event.id = known_[position].id;
    event.token_class = static_cast<uint8_t>(known_[position].token_class);
    event.text.assign(known_[position].text.begin(), known_[position].text.end());
    const auto evict = [&](size_t head, size_t what) {
      event.evicted_heads.push_back(static_cast<uint32_t>(head));
      event.evicted_positions.push_back(static_cast<int32_t>(what));
    };
    if (!keeps(1, position, n_cached_)) evict(1, position);
    if (!keeps(2, position, n_cached_)) evict(2, position);
    if (position >= 8) evict(3, position - 8);
    emit(std::move(event));
    emit(snapshot(n_cached_));
  }

  void set_config(const stream::SetConfig& command) {
    config_ = to_stream(from_stream(*command.config()));
    if (n_cached_ == 0) return;
    stream::TurnStartedT started;
    started.turn_id = command.turn_id();
    started.action = "re_encoded";
    started.reason = "another configuration";
    started.n_messages_kept = static_cast<int32_t>(messages_.size());
    started.n_prompt_tokens = static_cast<int32_t>(n_cached_);
    emit(std::move(started));
    rebuilt(n_cached_, false);
    stream::TurnFinishedT finished;
    finished.turn_id = command.turn_id();
    finished.stop_reason = "max_tokens";
    finished.n_prompt_tokens = finished.n_prefilled_tokens = static_cast<int32_t>(n_cached_);
    emit(std::move(finished));
  }

  struct Written {
    std::string role, content;
    bool operator==(const Written&) const = default;
  };

  static std::vector<Token> tokens_of(const std::vector<Written>& messages) {
    std::vector<Token> tokens;
    for (const Written& message : messages) {
      add_control(tokens, "<" + message.role + ">");
      add_words(tokens, message.content);
      add_control(tokens, "</" + message.role + ">");
    }
    add_control(tokens, "<assistant>");
    return tokens;
  }

  /// Sends the part of the conversation that the stream does not have yet.
  void begin_turn(uint64_t turn_id, const std::vector<Written>& messages, const std::vector<Token>& tokens) {
    size_t n_same_messages = 0, n_same = 0;
    while (n_same_messages < std::min(messages.size(), messages_.size()) &&
           messages[n_same_messages] == messages_[n_same_messages])
      ++n_same_messages;
    while (n_same < std::min(tokens.size(), n_cached_) && tokens[n_same] == known_[n_same]) ++n_same;
    stream::TurnStartedT started;
    started.turn_id = turn_id;
    started.action = n_cached_ == 0 ? "first_turn" : n_same == n_cached_ ? "appended" : "undone";
    started.reason = "so it is pretended";
    started.n_messages_kept = static_cast<int32_t>(n_same_messages);
    for (size_t i = n_same_messages; i < messages.size(); ++i) {
      started.messages.push_back(std::make_unique<stream::MessageT>());
      started.messages.back()->role = messages[i].role;
      started.messages.back()->content = messages[i].content;
    }
    started.n_prompt_tokens = static_cast<int32_t>(tokens.size());
    started.n_cached_tokens = static_cast<int32_t>(n_same);
    emit(std::move(started));
    messages_ = messages;
    known_ = tokens;
    n_cached_ = n_same;
    stream::TokensT told;
    told.first_position = static_cast<int32_t>(n_same);
    for (size_t i = n_same; i < tokens.size(); ++i) {
      told.ids.push_back(tokens[i].id);
      told.classes.push_back(static_cast<uint8_t>(tokens[i].token_class));
      told.text.insert(told.text.end(), tokens[i].text.begin(), tokens[i].text.end());
      told.ends.push_back(static_cast<uint32_t>(told.text.size()));
    }
    emit(std::move(told));
  }

  std::string too_long(size_t n_tokens) const {
    return "the prompt has " + std::to_string(n_tokens) + " tokens; the context holds " +
           std::to_string(options_.n_ctx);
  }

  void count(const stream::Count& command) {
    stream::CountedT counted;
    counted.id = command.id();
    std::vector<Written> messages;
    for (const stream::Message* message : *command.messages())
      messages.push_back({shown_text(message->role()), shown_text(message->content())});
    const bool is_refused = messages.back().content == "refuse this";
    counted.n_tokens = is_refused ? -1 : static_cast<int32_t>(tokens_of(messages).size());
    if (is_refused) counted.message = "the template stops: it does not like this";
    emit(std::move(counted));
  }

  void prompt(const stream::Prompt& command) {
    const uint64_t turn_id = command.turn_id();
    if (!is_loaded_) return refuse(turn_id, "no model is open");
    std::vector<Written> messages;
    for (const stream::Message* message : *command.messages())
      messages.push_back({shown_text(message->role()), shown_text(message->content())});
    const std::string question = messages.back().content;
    const uint64_t seed = command.sampler() == nullptr ? 0 : command.sampler()->seed();
    const int n_answer =
        command.max_tokens() < 0 ? options_.answer_tokens : std::min(command.max_tokens(), options_.answer_tokens);
    if (question == "refuse this") return refuse(turn_id, "the template stops: it does not like this");
    const std::vector<Token> tokens = tokens_of(messages);
    if (options_.has_ctx && std::ssize(tokens) > options_.n_ctx) return refuse(turn_id, too_long(tokens.size()));
    begin_turn(turn_id, messages, tokens);
    if (misbehaves(options_.crashes_in_prefill)) std::abort();
    stream::TurnFinishedT finished;
    finished.turn_id = turn_id;
    finished.stop_reason = command.max_tokens() >= 0 && n_answer == command.max_tokens() ? "max_tokens" : "end_of_turn";
    finished.n_prompt_tokens = static_cast<int32_t>(tokens.size());
    finished.n_prefilled_tokens = static_cast<int32_t>(tokens.size() - n_cached_);
    for (int layer = 0; layer < n_layers; ++layer) {
      stream::PrefillProgressT progress;
      progress.turn_id = turn_id;
      progress.layer = layer;
      progress.n_layers = n_layers;
      progress.n_tokens = finished.n_prefilled_tokens;
      progress.fraction = layer / static_cast<double>(n_layers);
      emit(std::move(progress));
      if (wait(options_.prefill_ms / n_layers, stream::CommandBody::Stop)) continue;
      finished.stop_reason = "cancelled";
      return emit(std::move(finished));
    }
    rebuilt(known_.size(), false);
    if (n_answer > 0) messages_.push_back({"assistant", ""});
    answer(finished, n_answer, "answer-" + std::to_string(id_of(question)) + "-" + std::to_string(seed) + " ");
    emit(std::move(finished));
  }

  void answer(stream::TurnFinishedT& finished, int n_answer, const std::string& first) {
    for (int i = 0; i < n_answer; ++i) {
      misbehave(i);
      const int pause_ms = options_.tokens_per_s > 0 ? static_cast<int>(1000 / options_.tokens_per_s) : 0;
      if (!wait(pause_ms, stream::CommandBody::Stop)) {
        finished.stop_reason = "cancelled";
        return;
      }
      if (options_.has_ctx && std::ssize(known_) >= options_.n_ctx) {
        finished.stop_reason = "context_full";
        finished.message = "the context of " + std::to_string(options_.n_ctx) + " tokens is full";
        return;
      }
      if (i > 0) step();
      std::string word = i == 0 ? first : "word" + std::to_string(i) + " ";
      word.resize(std::max(word.size(), options_.token_bytes), 'o');
      known_.push_back({id_of(word), TokenClass::plain, word});
      stream::TokenT token;
      token.turn_id = finished.turn_id;
      token.id = known_.back().id;
      token.text = word;
      finished.ids.push_back(token.id);
      finished.text += word;
      messages_.back().content += word;
      emit(std::move(token));
    }
    misbehave(n_answer);
  }

  void misbehave(int n_tokens) {
    if (misbehaves(options_.crash_after, n_tokens)) std::abort();
    if (misbehaves(options_.kill_after, n_tokens)) raise(SIGKILL);
    if (misbehaves(options_.hang_after, n_tokens)) hang();
    if (misbehaves(options_.garbage_after, n_tokens)) {
      const std::string garbage = "HTTP/1.1 404 Not Found\r\n\r\n";
      write_all(garbage.data(), garbage.size());
      hang();
    }
  }

 public:
  /// Reads nothing, sends nothing, and ends only by SIGKILL.
  [[noreturn]] static void hang() {
    signal(SIGTERM, SIG_IGN);
    while (true) pause();
  }

 private:
  Options options_;
  Clock::time_point start_ = Clock::now();
  std::vector<std::byte> put_off_;  // a Load that came during a turn, which it ended
  uint64_t sequence_ = 0;
  FrameReader reader_;
  std::vector<std::byte> command_;
  bool is_loaded_ = false;
  std::string path_;  // of the model that is open
  stream::CacheConfigT config_ = to_stream(*find_cache_config("paper"));
  std::vector<Written> messages_;  // as the stream knows them
  std::vector<Token> known_;
  size_t n_cached_ = 0;
};

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    const auto flag = [&](const char* wanted, bool& to) { return name == wanted && (to = true); };
    if (flag("--die", options.dies_at_start) || flag("--hang", options.hangs_at_start) ||
        flag("--refuse", options.refuses) || flag("--crash-in-load", options.crashes_in_load) ||
        flag("--crash-in-prefill", options.crashes_in_prefill) || flag("--flood-stderr", options.floods_stderr))
      continue;
    const char* value = ++i < argc ? argv[i] : "";
    if (name == "--tokens-per-second")
      options.tokens_per_s = std::atof(value);
    else if (name == "--answer-tokens")
      options.answer_tokens = std::atoi(value);
    else if (name == "--ctx")
      options.n_ctx = std::atoi(value), options.has_ctx = true;
    else if (name == "--load-ms")
      options.load_ms = std::atoi(value);
    else if (name == "--prefill-ms")
      options.prefill_ms = std::atoi(value);
    else if (name == "--crash-after")
      options.crash_after = std::atoi(value);
    else if (name == "--kill-after")
      options.kill_after = std::atoi(value);
    else if (name == "--garbage-after")
      options.garbage_after = std::atoi(value);
    else if (name == "--hang-after")
      options.hang_after = std::atoi(value);
    else if (name == "--failures")
      options.n_failures = std::atoi(value);
    else if (name == "--failure-bytes")
      options.failure_bytes = std::atoi(value);
    else if (name == "--token-bytes")
      options.token_bytes = static_cast<size_t>(std::atoi(value));
    else if (name == "--once")
      options.once = value;
    else
      die(("an unknown option: " + name).c_str(), 2);
  }
  return options;
}

}  // namespace
}  // namespace headroom::test

int main(int argc, char** argv) {
  using namespace headroom::test;
  const Options options = parse(argc, argv);
  signal(SIGPIPE, SIG_IGN);
  if (options.floods_stderr)
    for (int i = 0; i < 20000; ++i) std::fprintf(stderr, "warning %d: this goes on and on\n", i);
  if (options.dies_at_start) {
    std::this_thread::sleep_for(std::chrono::milliseconds(options.load_ms));
    die("no engine today", 3);
  }
  if (options.hangs_at_start) FakeEngine::hang();
  FakeEngine(options).run();
}
