// Simulates an engine: keeps the state that an engine has and sends it as events. See sample_stream.h.
#include "tests/support/sample_stream.h"

#include <flatbuffers/util.h>
#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/base/budget.h"
#include "engine/telemetry/trace.h"
#include "tests/support/sample_text.h"

namespace headroom::test {
namespace {

constexpr int32_t n_group = 3, head_dim = 64, page_tokens = 16;
/// q8_0 stores 32 values in 34 bytes.
int64_t page_bytes_of(CacheType type) {
  return page_tokens * (2 * (type == CacheType::q8_0 ? head_dim / 32 * 34 : head_dim * 2) + 8);
}
constexpr int64_t slab_bytes = 2 << 20;
constexpr double prefill_token_ms = 0.5, decode_token_ms = 12;
constexpr int32_t max_evictions_a_step = 16;

/// A pseudo-random number that depends only on the arguments (SplitMix64).
uint64_t lot(uint64_t a, uint64_t b = 0, uint64_t c = 0) {
  uint64_t x = a * 0x9e3779b97f4a7c15 ^ (b + 0x7f4a7c15) * 0xbf58476d1ce4e5b9 ^ (c + 0x1ce4e5b9) * 0x94d049bb133111eb;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}
double share(uint64_t number) {
  return static_cast<double>(number >> 11) * 0x1p-53;
}

class Player {
 public:
  Player(const SampleStream& sample, const std::function<void(const stream::EventT&)>& take)
      : sample_(sample),
        take_(take),
        n_heads_(static_cast<size_t>(sample.n_layers * sample.n_kv_heads)),
        config_(sample.config),
        page_bytes_(page_bytes_of(config_.cache_type)),
        snapshot_every_(std::max(1, sample.n_tokens / 1000)),
        policies_(n_heads_),
        budgets_(n_heads_),
        kept_(n_heads_),
        lengths_(n_heads_, 0) {
    if (config_.importance != ImportanceKind::calibrated || !config_.head_importance.empty()) return;
    if (sample.has_table)
      fill_table();
    else
      note_ = "heads count alike: this model has no table of importance yet; a calibration would make one";
  }

  void play() {
    open_model();
    for (int32_t turn = 0; turn < sample_.n_turns; ++turn) {
      const bool is_last = turn + 1 == sample_.n_turns;
      play_turn(turn, is_last ? sample_.end : SampleEnd::finished);
    }
  }

 private:
  template <typename Body>
  void send(Body body) {
    stream::EventT event;
    event.sequence = sequence_++;
    event.time_ms = time_ms_;
    event.body.Set(std::move(body));
    take_(event);
  }

  void open_model();
  void play_turn(int32_t turn, SampleEnd end);
  std::string question(int32_t turn) const;
  std::vector<SampleToken> answer_tokens(int32_t turn) const;
  void read_prompt(uint64_t turn_id, int32_t n_prefilled);
  void fill_table();
  void choose_policies(uint64_t turn_id, std::vector<double>& recoveries);
  void set_budgets(std::vector<double>& recoveries);
  void keep_by_rule(size_t head);
  void step(const SampleToken& token);
  stream::SnapshotT snapshot() const;

  bool holds(size_t head, size_t position) const { return (kept_[head][position / 8] >> position % 8 & 1) != 0; }
  void drop(size_t head, size_t position) {
    kept_[head][position / 8] &= static_cast<uint8_t>(~(1u << position % 8));
    --lengths_[head];
  }
  void hold_new(size_t n_tokens) {
    for (size_t head = 0; head < n_heads_; ++head) {
      kept_[head].resize((n_tokens + 7) / 8, 0);
      for (size_t p = n_cached_; p < n_tokens; ++p) kept_[head][p / 8] |= static_cast<uint8_t>(1u << p % 8);
      lengths_[head] += static_cast<int32_t>(n_tokens - n_cached_);
    }
    n_cached_ = n_tokens;
  }

  const SampleStream& sample_;
  const std::function<void(const stream::EventT&)>& take_;
  size_t n_heads_;
  CacheConfig config_;
  int64_t page_bytes_;
  std::string note_;
  int32_t snapshot_every_;
  std::vector<Policy> policies_;
  std::vector<HeadBudget> budgets_;
  std::vector<std::vector<uint8_t>> kept_;  // (heads) bits by position
  std::vector<int32_t> lengths_;
  std::vector<SampleToken> tokens_;  // of the conversation
  size_t n_cached_ = 0;
  int32_t n_messages_ = 0;
  uint64_t sequence_ = 0;
  double time_ms_ = 0;
};

void Player::open_model() {
  stream::HelloT hello;
  hello.protocol = stream_protocol;
  hello.version = "sample";
  send(std::move(hello));
  constexpr std::array<const char*, 3> stages{"reading the vocabulary", "mapping the weights", "making room"};
  for (size_t i = 0; i < stages.size(); ++i) {
    time_ms_ += 40;
    stream::LoadProgressT progress;
    progress.stage = stages[i];
    progress.fraction = static_cast<double>(i + 1) / static_cast<double>(stages.size());
    send(std::move(progress));
  }
  stream::LoadedT loaded;
  loaded.model_path = "/models/sample-135M.gguf";
  loaded.model_name = "Sample 135M Instruct";
  loaded.architecture = "llama";
  loaded.file_bytes = 98362432;
  loaded.backend = "cpu";
  loaded.device = "a processor with two cores";
  loaded.skipped.push_back(std::make_unique<stream::SkippedT>());
  loaded.skipped.back()->name = "vulkan";
  loaded.skipped.back()->reason = "no device was found";
  loaded.n_layers = sample_.n_layers;
  loaded.n_heads = sample_.n_kv_heads * n_group;
  loaded.n_kv_heads = sample_.n_kv_heads;
  loaded.head_dim = head_dim;
  loaded.n_vocab = sample_vocab_size;
  loaded.n_ctx = std::max(8192, sample_.n_tokens * 2);
  loaded.n_ctx_train = loaded.n_ctx;
  loaded.windows.assign(static_cast<size_t>(sample_.n_layers), 0);
  loaded.page_tokens = page_tokens;
  loaded.page_bytes = page_bytes_;
  loaded.has_template = true;
  loaded.config = std::make_unique<stream::CacheConfigT>(to_stream(config_));
  loaded.cache_note = note_;
  send(std::move(loaded));
}

std::string Player::question(int32_t turn) const {
  const uint64_t number = lot(sample_.seed, 1, static_cast<uint64_t>(turn));
  const size_t n_wanted = static_cast<size_t>(sample_.n_tokens / sample_.n_turns / 10);
  std::string text = sample_question(number);
  for (uint64_t i = 1; cut_into_tokens(text).size() < n_wanted; ++i) text += " " + sample_question(number + i);
  return text;
}

std::vector<SampleToken> Player::answer_tokens(int32_t turn) const {
  const int64_t n_wanted =
      int64_t{sample_.n_tokens} * (turn + 1) / sample_.n_turns - static_cast<int64_t>(tokens_.size());
  const uint64_t first = lot(sample_.seed, 2, static_cast<uint64_t>(turn));
  std::vector<SampleToken> tokens;
  for (uint64_t i = 0; static_cast<int64_t>(tokens.size()) < n_wanted; ++i)
    for (SampleToken& token : cut_into_tokens(sample_block(first + i))) tokens.push_back(std::move(token));
  return tokens;
}

void Player::play_turn(int32_t turn, SampleEnd end) {
  const auto turn_id = static_cast<uint64_t>(turn) + 1;
  stream::TurnStartedT started;
  started.turn_id = turn_id;
  started.action = turn == 0 ? "first_turn" : "appended";
  started.reason = turn == 0 ? "the cache was empty" : "the conversation goes on";
  started.n_messages_kept = n_messages_;
  const auto add_special = [&](TokenId id, const char* text) { tokens_.push_back({id, TokenClass::special, text}); };
  const auto add_text = [&](const std::string& text) {
    for (SampleToken& token : cut_into_tokens(text)) tokens_.push_back(std::move(token));
  };
  const auto add_message = [&](const std::string& role, const std::string& content) {
    started.messages.push_back(std::make_unique<stream::MessageT>());
    started.messages.back()->role = role;
    started.messages.back()->content = content;
    ++n_messages_;
    add_special(sample_turn_begin, "<|im_start|>");
    add_text(role + "\n");
    add_text(content);
    add_special(sample_turn_end, "<|im_end|>");
    add_text("\n");
  };
  if (turn == 0) {
    add_message("system", "You are a helpful assistant.");
  } else {
    add_special(sample_turn_end, "<|im_end|>");
    add_text("\n");
  }
  add_message("user", question(turn));
  add_special(sample_turn_begin, "<|im_start|>");
  add_text("assistant\n");

  const auto n_prompt = static_cast<int32_t>(tokens_.size());
  const auto n_prefilled = static_cast<int32_t>(tokens_.size() - n_cached_);
  started.n_prompt_tokens = n_prompt;
  started.n_cached_tokens = static_cast<int32_t>(n_cached_);
  send(std::move(started));
  stream::TokensT sent;
  sent.first_position = static_cast<int32_t>(n_cached_);
  for (size_t i = n_cached_; i < tokens_.size(); ++i) {
    sent.ids.push_back(tokens_[i].id);
    sent.classes.push_back(static_cast<uint8_t>(i == 0 ? TokenClass::special : tokens_[i].token_class));
    sent.text.insert(sent.text.end(), tokens_[i].text.begin(), tokens_[i].text.end());
    sent.ends.push_back(static_cast<uint32_t>(sent.text.size()));
  }
  send(std::move(sent));
  const int32_t n_read_layers = end == SampleEnd::prefilling ? (sample_.n_layers + 1) / 2 : sample_.n_layers;
  for (int32_t layer = 1; layer <= n_read_layers; ++layer) {
    time_ms_ += prefill_token_ms * n_prefilled / sample_.n_layers;
    stream::PrefillProgressT progress;
    progress.turn_id = turn_id;
    progress.layer = layer;
    progress.n_layers = sample_.n_layers;
    progress.n_tokens = n_prefilled;
    progress.fraction = static_cast<double>(layer) / sample_.n_layers;
    send(std::move(progress));
  }
  if (end == SampleEnd::prefilling) return;
  read_prompt(turn_id, n_prefilled);

  std::vector<SampleToken> answer = answer_tokens(turn);
  if (end == SampleEnd::answering) answer.resize(answer.size() / 2);
  stream::TurnFinishedT finished;
  std::string unfinished;  // bytes of an incomplete character
  for (size_t i = 0; i < answer.size(); ++i) {
    if (i > 0) step(answer[i - 1]);
    time_ms_ += decode_token_ms;
    stream::TokenT token;
    token.turn_id = turn_id;
    token.id = answer[i].id;
    unfinished += answer[i].text;
    const char* at = unfinished.c_str();
    if (flatbuffers::FromUTF8(&at) >= 0) token.text = std::exchange(unfinished, {});
    finished.ids.push_back(token.id);
    finished.text += token.text;
    send(std::move(token));
    tokens_.push_back(answer[i]);
  }
  ++n_messages_;
  if (end == SampleEnd::answering) return;
  const auto n_answer = static_cast<double>(answer.size());
  finished.turn_id = turn_id;
  finished.stop_reason = "end_of_turn";
  finished.n_prompt_tokens = n_prompt;
  finished.n_prefilled_tokens = n_prefilled;
  finished.prefill_ms = prefill_token_ms * n_prefilled;
  finished.profile_ms = 0.02 * finished.prefill_ms;
  finished.generate_ms = decode_token_ms * n_answer;
  finished.first_token_ms = finished.prefill_ms + decode_token_ms;
  finished.prompt_tokens_per_s = 1000 / prefill_token_ms;
  finished.generate_tokens_per_s = 1000 / decode_token_ms;
  for (int32_t i = 0; i < 10; ++i) {
    finished.first_token_top.push_back(std::make_unique<stream::TopLogitT>());
    stream::TopLogitT& top = *finished.first_token_top.back();
    top.id = i == 0 && !answer.empty() ? answer[0].id : 100 + i;
    top.logit = 14.5f - static_cast<float>(i);
    top.text = {' ', static_cast<uint8_t>('a' + i)};
  }
  send(std::move(finished));
}

/// Ends the prefill: decides what each head keeps of all tokens.
void Player::read_prompt(uint64_t turn_id, int32_t n_prefilled) {
  hold_new(tokens_.size());
  stream::CacheRebuiltT rebuilt;
  const bool has_budgets = config_.budget != BudgetKind::fixed;
  if (has_budgets)
    set_budgets(rebuilt.recoveries);
  else
    choose_policies(n_prefilled >= 64 ? turn_id : 1, rebuilt.recoveries);
  for (size_t head = 0; head < n_heads_; ++head) {
    keep_by_rule(head);
    rebuilt.policies.push_back(policies_[head].parts);
    rebuilt.kept.insert(rebuilt.kept.end(), kept_[head].begin(), kept_[head].end());
    if (!has_budgets) continue;
    rebuilt.budget_tokens.push_back(budgets_[head].tokens);
    rebuilt.budget_of_tokens.push_back(budgets_[head].of_tokens);
    rebuilt.budget_grows.push_back(budgets_[head].grows);
  }
  rebuilt.snapshot = std::make_unique<stream::SnapshotT>(snapshot());
  rebuilt.config = std::make_unique<stream::CacheConfigT>(to_stream(config_));
  rebuilt.note = note_;
  rebuilt.page_bytes = page_bytes_;
  send(std::move(rebuilt));
}

/// Fills in a calibration table in which a few heads have most of the importance; its mean is 1.
void Player::fill_table() {
  double sum = 0;
  for (size_t head = 0; head < n_heads_; ++head) {
    config_.head_importance.push_back(static_cast<float>(std::exp(4 * share(lot(sample_.seed, 9, head)) - 3)));
    sum += config_.head_importance.back();
  }
  for (float& importance : config_.head_importance)
    importance *= static_cast<float>(static_cast<double>(n_heads_) / sum);
  config_.beta = 0.5;
}

/// Gives all heads the one policy. Importance, or random scores, decide how many tokens each head keeps.
void Player::set_budgets(std::vector<double>& recoveries) {
  const auto n = static_cast<int32_t>(n_cached_);
  std::vector<HeadCapacity> rooms(n_heads_, HeadCapacity{.n_reach = n, .n_protected = 0});
  // With a byte bound there must be room for the tokens that an answer protects, too.
  const int32_t n_last = config_.kv_budget_bytes > 0 ? n_last_of_answer : n_last_of_prompt;
  const KeepRule rule = make_budget_rule(config_.policy_set[0], {.tokens = n, .of_tokens = n}, n, 0, n_last);
  KeepRule others = rule;  // with a byte bound special tokens count in addition to the last ones
  others.local_from = config_.kv_budget_bytes > 0 ? max_position : rule.local_from;
  std::vector<std::vector<float>> scores(n_heads_);
  for (size_t head = 0; head < n_heads_; ++head) {
    for (int32_t position = 0; position < n; ++position) {
      const auto at = static_cast<size_t>(position);
      const TokenClass token_class = position == 0 ? TokenClass::special : tokens_[at].token_class;
      rooms[head].n_protected += others.keeps_always(position, token_class) ? 1 : 0;
      if (!rule.keeps_always(position, token_class))
        scores[head].push_back(
            static_cast<float>(share(lot(sample_.seed, head + 64, at)) * share(lot(sample_.seed, 10, head))));
    }
    if (config_.kv_budget_bytes > 0) rooms[head].n_protected = std::min(rooms[head].n_protected + n_last, n);
  }
  std::vector<int32_t> tokens;
  const auto n_kv_heads = static_cast<size_t>(sample_.n_kv_heads);
  if (config_.budget == BudgetKind::pooled)
    for (size_t first = 0; first < n_heads_; first += n_kv_heads) {
      const std::vector<int32_t> of_layer =
          pooled_budgets(config_.keep, std::span<const HeadCapacity>(rooms).subspan(first, n_kv_heads),
                         std::span<const std::vector<float>>(scores).subspan(first, n_kv_heads));
      tokens.insert(tokens.end(), of_layer.begin(), of_layer.end());
    }
  else if (config_.kv_budget_bytes > 0)
    tokens = shared_budgets_in_bytes(config_, config_.keep, rooms, page_bytes_);
  else
    tokens = shared_budgets(config_, config_.keep, rooms);
  for (size_t head = 0; head < n_heads_; ++head) {
    policies_[head] = config_.policy_set[0];
    budgets_[head] = {.tokens = tokens[head], .of_tokens = n, .grows = config_.kv_budget_bytes == 0};
    std::vector<double> of_head(32, 0.0);
    of_head[policies_[head].parts] =
        1 - (1 - static_cast<double>(tokens[head]) / n) * share(lot(sample_.seed, 11, head));
    recoveries.insert(recoveries.end(), of_head.begin(), of_head.end());
  }
}

/// Chooses policies from random recoveries. They grow with every part by an amount of the head's own, so that all
/// policies of the set occur.
void Player::choose_policies(uint64_t turn_id, std::vector<double>& recoveries) {
  for (size_t head = 0; head < n_heads_; ++head) {
    const double appetite = 0.2 + 1.1 * share(lot(sample_.seed, 3, head));
    HeadProfile profile;
    for (size_t parts = 1; parts < profile.recoveries.size(); ++parts) {
      double missed = 1;
      for (size_t part = 0; part < 5; ++part) {
        if ((parts >> part & 1) == 0) continue;
        const double taste = share(lot(sample_.seed, 4 + part, head * 64 + turn_id % 4));
        missed *= 1 - std::min(0.99, appetite * (0.35 + 0.65 * taste));
      }
      profile.recoveries[parts] = 1 - missed;
    }
    policies_[head] = choose_policy(profile, config_);
    recoveries.insert(recoveries.end(), profile.recoveries.begin(), profile.recoveries.end());
  }
}

void Player::keep_by_rule(size_t head) {
  if (policies_[head].has(Policy::full)) return;
  const auto n = static_cast<int32_t>(n_cached_);
  const KeepRule rule = budgets_[head].tokens < 0
                            ? make_keep_rule(policies_[head], n, 0, config_.r_local, config_.r_frequent)
                            : make_budget_rule(policies_[head], budgets_[head], n, 0, n_last_of_prompt);
  std::vector<std::pair<uint64_t, size_t>> rest;  // score, position
  for (size_t position = 0; position < n_cached_; ++position) {
    const TokenClass token_class = position == 0 ? TokenClass::special : tokens_[position].token_class;
    if (holds(head, position) && !rule.keeps_always(static_cast<int32_t>(position), token_class))
      rest.emplace_back(lot(sample_.seed, head + 64, position), position);
  }
  const int32_t n_always = lengths_[head] - static_cast<int32_t>(rest.size());
  const size_t n_stay = std::min(rest.size(), static_cast<size_t>(rule.n_by_score(n_always)));
  std::nth_element(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(n_stay), rest.end(), std::greater<>());
  for (size_t i = n_stay; i < rest.size(); ++i) drop(head, rest[i].second);
}

/// Simulates the decoding of one token. A few heads, a different few each time, evict a token.
void Player::step(const SampleToken& token) {
  stream::StepT event;
  event.position = static_cast<int32_t>(n_cached_);
  event.id = token.id;
  event.token_class = static_cast<uint8_t>(token.token_class);
  event.text.assign(token.text.begin(), token.text.end());
  const size_t position = n_cached_;
  hold_new(n_cached_ + 1);
  // With budgets every head evicts what exceeds its budget.
  const size_t n_wanted =
      config_.budget == BudgetKind::fixed ? std::min<size_t>(n_heads_, max_evictions_a_step) : n_heads_;
  for (size_t i = 0; i < n_wanted; ++i) {
    const size_t head = (position * n_wanted + i) % n_heads_;
    if (policies_[head].has(Policy::full)) continue;
    const HeadBudget& budget = budgets_[head];
    if (budget.tokens >= 0 && lengths_[head] <= budget.at(static_cast<int32_t>(n_cached_))) continue;
    for (uint64_t tries = 0; tries < 8; ++tries) {
      const size_t chosen = lot(sample_.seed, head + 128, position * 8 + tries) % n_cached_;
      if (chosen == 0 || !holds(head, chosen) || tokens_[chosen].token_class == TokenClass::special) continue;
      drop(head, chosen);
      event.evicted_heads.push_back(static_cast<uint32_t>(head));
      event.evicted_positions.push_back(static_cast<int32_t>(chosen));
      break;
    }
  }
  send(std::move(event));
  if (position % static_cast<size_t>(snapshot_every_) == 0) send(snapshot());
}

stream::SnapshotT Player::snapshot() const {
  stream::SnapshotT snapshot;
  snapshot.n_tokens = static_cast<int32_t>(n_cached_);
  int64_t n_pages = 0;
  for (const int32_t length : lengths_) {
    snapshot.pages.push_back((length + page_tokens - 1) / page_tokens);
    n_pages += snapshot.pages.back();
  }
  snapshot.lengths = lengths_;
  snapshot.kv_live_bytes = n_pages * page_bytes_;
  snapshot.kv_full_bytes = 2 * static_cast<int64_t>(n_heads_ * n_cached_) * head_dim * 2;
  const int64_t pages_a_slab = slab_bytes / page_bytes_;
  snapshot.kv_pool_bytes = (n_pages + pages_a_slab - 1) / pages_a_slab * slab_bytes;
  snapshot.kv_peak_bytes = snapshot.kv_live_bytes + snapshot.kv_full_bytes / sample_.n_layers;
  snapshot.turn_log_bytes = snapshot.kv_live_bytes / 20;
  snapshot.resident_bytes = (160 << 20) + snapshot.kv_pool_bytes;
  return snapshot;
}

}  // namespace

void SampleStream::send_to(const std::function<void(const stream::EventT&)>& take) const {
  Player(*this, take).play();
}

std::vector<stream::EventT> SampleStream::events() const {
  std::vector<stream::EventT> events;
  send_to([&](const stream::EventT& event) { events.push_back(event); });
  return events;
}

void SampleStream::apply_to(Mirror& mirror) const {
  send_to([&](const stream::EventT& event) { apply(mirror, event); });
}

void SampleStream::write_trace(const std::string& path) const {
  TraceWriter writer(path);
  send_to([&](const stream::EventT& event) {
    const std::vector<std::byte> packed = pack(event);
    const std::vector<std::byte> bytes(packed.begin() + sizeof(uint32_t), packed.end());
    writer.write(verify_event(bytes), bytes);
  });
  writer.close();
}

stream::TurnFinishedT refused_turn(uint64_t turn_id, const std::string& message) {
  stream::TurnFinishedT refused;
  refused.turn_id = turn_id;
  refused.stop_reason = "error";
  refused.message = message;
  return refused;
}

stream::FailureT failure(const std::string& message) {
  stream::FailureT failure;
  failure.message = message;
  return failure;
}

stream::LoadFailedT load_failed(bool keeps_model, const std::string& message) {
  stream::LoadFailedT failed;
  failed.message = message;
  failed.keeps_model = keeps_model;
  return failed;
}

stream::CacheRebuiltT cleared_cache(size_t n_heads) {
  stream::CacheRebuiltT cleared;
  cleared.snapshot = std::make_unique<stream::SnapshotT>();
  cleared.snapshot->lengths.assign(n_heads, 0);
  cleared.snapshot->pages.assign(n_heads, 0);
  cleared.config = std::make_unique<stream::CacheConfigT>(to_stream(*find_cache_config("paper")));
  cleared.policies.assign(n_heads, Policy::full);
  cleared.forgets = true;
  return cleared;
}

void apply(Mirror& mirror, const stream::EventT& event) {
  const std::vector<std::byte> packed = pack(event);
  const std::vector<std::byte> bytes(packed.begin() + sizeof(uint32_t), packed.end());
  mirror.apply(verify_event(bytes));
}

std::vector<std::byte> trace_bytes(const std::vector<stream::EventT>& events, bool is_closed) {
  const auto* magic = reinterpret_cast<const std::byte*>("HRTRACE\n");
  std::vector<std::byte> trace(magic, magic + 8);
  const auto add_number = [&](uint32_t value) {
    for (int shift = 0; shift < 32; shift += 8) trace.push_back(static_cast<std::byte>(value >> shift));
  };
  const auto add_event = [&](const stream::EventT& event) {
    const std::vector<std::byte> packed = pack(event);  // the checksum covers the length too
    add_number(static_cast<uint32_t>(packed.size() - sizeof(uint32_t)));
    add_number(static_cast<uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(packed.data()), packed.size())));
    trace.insert(trace.end(), packed.begin() + sizeof(uint32_t), packed.end());
  };
  add_number(stream_protocol);
  for (const stream::EventT& event : events) add_event(event);
  if (is_closed) {
    stream::TraceEndT end;
    end.n_events = events.size();
    stream::EventT event;
    event.sequence = events.empty() ? 0 : events.back().sequence + 1;
    event.time_ms = events.empty() ? 0 : events.back().time_ms;
    event.body.Set(std::move(end));
    add_event(event);
  }
  return trace;
}

}  // namespace headroom::test
