// Going back: templates that drop earlier reasoning, and any other edit of a conversation, restore the cache to the
// newest mark that both versions share. Only the tokens behind it are prefilled. The cache then equals bit for bit that
// of a conversation that was fed the same pieces without a detour.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <random>

#include "engine/backend/registry.h"
#include "engine/run/cache_lab.h"
#include "tests/run/tiny_session.h"
#include "tests/support/effort.h"

using namespace headroom;
using Catch::Matchers::Contains;

namespace going_back_test {
namespace {

using test::tiny;

/// How the ids of a cache were added: separate prefills, and single tokens.
class Timeline {
 public:
  struct Piece {
    std::vector<TokenId> ids;
    bool is_prefill = false;
  };

  /// The beginning of the turn: where the cache went back to.
  void cut(size_t n) {
    while (n_ > n) {
      Piece& last = pieces_.back();
      const size_t too_much = std::min(n_ - n, last.ids.size());
      REQUIRE((!last.is_prefill || too_much == last.ids.size()));  // marks are between prefills
      last.ids.resize(last.ids.size() - too_much);
      n_ -= too_much;
      if (last.ids.empty()) pieces_.pop_back();
    }
  }
  void add(std::span<const TokenId> ids, bool is_prefill) {
    if (ids.empty()) return;
    n_ += ids.size();
    if (is_prefill || pieces_.empty() || pieces_.back().is_prefill) pieces_.push_back({{}, is_prefill});
    pieces_.back().ids.insert(pieces_.back().ids.end(), ids.begin(), ids.end());
  }
  void play(CacheLab& session) const {
    TurnObserver silent;
    session.clear();
    for (const Piece& piece : pieces_) {
      if (piece.is_prefill) session.prefill(piece.ids, silent);
      for (const TokenId id : piece.ids)
        if (!piece.is_prefill) session.feed(id);
    }
  }
  size_t size() const { return n_; }

 private:
  std::vector<Piece> pieces_;
  size_t n_ = 0;
};

struct Watcher : TurnObserver {
  int32_t n_cached = 0, n_left_to_ask = 1 << 30;
  int64_t kv_budget_bytes = 0, most_live_bytes = 0;
  const CacheLab* session = nullptr;
  void on_turn_start(const TurnStart& start) override { n_cached = start.n_cached; }
  void on_cache_rebuilt() override { look(); }
  void on_step(const TokenStep&) override { look(); }
  void on_token(TokenId, std::string_view) override { look(); }
  bool stop_requested() override { return n_left_to_ask-- <= 0; }
  void look() {
    if (session != nullptr) most_live_bytes = std::max(most_live_bytes, session->cache_state().kv_live_bytes);
  }
};

/// A second session on the same model, which is fed only the pieces of the first one's timeline.
struct Pair {
  const Model& model;
  std::unique_ptr<Backend> backend, straight_backend;
  CacheLab session, straight;
  Watcher watcher;
  Timeline timeline;
  std::vector<ChatMessage> messages;
  std::vector<TokenId> generated;  // the last prompt and its answer, closed tokens included

  Pair(const Model& model_, const CacheConfig& config, UndoLimits limits = {}, const std::string& backend_name = "cpu")
      : model(model_),
        backend(make_backend({.name = backend_name, .n_threads = 2})),
        straight_backend(make_backend({.name = backend_name, .n_threads = 2})),
        session(model, *backend, {.cache = config, .n_ctx = 0, .undo_log = limits}),
        straight(model, *straight_backend, {.cache = config, .n_ctx = 0}) {
    watcher.session = &session;
  }

  TurnResult answer(int32_t n_tokens, uint64_t seed = 3) {
    TurnOptions options;
    options.sampler.seed = seed;
    options.max_tokens = n_tokens;
    options.ignore_end_of_turn = true;
    const EncodedChat chat = encode_chat(model, messages, {}, generated);
    watcher.n_cached = static_cast<int32_t>(session.ids().size());  // a turn may end before it starts
    const TurnResult result = session.run_turn(messages, options, watcher);
    generated = chat.ids;
    generated.insert(generated.end(), result.ids.begin(), result.ids.end());
    const std::vector<TokenId>& ids = session.ids();
    const auto n_cached = static_cast<size_t>(watcher.n_cached), split = static_cast<size_t>(chat.n_before_answer);
    timeline.cut(std::min(n_cached, ids.size()));
    if (ids.size() >= chat.ids.size()) {  // it was read
      const std::span<const TokenId> read = std::span(ids).first(chat.ids.size());
      if (n_cached < split) timeline.add(read.subspan(n_cached, split - n_cached), true);
      timeline.add(read.subspan(std::max(n_cached, split)), true);
      timeline.add(std::span(ids).subspan(chat.ids.size()), false);
    }
    CHECK(timeline.size() == ids.size());
    return result;
  }

  void check_straight() {
    timeline.play(straight);
    CHECK(session.ids() == straight.ids());
    CHECK(session.dump() == straight.dump());
    const CacheState now = session.cache_state(), wanted = straight.cache_state();
    for (size_t head = 0; head < now.heads.size(); ++head) CHECK(now.heads[head].budget == wanted.heads[head].budget);
    CHECK(session.cache_state().kv_live_bytes == straight.cache_state().kv_live_bytes);
  }
};

std::string read_template(const std::string& name) {
  std::ifstream file(std::string(HEADROOM_TEST_DATA "/templates/") + name);
  REQUIRE(file);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// A tiny model with one of the templates of reasoning models; SmolLM3's uses the date, which is fixed here.
Model reasoning_model(const std::string& template_name) {
  static std::map<std::string, std::vector<std::byte>> files;
  std::vector<std::byte>& bytes = files[template_name];
  if (bytes.empty()) {
    std::string text = read_template(template_name);
    for (size_t at; (at = text.find("strftime_now(\"%d %B %Y\")")) != std::string::npos;)
      text.replace(at, std::string("strftime_now(\"%d %B %Y\")").size(), "'01 May 2026'");
    REQUIRE(text.find("strftime_now(") == std::string::npos);
    test::GgufWriter writer = test::make_tiny_model(Architecture::llama);
    writer.set("tokenizer.chat_template", text);
    bytes = writer.bytes();
  }
  return Model(load_model_file(GgufFile::from_bytes(bytes, "tiny.gguf")));
}

const std::vector<std::string> reasoning_templates{"Qwen-Qwen3-0.6B.jinja",
                                                   "deepseek-ai-DeepSeek-R1-Distill-Llama-8B.jinja",
                                                   "google-gemma-4-31B-it.jinja", "HuggingFaceTB-SmolLM3-3B.jinja"};

/// An answer of a reasoning model, which follows the template's head of the answer.
std::string reasoned_answer(const std::string& template_name, int turn) {
  const std::string thought = "Well, question " + std::to_string(turn) + " wants some thought; let me see, then.";
  const std::string answer = "Answer " + std::to_string(turn) + ": it depends, as so often.";
  if (template_name.starts_with("google")) return "<|channel>thought\n" + thought + "<channel|>" + answer;
  if (template_name.starts_with("deepseek")) return thought + "\n</think>\n\n" + answer;
  return "<think>\n" + thought + "\n</think>\n\n" + answer;
}

}  // namespace

TEST_CASE(
    "with templates that drop earlier reasoning a turn reads the last exchange, and the cache is that of a "
    "conversation that never held the reasoning",
    "[going_back]") {
  const std::string template_name = GENERATE(from_range(reasoning_templates));
  const std::string config = GENERATE("full", "paper", "headroom");
  CAPTURE(template_name, config);
  const Model model = reasoning_model(template_name);
  Pair chat(model, *find_cache_config(config));
  int32_t n_before_last_answer = 0;
  for (int turn = 1; turn <= 8; ++turn) {
    CAPTURE(turn);
    chat.messages.push_back({"user", "Question " + std::to_string(turn) + ": what is it, and why?", {}});
    const TurnResult result = chat.answer(0);
    if (turn > 1) {
      // SmolLM3's template keeps the reasoning: its turns continue where the last one ended.
      const bool drops_reasoning = !template_name.starts_with("HuggingFaceTB");
      CHECK(result.action == (drops_reasoning ? CacheAction::undone : CacheAction::appended));
      if (drops_reasoning) CHECK_THAT(result.action_reason, Contains("the last answer is written differently"));
      CHECK(result.n_prefilled_tokens <= result.n_prompt_tokens - n_before_last_answer);
    }
    if (test::runs_long_tests() && config == "full")
      std::cout << template_name << ", turn " << turn << ": " << result.n_prefilled_tokens << " of "
                << result.n_prompt_tokens << " tokens read\n";
    n_before_last_answer = encode_chat(model, chat.messages).n_before_answer;
    CHECK(n_before_last_answer < result.n_prompt_tokens);
    const std::string answer = reasoned_answer(template_name, turn);
    const std::vector<TokenId> ids = model.tokenizer().encode(answer, true, false);
    for (const TokenId id : ids) chat.session.feed(id);
    chat.timeline.add(ids, false);
    chat.messages.push_back({"assistant", answer, ids});
    if (turn % 4 == 0) chat.check_straight();
  }
  if (config != "full") return;
  // The text equals that of a conversation which is prefilled as a whole. Chunks differ only in their rounding.
  chat.messages.push_back({"user", "And now?", {}});
  TurnOptions options;
  options.sampler.temperature = 0;
  options.max_tokens = 24;
  options.ignore_end_of_turn = true;
  const TurnResult went_back = chat.session.run_turn(chat.messages, options, chat.watcher);
  chat.straight.clear();
  const TurnResult whole = chat.straight.run_turn(chat.messages, options, chat.watcher);
  CHECK(whole.action == CacheAction::first_turn);
  CHECK(went_back.n_prefilled_tokens < whole.n_prefilled_tokens / 4);
  CHECK(went_back.text == whole.text);
  for (size_t i = 0; i < 10; ++i)
    CHECK(went_back.first_token_top[i].logit == Approx(whole.first_token_top[i].logit).margin(1e-3));
}

TEST_CASE("the head of the answer is read on its own and chooses nothing: figures are those of the message",
          "[going_back]") {
  const Model model = tiny(Architecture::llama);
  const std::string text(300, 'x');
  for (const char* name : {"paper", "headroom"}) {
    Pair chat(model, *find_cache_config(name));
    chat.messages.push_back({"user", text, {}});
    struct Progress : Watcher {
      std::vector<PrefillProgress> seen;
      void on_prefill(const PrefillProgress& progress) override { seen.push_back(progress); }
    } progress;
    TurnOptions options;
    options.max_tokens = 0;
    const TurnResult result = chat.session.run_turn(chat.messages, options, progress);
    const EncodedChat encoded = encode_chat(model, chat.messages);
    CHECK(result.n_prompt_tokens == static_cast<int32_t>(encoded.ids.size()));
    CHECK(result.n_prefilled_tokens == result.n_prompt_tokens);
    CHECK(result.first_token_top.size() == 10);
    CHECK(result.prefill_ms > 0);
    CHECK(progress.seen.back().fraction == 1);
    CHECK(progress.seen.back().layer == progress.seen.back().n_layers);
    for (size_t i = 1; i < progress.seen.size(); ++i) {
      CHECK(progress.seen[i].fraction > progress.seen[i - 1].fraction);
      CHECK(progress.seen[i].layer >= progress.seen[i - 1].layer);
      CHECK(progress.seen[i].n_tokens == result.n_prompt_tokens);
    }
    TurnObserver silent;
    chat.straight.prefill(std::span(encoded.ids).first(static_cast<size_t>(encoded.n_before_answer)), silent);
    const CacheState of_message = chat.straight.cache_state(), of_turn = chat.session.cache_state();
    CHECK(of_turn.has_profile);
    for (size_t head = 0; head < of_turn.heads.size(); ++head) {
      CHECK(of_turn.heads[head].recovery == of_message.heads[head].recovery);
      CHECK(of_turn.heads[head].policy == of_message.heads[head].policy);
    }
  }
}

TEST_CASE("a prompt without an answer is encoded anew in the same pieces as in its turn", "[going_back]") {
  const Model model = tiny(Architecture::llama);
  Pair chat(model, *find_cache_config("paper"));
  chat.messages.push_back({"user", "One two three, four five six. " + std::string(100, 'x'), {}});
  chat.answer(0);
  const std::vector<CacheLab::HeadDump> before = chat.session.dump();
  const CacheState state = chat.session.cache_state();
  TurnObserver silent;
  CHECK(chat.session.re_encode(silent).action == CacheAction::re_encoded);
  CHECK(chat.session.dump() == before);
  for (size_t head = 0; head < state.heads.size(); ++head)
    CHECK(chat.session.cache_state().heads[head].recovery == state.heads[head].recovery);
  chat.answer(20);
  TurnObserver nobody;
  chat.session.re_encode(nobody);  // with an answer behind it: in one
  chat.straight.prefill(chat.session.ids(), silent);
  CHECK(chat.session.dump() == chat.straight.dump());
}

TEST_CASE("an edit of any turn goes back to where that turn began, as far as the log reaches", "[going_back]") {
  const Model model = tiny(Architecture::llama);
  for (const int64_t old_turns_bytes : {int64_t{32} << 20, int64_t{0}}) {
    CAPTURE(old_turns_bytes);
    Pair chat(model, *find_cache_config("paper"), {.old_turns_bytes = old_turns_bytes});
    std::vector<size_t> n_at_turn;
    for (int turn = 0; turn < 6; ++turn) {
      n_at_turn.push_back(chat.session.ids().size());
      chat.messages.push_back({"user", "Message " + std::to_string(turn) + std::string(60, 'a'), {}});
      const TurnResult result = chat.answer(20);
      chat.messages.push_back({"assistant", result.text, result.ids});
    }
    chat.messages.resize(5);  // up to the third turn's message
    chat.messages.back().content = "Another third message.";
    const TurnResult result = chat.answer(5);
    if (old_turns_bytes > 0) {
      CHECK(result.action == CacheAction::undone);
      CHECK_THAT(result.action_reason, Contains("the cache went back to token " + std::to_string(n_at_turn[2])));
      CHECK(result.n_prefilled_tokens == result.n_prompt_tokens - static_cast<int32_t>(n_at_turn[2]));
    } else {
      CHECK(result.action == CacheAction::re_encoded);
    }
    chat.check_straight();
    // Generates the first turn's answer again: its mark knows what followed the prompt.
    chat.messages.resize(1);
    const TurnResult first = chat.answer(5);
    CHECK(first.n_prefilled_tokens == (old_turns_bytes > 0 ? 0 : first.n_prompt_tokens));
    chat.check_straight();
  }
}

TEST_CASE("turns are taken back one after another, as far as the log reaches", "[going_back]") {
  const Model model = tiny(Architecture::gemma3);
  Pair chat(model, *find_cache_config("paper"));
  std::vector<std::vector<CacheLab::HeadDump>> dumps;
  for (int turn = 0; turn < 4; ++turn) {
    chat.messages.push_back({"user", "Message " + std::to_string(turn) + std::string(70, 'b'), {}});
    const TurnResult result = chat.answer(12);
    chat.messages.push_back({"assistant", result.text, result.ids});
    dumps.push_back(chat.session.dump());
  }
  for (int turn = 2; turn >= 0; --turn) {
    REQUIRE(chat.session.undo_turn());
    CHECK(chat.session.dump() == dumps[static_cast<size_t>(turn)]);
  }
  REQUIRE(chat.session.undo_turn());
  CHECK(chat.session.ids().empty());
  CHECK_FALSE(chat.session.undo_turn());
}

namespace {

struct Setting {
  std::string name;
  CacheConfig config;
  Architecture architecture = Architecture::llama;
  int32_t head_dim = 0;
  UndoLimits limits{};
};

std::vector<Setting> walk_settings() {
  std::vector<Setting> settings;
  for (const Architecture architecture : {Architecture::llama, Architecture::gemma3})
    for (const char* name : {"paper", "headroom", "h2o", "full", "snapkv"})
      settings.push_back({name, *find_cache_config(name), architecture});
  Setting solved{"paper, half of the tokens", with_keep(*find_cache_config("paper"), 0.5)};
  settings.push_back(solved);
  for (const Architecture architecture : {Architecture::llama, Architecture::gemma3}) {
    Setting eight_bits{"headroom, q8_0", *find_cache_config("headroom"), architecture, 32};
    eight_bits.config.cache_type = CacheType::q8_0;
    settings.push_back(eight_bits);
    Setting bounded{"headroom, bytes", *find_cache_config("headroom"), architecture};
    bounded.config.kv_budget_bytes = -5;  // pages per head
    settings.push_back(bounded);
    bounded.config.kv_budget_bytes = -2;  // the least
    settings.push_back(bounded);
    bounded.config.cache_type = CacheType::q8_0;
    bounded.config.kv_budget_bytes = -3;
    bounded.head_dim = 32;
    settings.push_back(bounded);
  }
  for (const char* name : {"paper", "headroom"}) {
    Setting short_log{std::string(name) + ", short of memory for the log", *find_cache_config(name)};
    short_log.limits = {.old_turns_bytes = 20'000, .all_bytes = 45'000};
    settings.push_back(short_log);
    short_log.limits = {.old_turns_bytes = 0, .all_bytes = 4'000};
    settings.push_back(short_log);
  }
  return settings;
}

}  // namespace

TEST_CASE("whatever a person does to a conversation, the cache is that of a straight one, bit for bit", "[walk]") {
  const int n_walks = test::runs_long_tests() ? 40 : 1;
  for (Setting setting : walk_settings())
    for (int walk = 0; walk < n_walks; ++walk) {
      const Model model = tiny(setting.architecture, setting.head_dim);
      if (setting.config.kv_budget_bytes < 0) {
        const PageLayout layout{model.config().head_dim, setting.config.cache_type};
        setting.config.kv_budget_bytes *=
            -int64_t{model.config().n_layers} * model.config().n_kv_heads * static_cast<int64_t>(layout.page_bytes());
      }
      CAPTURE(setting.name, static_cast<int>(setting.architecture), setting.config.kv_budget_bytes, walk);
      Pair chat(model, setting.config, setting.limits);
      std::mt19937 random(static_cast<unsigned>(walk + 1));
      const auto draw = [&](unsigned n) { return static_cast<int>(random() % n); };
      const auto text = [&] {
        std::string words;
        for (int n = 1 + draw(draw(2) == 0 ? 12 : 130); n > 0; --n) words += "abc, de.f gh"[draw(12)];
        return "m" + words;
      };
      std::string done;
      for (int move = 0; move < 16; ++move) {
        const size_t n_turns = chat.messages.size() / 2;
        int kind = n_turns == 0 ? 0 : draw(8);
        if (kind == 1) {  // another answer to the last message
          chat.messages.pop_back();
        } else if (kind == 2) {  // the last message, edited
          chat.messages.pop_back();
          chat.messages.back().content = text();
        } else if (kind == 3) {  // an earlier one
          chat.messages.resize(2 * static_cast<size_t>(draw(static_cast<unsigned>(n_turns))) + 1);
          chat.messages.back().content = text();
        } else if (kind == 4) {  // back to an earlier answer, which is generated again
          chat.messages.resize(2 * static_cast<size_t>(draw(static_cast<unsigned>(n_turns))) + 1);
        } else if (kind == 5) {  // an edited answer
          chat.messages.back() = {"assistant", text(), {}};
          chat.messages.push_back({"user", text(), {}});
        } else if (kind == 6) {  // taken back
          chat.session.undo_turn();
          chat.timeline.cut(chat.session.ids().size());
          chat.messages.resize(2 * (n_turns - 1));
          done += 'u';
          continue;
        } else {
          chat.messages.push_back({"user", text(), {}});
        }
        done += static_cast<char>('0' + kind);
        CAPTURE(done);
        chat.watcher.n_left_to_ask = draw(4) == 0 ? draw(14) : 1 << 30;  // somewhere in the prefill or the answer
        const TurnResult result = chat.answer(draw(30), static_cast<uint64_t>(move));
        if (setting.config.kv_budget_bytes > 0) CHECK(chat.watcher.most_live_bytes <= setting.config.kv_budget_bytes);
        if (result.ids.empty() && result.stop_reason == StopReason::cancelled)
          chat.messages.pop_back();  // the message is taken back
        else
          chat.messages.push_back({"assistant", result.text, result.ids});
        if (move % 5 == 0 || move == 15) chat.check_straight();
      }
    }
}

}  // namespace going_back_test
