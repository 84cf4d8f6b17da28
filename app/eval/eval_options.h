// The arguments of `headroom eval` ─► a plan and the outputs for its results. Contradictions are refused here, before a
// model is opened.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/eval/plan.h"
#include "app/options.h"

namespace headroom::eval {

/// The outputs of a report besides standard output.
struct Outputs {
  bool json = false;  // one JSON object on standard output instead of the tables
  std::optional<std::string> csv_path, plot_path;

  void add_to(CommandLine& line);
};

struct EvalOptions {
  std::vector<std::string> models, files, perplexity_files;
  std::optional<std::string> folder, prompt, system;
  bool raw = false;
  bool special = false;
  TemplateOption chat_template;
  std::optional<std::string> configs, keeps, policy_set, group, cache_types;
  std::optional<double> threshold, r_local, r_frequent;
  std::optional<std::string> kv_budget, calibration;
  std::optional<std::string> probes, experiment, shard, resume_path;
  std::optional<int64_t> n_scored, n_instances, seed;
  CommonOptions common;  // model and json stay empty: models and outputs hold them
  Outputs outputs;

  void add_to(CommandLine& line);
  /// Reads the prompts. Throws UsageError and Error.
  Plan make_plan(Console& io) const;
};

}  // namespace headroom::eval
