// A model and a few texts ─► its table of importance: the loss with each KV head alone cut, then the score and the beta
// with which shared budgets lose least on other texts. Works on one CacheLab; what was measured is handed out at once,
// so that a run which was killed goes on where it stood.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/run/cache_lab.h"
#include "engine/run/calibration_table.h"

namespace headroom {

struct CalibrateOptions {
  struct Text {
    std::string name;
    std::string text;
  };
  std::vector<Text> measure_on;    // heads are measured on these
  std::vector<Text> choose_on;     // score and beta are chosen on these; at least two, of different kinds, are wise
  std::string version;             // of the program
  int32_t n_tokens = 16;           // teacher-forced tokens of a text for each head
  int32_t n_choice_tokens = 32;    // and for each choice
  int32_t max_text_tokens = 1536;  // of a longer text a part is taken, by the seed
  double head_share = 0.25;
  std::vector<double> keeps{0.5, 0.35, 0.25};
  std::vector<double> betas{0, 0.3, 0.5, 0.8, 1, 1.2};
  uint64_t seed = 1;
};

/// Texts with fewer tokens say too little: a quarter of them is hardly more than what is protected.
inline constexpr int32_t min_calibration_tokens = 256;

/// Results by the name of what was measured: "expected/prose.txt/17" is head 17 by the expected score on that text.
using CalibrationResults = std::map<std::string, double>;

class CalibrateObserver {
 public:
  virtual ~CalibrateObserver() = default;
  virtual void on_progress(int64_t n_steps_done, int64_t n_steps) = 0;  // steps: tokens that go through the model
  virtual void on_result(const std::string& name, double kl) = 0;       // to be kept for a later run
  virtual bool stop_requested() { return false; }
};

/// The same result for the same model, texts and options, on the same backend. known: results of an earlier run that
/// are not measured again. Leaves the session empty. Throws Error for texts that are too short, logits that are not
/// numbers, and where the observer stops it.
Calibration calibrate(const Model& model, CacheLab& session, const CalibrateOptions& options,
                      const CalibrationResults& known, CalibrateObserver& observer);

}  // namespace headroom
