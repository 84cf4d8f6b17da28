// Rows ─► the JSON report with its summaries; JSON reports of shards ─► one. The keys are part of the command line's
// contract. Everything that depends on several rows is computed here, so that merged shards equal the whole.
#pragma once

#include <string>
#include <vector>

#include "app/eval/runner.h"

namespace headroom::eval {

struct Report {
  std::string backend, device, shard;  // after a merge: all different ones, separated by commas
  Json settings;
  std::vector<Row> rows;  // by job

  size_t n_jobs() const { return settings["n_jobs"].get<size_t>(); }
};

/// A smaller KL counts as this value in geometric means.
inline constexpr double kl_floor = 1e-9;

/// Rows of one kind.
std::vector<Row> rows_of(const Report& report, JobKind kind);
/// For each model and cell: geometric mean of KL over prompts, means of agreement, kept ratio and bytes.
Json fidelity_summary(const Report& report);
/// Probe rows with accuracy and its standard error, and the difference to the full cache on the same instances with its
/// standard error (null if the report has no row of the full cache).
std::vector<Row> probe_rows(const Report& report);
/// For each model and cell: the means over the probes.
Json probe_summary(const Report& report);

Json report_json(const Report& report);

/// Joins reports of one evaluation. Throws Error for a file that is no report, belongs to other settings, or has a job
/// that another one has too.
Report merge_reports(const std::vector<std::string>& paths);

}  // namespace headroom::eval
