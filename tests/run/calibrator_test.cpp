// How calibrate() chooses a score and a beta, on a tiny model with results known in advance.
#include "engine/run/calibrator.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <string>

#include "engine/backend/registry.h"
#include "tests/run/tiny_session.h"

using namespace headroom;

namespace {

struct Recorder final : CalibrateObserver {
  std::vector<std::string> measured;
  int64_t n_done = 0, n_steps = 0;
  void on_progress(int64_t done, int64_t steps) override { n_done = done, n_steps = steps; }
  void on_result(const std::string& name, double) override { measured.push_back(name); }
};

std::string lines_from(int first) {
  std::string text;
  for (int i = first; i < first + 120; ++i)
    text += "Line " + std::to_string(i) + " says " + std::to_string(i * i % 97) + ".\n";
  return text;
}

}  // namespace

TEST_CASE("a pair of score and beta that loses twice as much as the best of two texts is not followed on a third") {
  const Model model = test::tiny(Architecture::llama);
  const auto backend = make_backend({.name = "cpu", .n_threads = 2});
  CacheLab session(model, *backend, {.cache = *find_cache_config("uniform"), .n_ctx = 2048});
  CalibrateOptions options;
  options.measure_on = {{"measure", lines_from(1)}};
  options.choose_on = {{"one", lines_from(200)}, {"two", lines_from(400)}, {"three", lines_from(600)}};
  options.n_tokens = options.n_choice_tokens = 2;

  CalibrationResults known;
  for (const char* score : {"accumulated", "expected"})
    for (int head = 0; head < model.config().n_layers * model.config().n_kv_heads; ++head)
      known[std::string(score) + "/measure/" + std::to_string(head)] = 0.5;
  // Lost on the first two texts: best 0.01; 0.018, which may still become the best; and 0.03, which may not.
  const auto set = [&](const std::string& score, double beta, const std::string& text, double kl) {
    for (const double keep : options.keeps)
      known[score + "/" + text + "/beta " + std::to_string(beta) + "/keep " + std::to_string(keep)] = kl;
  };
  for (const char* score : {"accumulated", "expected", "mixed"})
    for (const double beta : options.betas)
      for (const char* text : {"one", "two"}) set(score, beta, text, 0.03);
  for (const char* text : {"one", "two"}) {
    set("expected", 0.8, text, 0.01);
    set("mixed", 1.2, text, 0.018);
  }
  set("expected", 0.8, "three", 0.09);
  set("mixed", 1.2, "three", 0.002);

  Recorder recorder;
  const Calibration found = calibrate(model, session, options, known, recorder);
  CHECK(recorder.measured.empty());  // only known results were requested
  REQUIRE(found.trials.size() == 2);
  CHECK(found.score == TokenScore::mixed);
  CHECK(found.beta == 1.2);
  CHECK(found.trials[0].geometric_mean_kl == Approx(std::cbrt(0.018 * 0.018 * 0.002)));
  CHECK(found.trials[1].score == TokenScore::expected);
  CHECK(found.trials[1].geometric_mean_kl == Approx(std::cbrt(0.01 * 0.01 * 0.09)));
  CHECK(recorder.n_done <= recorder.n_steps);

  // With two texts, every pair is evaluated to the end.
  options.choose_on.pop_back();
  CHECK(calibrate(model, session, options, known, recorder).trials.size() == 18);
}
