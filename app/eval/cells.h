// Names of configurations, shares and cache types ─► the list of configurations that an evaluation compares, and the
// paper's experiments as such lists. A cell is one line of the summary for each model.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/base/policy.h"

namespace headroom::eval {

struct Cell {
  CacheConfig config;
  std::string setting;         // what else distinguishes it from the others, "T 0.9"; may be empty
  std::optional<double> keep;  // the share that was asked for

  /// Keeps everything in f16; the others are compared with it.
  bool is_baseline() const;
  /// "paper T 0.9, keep 0.5, q8_0": the name of the cell in sentences, unique in the list.
  std::string label() const;
  /// Everything that decides what is kept; part of the settings of a state file.
  std::string fingerprint() const;
};

/// Settings that apply to all configurations.
struct CellOverrides {
  std::optional<double> threshold{}, r_local{}, r_frequent{};
  std::optional<GroupReduce> group{};
  int64_t kv_budget_bytes = 0;  // 0: none
  std::string calibration_file{};
};

enum class Experiment { t_sweep, ablations, order, sensitivity, profiling };
std::optional<Experiment> find_experiment(const std::string& name);
std::vector<std::string> experiment_names();

/// The configurations of one of the paper's experiments (Ge et al. 2024): T of table 1's rows, one policy removed
/// (table 4), another order (table 5), one of two shares changed (figure 6). Profiling (table 3) has only `paper`.
std::vector<Cell> experiment_cells(Experiment experiment);

/// Every cell with every share and every cache type; a cell that has no share is kept once. Throws UsageError if an
/// override fits no cell or contradicts a share.
std::vector<Cell> expand(const std::vector<Cell>& cells, const std::vector<double>& keeps,
                         const std::vector<CacheType>& cache_types, const CellOverrides& overrides);

/// Everything kept, in f16.
Cell baseline_cell();

}  // namespace headroom::eval
