// Builds the list of configurations: one mechanism for names, shares, overrides and the paper's experiments.
#include "app/eval/cells.h"

#include <algorithm>
#include <array>
#include <cassert>

#include "app/command_line.h"
#include "app/format.h"

namespace headroom::eval {
namespace {

struct ExperimentName {
  Experiment experiment;
  const char* name;
};

constexpr std::array<ExperimentName, 5> experiment_table{{{Experiment::t_sweep, "t-sweep"},
                                                          {Experiment::ablations, "ablations"},
                                                          {Experiment::order, "order"},
                                                          {Experiment::sensitivity, "sensitivity"},
                                                          {Experiment::profiling, "profiling"}}};

Cell named(const std::string& name) {
  const std::optional<CacheConfig> config = find_cache_config(name);
  assert(config);
  return {.config = *config, .setting = "", .keep = std::nullopt};
}

bool is_full(const CacheConfig& config) {
  return config.policy_set.size() == 1 && config.policy_set.front().has(Policy::full);
}

bool is_profiled(const CacheConfig& config) {
  return config.budget == BudgetKind::fixed && config.policy_set.size() > 1;
}

void apply(const CellOverrides& overrides, Cell& cell) {
  CacheConfig& config = cell.config;
  if (overrides.threshold && is_profiled(config)) config.threshold = *overrides.threshold;
  if (overrides.r_local) config.r_local = *overrides.r_local;
  if (overrides.r_frequent) config.r_frequent = *overrides.r_frequent;
  if (overrides.group) config.group = *overrides.group;
  if (config.budget == BudgetKind::shared) config.kv_budget_bytes = overrides.kv_budget_bytes;
  if (config.importance == ImportanceKind::calibrated) config.calibration_file = overrides.calibration_file;
}

void check(const std::vector<Cell>& cells, bool has_keeps, const CellOverrides& overrides) {
  const auto any = [&](auto&& is) {
    return std::any_of(cells.begin(), cells.end(), [&](const Cell& cell) { return is(cell.config); });
  };
  if (has_keeps && (overrides.r_local || overrides.r_frequent))
    throw UsageError("--keep sets the shares that --r-local and --r-frequent set, expected one of them");
  if (has_keeps && overrides.threshold && any(is_profiled))
    throw UsageError("--keep solves for the threshold that --threshold sets, expected one of them");
  if (overrides.threshold && !any(is_profiled))
    throw UsageError("--threshold is for configurations that choose among policies, and none such is named");
  if (overrides.kv_budget_bytes > 0 && !any([](const CacheConfig& c) { return c.budget == BudgetKind::shared; }))
    throw UsageError("--kv-budget is for configurations with shared budgets, such as headroom, and none such is named");
}

}  // namespace

bool Cell::is_baseline() const {
  return is_full(config) && config.cache_type == CacheType::f16;
}

std::string Cell::label() const {
  std::string text = config.name;
  if (!setting.empty()) text += " " + setting;
  if (keep) text += format(", keep %g", *keep);
  if (config.cache_type != CacheType::f16) text += ", " + std::string(cache_type_name(config.cache_type));
  return text;
}

std::string Cell::fingerprint() const {
  std::string text = label() + ":";
  for (const Policy policy : config.policy_set) text += " " + policy_name(policy);
  return text + format(
                    "; T %.9g, r_local %.9g, r_frequent %.9g, %s of the group, %s score, %s budget, keep %.9g, "
                    "%s importance, beta %.9g, %lld bytes",
                    config.threshold, config.r_local, config.r_frequent,
                    config.group == GroupReduce::min ? "min" : "mean", token_score_name(config.score).data(),
                    budget_kind_name(config.budget).data(), config.keep, importance_kind_name(config.importance).data(),
                    config.beta, static_cast<long long>(config.kv_budget_bytes));
}

std::optional<Experiment> find_experiment(const std::string& name) {
  for (const ExperimentName& entry : experiment_table)
    if (name == entry.name) return entry.experiment;
  return std::nullopt;
}

std::vector<std::string> experiment_names() {
  std::vector<std::string> names;
  for (const ExperimentName& entry : experiment_table) names.emplace_back(entry.name);
  return names;
}

std::vector<Cell> experiment_cells(Experiment experiment) {
  std::vector<Cell> cells;
  const auto add = [&](const std::string& name, const std::string& setting, auto&& change) {
    cells.push_back(named(name));
    cells.back().setting = setting;
    change(cells.back().config);
  };
  const auto nothing = [](CacheConfig&) {};
  switch (experiment) {
    case Experiment::t_sweep:
      for (const double t : {0.98, 0.95, 0.9, 0.85, 0.8, 0.7})
        add("paper", format("T %g", t), [&](CacheConfig& config) { config.threshold = t; });
      break;
    case Experiment::ablations:
      for (const char* name : {"paper", "paper-no-special", "paper-no-punct", "paper-no-frequent", "paper-no-local"})
        add(name, "", nothing);
      break;
    case Experiment::order:
      for (const char* name : {"paper", "paper-punct-last", "paper-local-first"}) add(name, "", nothing);
      break;
    case Experiment::sensitivity:
      for (const double r : {0.1, 0.2, 0.3, 0.5})
        add("paper", format("r_local %g", r), [&](CacheConfig& config) { config.r_local = r; });
      for (const double r : {0.1, 0.2, 0.3, 0.5})
        add("paper", format("r_frequent %g", r), [&](CacheConfig& config) { config.r_frequent = r; });
      break;
    case Experiment::profiling:
      add("paper", "", nothing);
      break;
  }
  return cells;
}

std::vector<Cell> expand(const std::vector<Cell>& cells, const std::vector<double>& keeps,
                         const std::vector<CacheType>& cache_types, const CellOverrides& overrides) {
  check(cells, !keeps.empty(), overrides);
  std::vector<Cell> result;
  for (const CacheType cache_type : cache_types) {
    for (Cell cell : cells) {
      apply(overrides, cell);
      cell.config.cache_type = cache_type;
      if (keeps.empty() || !takes_keep(cell.config)) {
        result.push_back(cell);
        continue;
      }
      for (const double keep : keeps) {
        result.push_back(cell);
        result.back().keep = keep;
        result.back().config = with_keep(cell.config, keep);
      }
    }
  }
  return result;
}

Cell baseline_cell() {
  return named("full");
}

}  // namespace headroom::eval
