// A model's table of importance ◄─► JSON, and which table belongs to a model: how much its answers lose where one KV
// head alone is cut. Measured once a model by `headroom calibrate`; budgets are shared by it. A table is a stranger's
// file like any other.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/policy.h"
#include "engine/run/model.h"

namespace headroom {

/// A text that took part, so that others can tell which texts did not.
struct CalibrationText {
  std::string name;
  std::string hash;
  int32_t n_tokens = 0;
};

/// Score and beta that were tried, with the loss on the texts that choose.
struct CalibrationTrial {
  TokenScore score = TokenScore::accumulated;
  double beta = 0;
  double geometric_mean_kl = 0;  // nats, over texts and shares
};

struct Calibration {
  std::string version;      // of the program that measured
  std::string model_name;   // for people
  std::string fingerprint;  // of the model; see model_fingerprint
  int32_t n_layers = 0;
  int32_t n_kv_heads = 0;
  std::vector<CalibrationText> measured_on;
  std::vector<CalibrationText> chosen_on;
  int32_t n_tokens = 0;                  // teacher-forced tokens of a text
  double head_share = 0;                 // that the one cut head keeps
  std::vector<double> keeps;             // shares at which score and beta were tried
  uint64_t seed = 0;                     // of what is drawn at random
  std::vector<CalibrationTrial> trials;  // best first
  TokenScore score = TokenScore::accumulated;
  double beta = 0;
  // Mean KL (nats) with only this head cut, by each score; geometric mean over the texts.  (n_layers * n_kv_heads),
  // layer-major
  std::vector<double> accumulated_losses{};
  std::vector<double> expected_losses{};

  /// Of the score. `mixed` takes those by `expected`: budgets shared by them lose less than by its own.
  const std::vector<double>& losses() const {
    return score == TokenScore::accumulated ? accumulated_losses : expected_losses;
  }
};

/// Tells models apart: metadata, shapes, and the beginning of every tensor, but for the file's name. 32 hex digits. The
/// whole file is not read, since it would take seconds at each start.
std::string model_fingerprint(const Model& model);
/// The same kind of hash of some bytes.
std::string content_hash(std::string_view bytes);

std::string calibration_text(const Calibration& calibration);  // JSON
/// Throws Error: found, expected, where. `where` names the file.
Calibration parse_calibration(std::string_view json, std::string_view where);
/// Throws Error where the table is of another model.
void check_calibration(const Calibration& calibration, const Model& model, std::string_view where);

/// Where `headroom calibrate` leaves a model's table: beside the user's settings.
std::string calibration_path(const Model& model);
/// The model's table: the user's, else the one that the program brings along. Throws Error for a damaged one.
std::optional<Calibration> find_calibration(const Model& model);

/// A table's score, beta and importance (mean 1), for `shared` budgets.
CacheConfig with_calibration(CacheConfig config, const Calibration& calibration);

/// A configuration as a model runs it. Where it asks for calibrated importance: with the table at calibration_file, or
/// with the model's own, or, where there is none or it is damaged, with equal importance and a note that says so.
/// Throws Error for a calibration_file that cannot be used.
struct ResolvedConfig {
  CacheConfig config;
  std::string note;  // for people; may be empty
};
ResolvedConfig resolve_config(CacheConfig config, const Model& model);

/// What a chat takes where nobody names a configuration: `headroom` for a model with a table, damaged or not, else
/// `paper`. Decided by what was measured: docs/fidelity.md.
CacheConfig default_chat_config(const Model& model);

}  // namespace headroom
