// Measures head by head, then tries scores and betas. See calibrator.h.
#include "engine/run/calibrator.h"

#include <algorithm>
#include <random>

#include "engine/base/error.h"
#include "engine/run/divergence.h"

namespace headroom {
namespace {

constexpr TokenScore measured_scores[] = {TokenScore::accumulated, TokenScore::expected};
constexpr TokenScore tried_scores[] = {TokenScore::accumulated, TokenScore::expected, TokenScore::mixed};

/// A pair of score and beta, and what it lost on each text at each share so far.
struct Candidate {
  CalibrationTrial trial;
  std::vector<double> losses;
};

struct EncodedText {
  std::string name;
  std::vector<TokenId> ids;
  CalibrationText about;
};

class Calibrator : private TurnObserver {
 public:
  Calibrator(const Model& model, CacheLab& session, const CalibrateOptions& options, const CalibrationResults& known,
             CalibrateObserver& observer)
      : model_(model), session_(session), options_(options), known_(known), observer_(observer) {
    measured_ = encode(options.measure_on);
    choosing_ = encode(options.choose_on);
    const auto n_measured = static_cast<int64_t>(measured_.size()), n_choosing = static_cast<int64_t>(choosing_.size());
    n_steps_ = static_cast<int64_t>(std::size(measured_scores)) * n_measured * (n_heads() + 1) * options.n_tokens +
               n_choosing * (static_cast<int64_t>(std::size(tried_scores)) * n_choices() + 1) * options.n_choice_tokens;
  }

  Calibration run() {
    Calibration result{.version = options_.version,
                       .model_name = model_.config().name,
                       .fingerprint = model_fingerprint(model_),
                       .n_layers = model_.config().n_layers,
                       .n_kv_heads = model_.config().n_kv_heads,
                       .measured_on = about(measured_),
                       .chosen_on = about(choosing_),
                       .n_tokens = options_.n_tokens,
                       .head_share = options_.head_share,
                       .keeps = options_.keeps,
                       .seed = options_.seed,
                       .trials = {}};
    result.accumulated_losses = measure_heads(TokenScore::accumulated);
    result.expected_losses = measure_heads(TokenScore::expected);
    result.trials = choose(result);
    result.score = result.trials.front().score;
    result.beta = result.trials.front().beta;
    session_.clear();
    return result;
  }

 private:
  int64_t n_heads() const { return int64_t{model_.config().n_layers} * model_.config().n_kv_heads; }
  int64_t n_choices() const { return static_cast<int64_t>(options_.betas.size() * options_.keeps.size()); }
  bool stop_requested() override { return observer_.stop_requested(); }

  static std::vector<CalibrationText> about(const std::vector<EncodedText>& texts) {
    std::vector<CalibrationText> list;
    for (const EncodedText& text : texts) list.push_back(text.about);
    return list;
  }

  std::vector<EncodedText> encode(const std::vector<CalibrateOptions::Text>& texts) const {
    std::vector<EncodedText> encoded;
    for (const CalibrateOptions::Text& text : texts) {
      check_prompt_text(text.text, text.name);
      // Heads matter for what the model is used for: a chat where it has a template, else the text's own continuation.
      std::vector<TokenId> ids =
          model_.chat_template() != nullptr
              ? encode_chat(model_, {{.role = "user", .content = text.text + "\n\nContinue.", .ids = {}}}).ids
              : encode_raw(model_, text.text, false);
      const int32_t n_room =
          std::min(options_.max_text_tokens, session_.n_ctx() - std::max(options_.n_tokens, options_.n_choice_tokens));
      if (n_room < min_calibration_tokens)
        throw Error("the context of " + std::to_string(session_.n_ctx()) + " tokens has no room for a text; expected " +
                    std::to_string(min_calibration_tokens) + " beside the tokens that are followed");
      const auto room = static_cast<size_t>(n_room);
      if (ids.size() > room) {
        std::mt19937_64 random(options_.seed);
        const size_t first = random() % (ids.size() - room + 1);
        ids.assign(ids.begin() + static_cast<std::ptrdiff_t>(first),
                   ids.begin() + static_cast<std::ptrdiff_t>(first + room));
      }
      if (ids.size() < min_calibration_tokens)
        throw Error(text.name + " has " + std::to_string(ids.size()) + " tokens; expected at least " +
                    std::to_string(min_calibration_tokens) + " to calibrate on");
      const auto n_tokens = static_cast<int32_t>(ids.size());
      encoded.push_back({text.name, std::move(ids), {text.name, content_hash(text.text), n_tokens}});
    }
    return encoded;
  }

  CacheConfig config_of(TokenScore score, double keep) const {
    CacheConfig config = *find_cache_config("uniform");
    config.score = score;
    config.keep = keep;
    return config;
  }

  /// Reads a text with every head whole and its tokens in the order of a score.
  std::span<const float> read(const EncodedText& text, TokenScore score) {
    session_.clear();
    session_.set_cache_config(config_of(score, 1));
    const std::span<const float> logits = session_.prefill(text.ids, *this);
    session_.mark();
    return logits;
  }

  /// The cache is whole: writes the answer that others are compared with, and goes back to the end of the text.
  void write_answer(std::span<const float> logits, int32_t n_tokens) {
    answer_.clear();
    teacher_.clear();
    for (int32_t i = 0; i < n_tokens; ++i) {
      answer_.push_back(arg_max(logits));
      logits = feed(answer_.back());
      teacher_.emplace_back(logits.begin(), logits.end());
    }
    return_to_text();
  }

  [[noreturn]] static void throw_lost_text() {
    throw Error(ErrorKind::out_of_memory, "memory ran out between two measurements; the results so far are kept");
  }

  void return_to_text() {
    if (!session_.return_to_mark()) throw_lost_text();
  }

  std::span<const float> feed(TokenId id) {
    if (observer_.stop_requested()) throw Error("the calibration was stopped; the results so far are kept");
    observer_.on_progress(++n_steps_done_, n_steps_);
    return session_.feed(id);
  }

  /// Mean divergence over the answer with the heads as they are cut.
  double follow_answer() {
    double sum = 0;
    for (size_t i = 0; i < answer_.size(); ++i) sum += kl_divergence(teacher_[i], feed(answer_[i]));
    return_to_text();
    return sum / static_cast<double>(answer_.size());
  }

  /// A result that is known, or what `measure` gives.
  template <typename Measure>
  double result(const std::string& name, int32_t n_tokens, Measure measure) {
    if (const auto found = known_.find(name); found != known_.end()) {
      observer_.on_progress(n_steps_done_ += n_tokens, n_steps_);
      return found->second;
    }
    const double kl = measure();
    observer_.on_result(name, kl);
    return kl;
  }

  static std::string name_of(TokenScore score, const EncodedText& text) {
    return std::string(token_score_name(score)) + "/" + text.name + "/";
  }

  /// Geometric means over the texts: budgets follow the logarithm of a loss, and no text with large losses decides.
  std::vector<double> measure_heads(TokenScore score) {
    std::vector<std::vector<double>> by_head(static_cast<size_t>(n_heads()));
    for (const EncodedText& text : measured_) {
      bool is_read = false;
      for (size_t head = 0; head < by_head.size(); ++head)
        by_head[head].push_back(result(name_of(score, text) + std::to_string(head), options_.n_tokens, [&] {
          if (!is_read) write_answer(read(text, score), options_.n_tokens);
          is_read = true;
          cut_one(head, static_cast<int32_t>(text.ids.size()));
          return follow_answer();
        }));
    }
    std::vector<double> losses;
    for (const std::vector<double>& of_texts : by_head) losses.push_back(geometric_mean(of_texts));
    return losses;
  }

  void cut_one(size_t head, int32_t n_tokens) {
    const int32_t window = model_.config().window_of(static_cast<int32_t>(head));
    std::vector<int32_t> tokens(static_cast<size_t>(n_heads()), -1);
    tokens[head] = static_cast<int32_t>(options_.head_share * reachable_tokens(n_tokens, window));
    session_.cut_heads(tokens);
  }

  /// Best first. A text is read once for all pairs of score and beta; those that lose twice as much as the best of two
  /// texts or more are not followed on the others.
  std::vector<CalibrationTrial> choose(const Calibration& measured) {
    std::vector<Candidate> candidates;
    for (const TokenScore score : tried_scores)
      for (const double beta : options_.betas) candidates.push_back({{score, beta, 0}, {}});
    for (size_t i = 0; i < choosing_.size(); ++i) {
      if (i >= 2) drop_hopeless(candidates, choosing_.size() - i);
      const EncodedText& text = choosing_[i];
      bool is_read = false;
      for (Candidate& candidate : candidates) {
        for (const double keep : options_.keeps) {
          const std::string name = name_of(candidate.trial.score, text) + "beta " +
                                   std::to_string(candidate.trial.beta) + "/keep " + std::to_string(keep);
          candidate.losses.push_back(result(name, options_.n_choice_tokens, [&] {
            if (!is_read)
              write_answer(session_.prefill_for_all(text.ids, CacheType::f16, *this), options_.n_choice_tokens);
            is_read = true;
            Calibration as_tried = measured;
            as_tried.score = candidate.trial.score;
            as_tried.beta = candidate.trial.beta;
            if (!session_.choose_under(with_calibration(config_of(candidate.trial.score, keep), as_tried)))
              throw_lost_text();
            return follow_answer();
          }));
        }
        candidate.trial.geometric_mean_kl = geometric_mean(candidate.losses);
      }
      std::stable_sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
        return a.trial.geometric_mean_kl < b.trial.geometric_mean_kl;
      });
    }
    std::vector<CalibrationTrial> trials;
    for (const Candidate& candidate : candidates) trials.push_back(candidate.trial);
    return trials;
  }

  void drop_hopeless(std::vector<Candidate>& candidates, size_t n_texts_left) {
    const double bound = 2 * candidates.front().trial.geometric_mean_kl;
    const size_t n_dropped = std::erase_if(
        candidates, [&](const Candidate& candidate) { return candidate.trial.geometric_mean_kl > bound; });
    n_steps_ -= static_cast<int64_t>(n_dropped * n_texts_left * options_.keeps.size()) * options_.n_choice_tokens;
  }

  const Model& model_;
  CacheLab& session_;
  const CalibrateOptions& options_;
  const CalibrationResults& known_;
  CalibrateObserver& observer_;
  std::vector<EncodedText> measured_, choosing_;
  std::vector<TokenId> answer_;
  std::vector<std::vector<float>> teacher_;  // logits that follow each token of the answer, with the full cache
  int64_t n_steps_ = 0;
  int64_t n_steps_done_ = 0;
};

}  // namespace

Calibration calibrate(const Model& model, CacheLab& session, const CalibrateOptions& options,
                      const CalibrationResults& known, CalibrateObserver& observer) {
  if (options.measure_on.empty() || options.choose_on.empty())
    throw Error("there is no text to calibrate on; expected at least one to measure heads on and one to choose on");
  return Calibrator(model, session, options, known, observer).run();
}

}  // namespace headroom
