// Summaries, and the way from rows to a file and back.
#include "app/eval/report.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <ostream>

#include "app/text_input.h"
#include "engine/base/error.h"
#include "engine/run/divergence.h"

namespace headroom::eval {
namespace {

constexpr JobKind job_kinds[] = {JobKind::fidelity, JobKind::perplexity, JobKind::probe, JobKind::profiling};

/// The key in a report that holds the rows of a kind.
const char* rows_key(JobKind kind) {
  switch (kind) {
    case JobKind::fidelity:
      return "rows";
    case JobKind::perplexity:
      return "perplexity";
    case JobKind::probe:
      return "probes";
    case JobKind::profiling:
      return "profiling";
  }
  return "";
}

constexpr const char* cell_keys[] = {"model", "config", "setting", "keep", "cache_type"};

/// Groups rows by model and cell; groups are in the order of their first row.
std::vector<std::vector<Row>> by_cell(const std::vector<Row>& rows) {
  std::vector<std::vector<Row>> groups;
  std::map<std::string, size_t> index;
  for (const Row& row : rows) {
    Json cell;
    for (const char* key : cell_keys) cell.push_back(row.at(key));
    const auto [found, is_new] =
        index.emplace(cell.dump(-1, ' ', false, Json::error_handler_t::replace), groups.size());
    if (is_new) groups.emplace_back();
    groups[found->second].push_back(row);
  }
  return groups;
}

Json begin_summary(const std::vector<Row>& group) {
  Json summary;
  for (const char* key : cell_keys) summary[key] = group.front().at(key);
  return summary;
}

std::vector<double> values(const std::vector<Row>& rows, const char* key) {
  std::vector<double> result;
  for (const Row& row : rows)
    if (row.at(key).is_number()) result.push_back(row.at(key).get<double>());
  return result;
}

void add_mean_sizes(const std::vector<Row>& group, Json& summary) {
  summary["kept_ratio"] = mean(values(group, "kept_ratio"));
  summary["kv_live_bytes"] = mean(values(group, "kv_live_bytes"));
  summary["kv_full_bytes"] = mean(values(group, "kv_full_bytes"));
}

bool is_baseline_row(const Row& row) {
  return row.at("config") == baseline_cell().config.name && row.at("cache_type") == "f16";
}

/// Mean and standard error of the mean.
struct Estimate {
  double mean = 0;
  double standard_error = 0;
};

Estimate paired_difference(const std::string& solved, const std::string& solved_full) {
  const size_t n = std::min(solved.size(), solved_full.size());
  double sum = 0, squares = 0;
  for (size_t i = 0; i < n; ++i) {
    const double difference = solved[i] - solved_full[i];
    sum += difference;
    squares += difference * difference;
  }
  const double count = static_cast<double>(n);
  Estimate result{.mean = sum / count, .standard_error = 0};
  if (n > 1)
    result.standard_error = std::sqrt(std::max(0.0, squares - count * result.mean * result.mean) / (count - 1) / count);
  return result;
}

std::string joined_different(const std::string& names, const std::string& name) {
  return names.empty()                                                         ? name
         : (", " + names + ", ").find(", " + name + ", ") != std::string::npos ? names
                                                                               : names + ", " + name;
}

Report read_report(const std::string& path) {
  std::ostream nothing(nullptr);
  const Json object = Json::parse(read_file(path, nothing), nullptr, false);
  if (!object.is_object() || !object.contains("headroom_eval") || !object.contains("settings"))
    throw Error(path + " is not a report of `headroom eval --json`, which merge expects");
  try {
    Report report{.backend = object.at("backend"),
                  .device = object.at("device"),
                  .shard = object.at("shard"),
                  .settings = object.at("settings"),
                  .rows = {}};
    report.n_jobs();
    for (const JobKind kind : job_kinds)
      for (const Json& row : object.at(rows_key(kind))) {
        row.at("job").get<int32_t>();
        report.rows.push_back(row);
      }
    report_json(report);  // throws if a key is missing or has the wrong type
    return report;
  } catch (const Json::exception& error) {
    throw Error(path + " is a report with something missing or of the wrong kind: " + error.what());
  }
}

}  // namespace

std::vector<Row> rows_of(const Report& report, JobKind kind) {
  std::vector<Row> rows;
  for (const Row& row : report.rows)
    if (row.at("kind") == job_kind_name(kind)) rows.push_back(row);
  return rows;
}

Json fidelity_summary(const Report& report) {
  Json result = Json::array();
  for (const std::vector<Row>& group : by_cell(rows_of(report, JobKind::fidelity))) {
    Json summary = begin_summary(group);
    summary["n_prompts"] = group.size();
    summary["geometric_mean_kl"] = geometric_mean(values(group, "mean_kl"));
    summary["agreement"] = mean(values(group, "agreement"));
    add_mean_sizes(group, summary);
    result.push_back(std::move(summary));
  }
  return result;
}

std::vector<Row> probe_rows(const Report& report) {
  std::vector<Row> rows = rows_of(report, JobKind::probe);
  std::map<std::string, std::string> solved_full;  // by model and probe
  const auto subject = [](const Row& row) {
    return row.at("model").get<std::string>() + "/" + row.at("probe").get<std::string>();
  };
  for (const Row& row : rows)
    if (is_baseline_row(row)) solved_full[subject(row)] = row.at("solved");
  for (Row& row : rows) {
    const std::string solved = row.at("solved");
    const double n = static_cast<double>(solved.size());
    const double accuracy = static_cast<double>(std::count(solved.begin(), solved.end(), '1')) / n;
    row["accuracy"] = accuracy;
    row["standard_error"] = std::sqrt(accuracy * (1 - accuracy) / n);
    const auto full = solved_full.find(subject(row));
    row["difference"] = nullptr;
    row["difference_standard_error"] = nullptr;
    if (full == solved_full.end()) continue;
    const Estimate difference = paired_difference(solved, full->second);
    row["difference"] = difference.mean;
    row["difference_standard_error"] = difference.standard_error;
  }
  return rows;
}

Json probe_summary(const Report& report) {
  Json result = Json::array();
  for (const std::vector<Row>& group : by_cell(probe_rows(report))) {
    Json summary = begin_summary(group);
    summary["n_probes"] = group.size();
    summary["accuracy"] = mean(values(group, "accuracy"));
    const std::vector<double> differences = values(group, "difference");
    double variance = 0;
    for (const double error : values(group, "difference_standard_error")) variance += error * error;
    const bool all_paired = differences.size() == group.size();
    summary["difference"] = all_paired ? Json(mean(differences)) : Json(nullptr);
    summary["difference_standard_error"] =
        all_paired ? Json(std::sqrt(variance) / static_cast<double>(group.size())) : Json(nullptr);
    add_mean_sizes(group, summary);
    result.push_back(std::move(summary));
  }
  return result;
}

Json report_json(const Report& report) {
  Json object;
  object["headroom_eval"] = 1;
  object["backend"] = report.backend;
  object["device"] = report.device;
  object["shard"] = report.shard;
  object["n_jobs"] = report.n_jobs();
  object["n_done"] = report.rows.size();
  object["settings"] = report.settings;
  object["summary"] = fidelity_summary(report);
  object["probe_summary"] = probe_summary(report);
  for (const JobKind kind : job_kinds)
    object[rows_key(kind)] = kind == JobKind::probe ? probe_rows(report) : rows_of(report, kind);
  return object;
}

Report merge_reports(const std::vector<std::string>& paths) {
  Report merged;
  std::map<int32_t, std::string> source;  // job index ─► file
  for (const std::string& path : paths) {
    Report report = read_report(path);
    if (merged.settings.is_null()) merged.settings = report.settings;
    const std::string difference = first_difference(merged.settings, report.settings);
    if (!difference.empty())
      throw Error(path + " has other " + difference + " than " + paths.front() +
                  "; merge expects shards of one evaluation");
    merged.backend = joined_different(merged.backend, report.backend);
    merged.device = joined_different(merged.device, report.device);
    merged.shard = joined_different(merged.shard, report.shard);
    for (Row& row : report.rows) {
      const auto [found, is_new] = source.emplace(row["job"].get<int32_t>(), path);
      if (!is_new)
        throw Error("job " + std::to_string(found->first) + " is in " + found->second + " and in " + path +
                    "; merge expects each once");
      merged.rows.push_back(std::move(row));
    }
  }
  std::sort(merged.rows.begin(), merged.rows.end(),
            [](const Row& a, const Row& b) { return a["job"].get<int32_t>() < b["job"].get<int32_t>(); });
  return merged;
}

}  // namespace headroom::eval
