// Events of tokens and of the cache ─► the Mirror's tokens, kept sets and counters. mirror.cpp applies the other kinds.
#include <algorithm>

#include "engine/telemetry/event_check.h"
#include "engine/telemetry/mirror.h"

namespace headroom {

using namespace event_check;

void Mirror::add_token(TokenId id, TokenClass token_class, std::string_view text) {
  const auto begin = static_cast<uint32_t>(token_text_.size());
  token_text_ += text;
  tokens_.push_back({id, token_class, begin, static_cast<uint32_t>(token_text_.size())});
}

void Mirror::cut_tokens(int32_t n_tokens) {
  cut_cache(n_tokens);
  if (static_cast<size_t>(n_tokens) >= tokens_.size()) return;
  token_text_.resize(tokens_[static_cast<size_t>(n_tokens)].text_begin);
  tokens_.resize(static_cast<size_t>(n_tokens));
  tokens_changed(n_tokens);
}

void Mirror::cut_cache(int32_t n_tokens) {
  if (n_tokens >= n_cached_) return;
  n_cached_ = n_tokens;
  kept_.cut(n_tokens);
  is_counted_ = false;
}

void Mirror::take(const stream::Tokens& tokens) {
  check_open("tokens");
  if (turn_ && turn_->n_generated > 0)
    throw Error("tokens of the prompt after " + number(turn_->n_generated) + " of the answer; expected them before");
  const auto ids = span_of(tokens.ids());
  const auto classes = span_of(tokens.classes());
  const auto ends = span_of(tokens.ends());
  const std::string_view text = bytes_of(tokens.text());
  check_range(tokens.first_position(), 0, n_known_tokens(), "first_position");
  check_range(int64_t{tokens.first_position()} + static_cast<int64_t>(ids.size()), 0, max_tokens, "the tokens' end");
  check_size(classes.size(), ids.size(), "classes");
  check_size(ends.size(), ids.size(), "ends");
  uint32_t end = 0;
  for (size_t i = 0; i < ids.size(); ++i) {
    check_id(ids[i]);
    check_class(classes[i]);
    if (ends[i] < end) throw Error("a token's text ends before it begins");
    check_token_text(ends[i] - end);
    end = ends[i];
  }
  if (end != text.size())
    throw Error("the tokens' text ends at byte " + number(end) + "; it has " + std::to_string(text.size()));
  const auto first = static_cast<size_t>(tokens.first_position());
  const size_t text_from = first < static_cast<size_t>(n_known_tokens()) ? tokens_[first].text_begin
                           : is_stale_                                   ? 0
                                                                         : token_text_.size();
  check_text(text_from + text.size());

  forget_if_stale();
  size_t n_same = 0;
  while (n_same < ids.size() && first + n_same < tokens_.size() && tokens_[first + n_same].id == ids[n_same]) ++n_same;
  cut_cache(static_cast<int32_t>(first + n_same));
  tokens_.resize(first);
  token_text_.resize(text_from);
  uint32_t begin = 0;
  for (size_t i = 0; i < ids.size(); ++i) {
    add_token(ids[i], static_cast<TokenClass>(classes[i]), text.substr(begin, ends[i] - begin));
    begin = ends[i];
  }
  tokens_changed(tokens.first_position());
}

void Mirror::check(const stream::Snapshot& snapshot, std::span<const int32_t> n_kept, int64_t page_bytes) const {
  check_open("counters");
  check_range(snapshot.kv_live_bytes(), 0, max_bytes, "kv_live_bytes");
  check_range(snapshot.kv_full_bytes(), 0, max_bytes, "kv_full_bytes");
  check_range(snapshot.kv_pool_bytes(), 0, max_bytes, "kv_pool_bytes");
  check_range(snapshot.kv_peak_bytes(), 0, max_bytes, "kv_peak_bytes");
  check_range(snapshot.turn_log_bytes(), 0, max_bytes, "turn_log_bytes");
  check_range(snapshot.resident_bytes(), 0, max_bytes, "resident_bytes");
  const auto lengths = span_of(snapshot.lengths());
  const auto pages = span_of(snapshot.pages());
  check_size(lengths.size(), n_heads(), "lengths");
  check_size(pages.size(), n_heads(), "pages");
  int64_t n_pages = 0;
  for (size_t head = 0; head < n_heads(); ++head) {
    if (lengths[head] != n_kept[head])
      throw Error("the event says that head " + std::to_string(head) + " holds " + number(lengths[head]) +
                  " tokens; it holds " + number(n_kept[head]));
    check_range(pages[head], (int64_t{lengths[head]} + model_->page_tokens - 1) / model_->page_tokens,
                most_pages_a_head(model_->n_ctx, model_->page_tokens), "a head's number of pages");
    n_pages += pages[head];
  }
  if (n_pages > snapshot.kv_live_bytes() / page_bytes)
    throw Error("the heads hold " + number(n_pages) + " pages of " + number(page_bytes) +
                " bytes, more than kv_live_bytes, which is " + number(snapshot.kv_live_bytes()));
}

void Mirror::change(const stream::Snapshot& snapshot, double time_ms) {
  const auto pages = span_of(snapshot.pages());
  pages_.assign(pages.begin(), pages.end());
  kept_.forget_most();
  is_counted_ = false;
  now_ = {.time_ms = time_ms,
          .n_tokens = snapshot.n_tokens(),
          .kv_live_bytes = snapshot.kv_live_bytes(),
          .kv_full_bytes = snapshot.kv_full_bytes(),
          .kv_pool_bytes = snapshot.kv_pool_bytes()};
  kv_peak_bytes_ = snapshot.kv_peak_bytes();
  turn_log_bytes_ = snapshot.turn_log_bytes();
  resident_bytes_ = snapshot.resident_bytes();
  if (history_.size() >= max_samples) {
    // In a very long session every second sample is dropped.
    for (size_t i = 0; i < history_.size() / 2; ++i) history_[i] = history_[2 * i];
    history_.resize(history_.size() / 2);
  }
  history_.push_back(now_);
}

namespace {

std::vector<HeadBudget> read_budgets(const stream::CacheRebuilt& rebuilt, size_t n_heads) {
  const auto tokens = span_of(rebuilt.budget_tokens());
  const auto of_tokens = span_of(rebuilt.budget_of_tokens());
  const auto grows = span_of(rebuilt.budget_grows());
  if (!tokens.empty()) check_size(tokens.size(), n_heads, "budget_tokens");
  check_size(of_tokens.size(), tokens.size(), "budget_of_tokens");
  check_size(grows.size(), tokens.size(), "budget_grows");
  std::vector<HeadBudget> budgets(n_heads);
  for (size_t head = 0; head < tokens.size(); ++head) {
    check_range(of_tokens[head], 0, max_tokens, "the columns of a head's budget");
    check_range(grows[head], 0, 1, "whether a head's budget grows");
    // A growing budget is a share of the columns within reach, so it is at most of_tokens.
    check_range(tokens[head], -1, grows[head] != 0 ? of_tokens[head] : max_tokens, "a head's budget");
    if (tokens[head] < 0) continue;  // this head has no budget
    budgets[head] = {.tokens = tokens[head], .of_tokens = of_tokens[head], .grows = grows[head] != 0};
  }
  return budgets;
}

}  // namespace

void Mirror::take(const stream::CacheRebuilt& rebuilt, double time_ms) {
  check_open("a cache");
  const stream::Snapshot& snapshot = there(rebuilt.snapshot(), "the snapshot");
  const int32_t n_tokens = snapshot.n_tokens();
  check_range(n_tokens, 0, std::min(n_known_tokens(), model_->n_ctx), "n_tokens");
  check_range(n_tokens, 0, StreamLimits::max_cached_tokens(kept_.n_heads()), "n_tokens");
  if (rebuilt.forgets() && (n_tokens > 0 || turn_))
    throw Error(turn_ ? "the conversation was forgotten while a turn runs"
                      : "the conversation was forgotten, but the cache holds " + number(n_tokens) + " tokens");
  CacheConfig config = from_stream(there(rebuilt.config(), "the configuration"));
  check_importance(config, n_heads());
  const std::vector<HeadBudget> budgets = read_budgets(rebuilt, n_heads());
  const int64_t page_bytes = rebuilt.page_bytes() != 0 ? rebuilt.page_bytes() : model_->page_bytes;
  if (rebuilt.page_bytes() != 0)
    check_page_bytes(rebuilt.page_bytes(), kept_.n_heads(), model_->n_ctx, model_->page_tokens);
  const auto policies = span_of(rebuilt.policies());
  const auto recoveries = span_of(rebuilt.recoveries());
  const auto kept = span_of(rebuilt.kept());
  const size_t row_bytes = (static_cast<size_t>(n_tokens) + 7) / 8;
  check_size(policies.size(), n_heads(), "policies");
  check_size(kept.size(), n_heads() * row_bytes, "kept");
  if (!recoveries.empty()) check_size(recoveries.size(), n_heads() * n_unions, "recoveries");
  for (const double recovery : recoveries) check_number(recovery, 1.001, "a recovery");
  for (const uint8_t parts : policies) policy_from_stream(parts);
  std::vector<int32_t> n_kept;
  for (size_t head = 0; head < n_heads(); ++head) {
    const std::span<const uint8_t> row = kept.subspan(head * row_bytes, row_bytes);
    if (n_tokens % 8 != 0 && row.back() >> n_tokens % 8 != 0)
      throw Error("the event says that head " + std::to_string(head) + " holds a position after the last token");
    n_kept.push_back(count_bits(row));
  }
  check(snapshot, n_kept, page_bytes);

  if (rebuilt.forgets()) forget_conversation();
  kept_.assign(n_tokens, kept);
  n_cached_ = n_tokens;
  has_profile_ = !recoveries.empty();
  heads_.resize(n_heads());
  for (size_t head = 0; head < n_heads(); ++head) {
    heads_[head].policy = Policy{policies[head]};
    heads_[head].budget = budgets[head];
    heads_[head].profile = {};
    if (has_profile_) std::copy_n(&recoveries[head * n_unions], n_unions, heads_[head].profile.recoveries.begin());
  }
  config_ = std::move(config);
  cache_note_ = shown_sentence(rebuilt.note());
  model_->page_bytes = page_bytes;
  change(snapshot, time_ms);
  if (turn_ && !turn_->is_generating && n_tokens == turn_->n_prompt_tokens) {
    turn_->is_generating = true;
    turn_->generating_since_ms = time_ms;
  }
}

void Mirror::check_evictions(const stream::Step& step) const {
  const auto heads = span_of(step.evicted_heads());
  const auto positions = span_of(step.evicted_positions());
  check_size(positions.size(), heads.size(), "evicted_positions");
  const auto place = [&](size_t i) { return uint64_t{heads[i]} << 32 | static_cast<uint32_t>(positions[i]); };
  bool is_ascending = true;
  for (size_t i = 0; i < heads.size(); ++i) {
    check_range(heads[i], 0, static_cast<int64_t>(n_heads()) - 1, "an evicting head");
    check_range(positions[i], 0, step.position(), "an evicted position");
    const bool is_held = positions[i] == step.position() || kept_.holds(static_cast<int32_t>(heads[i]), positions[i]);
    if (!is_held)
      throw Error("head " + number(heads[i]) + " evicts position " + number(positions[i]) + ", which it does not hold");
    is_ascending = is_ascending && (i == 0 || place(i - 1) < place(i));
  }
  if (is_ascending) return;
  std::vector<uint64_t> places;
  for (size_t i = 0; i < heads.size(); ++i) places.push_back(place(i));
  std::sort(places.begin(), places.end());
  const auto twice = std::adjacent_find(places.begin(), places.end());
  if (twice != places.end())
    throw Error("head " + std::to_string(*twice >> 32) + " evicts position " + std::to_string(*twice & UINT32_MAX) +
                " twice");
}

void Mirror::take(const stream::Step& step) {
  check_open("a step");
  const int32_t position = step.position();
  if (position != n_cached_)
    throw Error("the step has position " + number(position) + "; the cache holds " + number(n_cached_) + " tokens");
  check_range(position, 0, model_->n_ctx - 1, "the position");
  check_range(position, 0, StreamLimits::max_cached_tokens(kept_.n_heads()) - 1, "the position");
  check_range(position, 0, n_known_tokens(), "the position");
  check_id(step.id());
  check_class(step.token_class());
  const auto at = static_cast<size_t>(position);
  const bool is_known = at < static_cast<size_t>(n_known_tokens());
  if (is_known && tokens_[at].id != step.id())
    throw Error("token " + number(step.id()) + " went through the model at position " + number(position) +
                ", where the conversation has " + number(tokens_[at].id));
  const std::string_view text = bytes_of(step.text());
  check_token_text(text.size());
  check_text(token_text_.size() + text.size());
  check_evictions(step);

  forget_if_stale();
  // For a token that was sampled, the class and all of its bytes are known only now.
  if (is_known && at + 1 == tokens_.size()) {
    token_text_.resize(tokens_[at].text_begin);
    tokens_.pop_back();
  }
  if (at == tokens_.size()) add_token(step.id(), static_cast<TokenClass>(step.token_class()), text);
  kept_.append();
  ++n_cached_;
  const auto evicted_heads = span_of(step.evicted_heads());
  const auto evicted_positions = span_of(step.evicted_positions());
  for (size_t i = 0; i < evicted_heads.size(); ++i)
    kept_.evict(static_cast<int32_t>(evicted_heads[i]), evicted_positions[i]);
  is_counted_ = false;
}

std::span<const MirrorHead> Mirror::heads() const {
  if (heads_.size() == n_heads() && is_counted_) return heads_;
  heads_.resize(n_heads());
  for (size_t head = 0; head < n_heads(); ++head) {
    heads_[head].kept_tokens = kept_.n_kept(static_cast<int32_t>(head));
    // A head adds a page when its last page is full. Until the next Snapshot no page counts as returned.
    const int32_t needed = kept_.most_kept(static_cast<int32_t>(head)) - 1;
    heads_[head].pages = std::max(pages_.empty() ? 0 : pages_[head], needed < 0 ? 0 : needed / model_->page_tokens + 1);
  }
  is_counted_ = true;
  return heads_;
}

size_t Mirror::memory_bytes() const {
  constexpr size_t bytes_a_message = sizeof(MirrorMessage) + 64;  // 64: heap overhead of two strings and the ids
  return sizeof(Mirror) + kept_.memory_bytes() + heads_.size() * sizeof(MirrorHead) + pages_.size() * sizeof(int32_t) +
         history_.size() * sizeof(MirrorSample) + tokens_.size() * sizeof(MirrorToken) + token_text_.size() +
         messages_.size() * bytes_a_message + message_bytes_;
}

}  // namespace headroom
