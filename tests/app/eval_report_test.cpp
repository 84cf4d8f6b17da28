// Rows to reports and back: cells, shards, summaries, state files, CSV and SVG, without a model.
#include <catch2/catch.hpp>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "app/command_line.h"
#include "app/eval/plan.h"
#include "app/eval/plot.h"
#include "app/eval/report.h"
#include "app/eval/state.h"
#include "app/eval/tables.h"
#include "app/json_report.h"
#include "engine/base/error.h"
#include "tests/support/gguf_writer.h"

using namespace headroom;
using namespace headroom::eval;
using namespace headroom::test;
using Catch::Matchers::Contains;

namespace eval_report_test {
namespace {

Cell cell(const std::string& name) {
  return {.config = *find_cache_config(name), .setting = "", .keep = std::nullopt};
}

Plan small_plan() {
  Plan plan;
  plan.models = {{.path = "/models/a.gguf", .name = "a.gguf", .size_bytes = 1000}};
  plan.prompts = {{.name = "one.txt", .text = "one"}, {.name = "two.txt", .text = "two"}};
  plan.probes = {ProbeKind::needle};
  plan.cells = expand({cell("h2o"), cell("paper")}, {0.5, 0.25}, {CacheType::f16}, {});
  return plan;
}

/// A row as a runner would return it, with numbers that follow from the job.
Row row_of(const Plan& plan, const Job& job) {
  Row row{{"kind", job_kind_name(job.kind)},
          {"job", job.index},
          {"model", plan.models[job.model].name},
          {job.kind == JobKind::probe ? "probe" : "prompt", subject_name(plan, job)},
          {"config", job.cell.config.name},
          {"setting", job.cell.setting},
          {"keep", job.cell.keep ? Json(*job.cell.keep) : Json(nullptr)},
          {"cache_type", "f16"},
          {"threshold", 0.95},
          {"kept_ratio", 0.5},
          {"kv_live_bytes", 1024 * (job.index + 1)},
          {"kv_full_bytes", 100 * 1024}};
  if (job.kind == JobKind::probe) {
    row["n_instances"] = 4;
    row["solved"] = job.cell.is_baseline() ? "1111" : "1010";
    return row;
  }
  for (const char* key : {"kv_live_bytes_end", "p95_kl", "agreement", "n_scored", "first_difference", "n_tokens",
                          "generate_tokens_per_s"})
    row[key] = 1;
  row["mean_kl"] = job.subject == 0 ? 0.01 : 0.0001;
  return row;
}

Report report_of(const Plan& plan) {
  Report report{.backend = "cpu",
                .device = "a processor",
                .shard = std::to_string(plan.shard.index),
                .settings = settings_json(plan),
                .rows = {}};
  for (const Job& job : jobs_of_shard(plan)) report.rows.push_back(row_of(plan, job));
  return report;
}

std::string write_temporary(const std::string& name, const std::string& text) {
  const std::string path = temporary_path(name);
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// Checks that tags open and close in order, that no & or < is bare, and that there is one root. XML readers need this.
void check_well_formed(const std::string& xml) {
  std::vector<std::string> open;
  size_t n_roots = 0;
  for (size_t i = 0; i < xml.size(); ++i) {
    if (xml[i] == '&') {
      const std::string entity = xml.substr(i, xml.find(';', i) - i + 1);
      CHECK((entity == "&amp;" || entity == "&lt;" || entity == "&gt;" || entity == "&quot;"));
    }
    CHECK(static_cast<unsigned char>(xml[i]) != 0x7f);
    CHECK((static_cast<unsigned char>(xml[i]) >= 0x20 || xml[i] == '\n'));
    if (xml[i] != '<') continue;
    const size_t end = xml.find('>', i);
    REQUIRE(end != std::string::npos);
    const std::string tag = xml.substr(i + 1, end - i - 1);
    const std::string name = tag.substr(0, tag.find_first_of(" /", 1));
    if (tag[0] == '/') {
      REQUIRE_FALSE(open.empty());
      CHECK("/" + open.back() == tag);
      open.pop_back();
    } else if (tag.back() != '/') {
      if (open.empty()) ++n_roots;
      open.push_back(name);
    }
    i = end;
  }
  CHECK(open.empty());
  CHECK(n_roots == 1);
}

}  // namespace

TEST_CASE("each configuration comes at each share, and full only once for a cache type", "[eval]") {
  const std::vector<Cell> cells =
      expand({cell("full"), cell("h2o"), cell("headroom")}, {0.5, 0.25}, {CacheType::f16, CacheType::q8_0}, {});
  std::vector<std::string> labels;
  for (const Cell& one : cells) labels.push_back(one.label());
  CHECK(labels == std::vector<std::string>{"full", "h2o, keep 0.5", "h2o, keep 0.25", "headroom, keep 0.5",
                                           "headroom, keep 0.25", "full, q8_0", "h2o, keep 0.5, q8_0",
                                           "h2o, keep 0.25, q8_0", "headroom, keep 0.5, q8_0",
                                           "headroom, keep 0.25, q8_0"});
  CHECK(cells[0].is_baseline());
  CHECK_FALSE(cells[5].is_baseline());
  CHECK(cells[2].config.r_local == 0.125);
  CHECK(cells[2].config.r_frequent == 0.125);
  CHECK(cells[4].config.keep == 0.25);
  CHECK(expand({cell("streaming")}, {0.5}, {CacheType::f16}, {})[0].config.r_local == 0.5);
  CHECK(expand({cell("paper")}, {0.5}, {CacheType::f16}, {})[0].config.keep == 0.5);
  CHECK_THROWS_AS(expand({cell("h2o")}, {0.5}, {CacheType::f16}, {.r_local = 0.1}), UsageError);
  CHECK_THROWS_AS(expand({cell("h2o")}, {}, {CacheType::f16}, {.threshold = 0.9}), UsageError);
}

TEST_CASE("the paper's experiments are lists of different cells", "[eval]") {
  const std::vector<size_t> sizes{6, 5, 3, 8, 1};
  const std::vector<std::string> names = experiment_names();
  REQUIRE(names.size() == sizes.size());
  for (size_t i = 0; i < names.size(); ++i) {
    std::vector<std::string> labels;
    for (const Cell& one : experiment_cells(*find_experiment(names[i]))) labels.push_back(one.label());
    CHECK(labels.size() == sizes[i]);
    std::sort(labels.begin(), labels.end());
    CHECK(std::unique(labels.begin(), labels.end()) == labels.end());
  }
  CHECK(experiment_cells(Experiment::t_sweep)[2].config.threshold == 0.9);
}

TEST_CASE("shards are disjoint and together the whole; keys are all different", "[eval]") {
  Plan plan = small_plan();
  const size_t n_jobs = all_jobs(plan).size();
  CHECK(n_jobs == 2 * 4 + 5);  // the probe has the full cache too
  std::map<std::string, int> keys;
  plan.shard.count = 3;
  for (plan.shard.index = 1; plan.shard.index <= 3; ++plan.shard.index)
    for (const Job& job : jobs_of_shard(plan)) ++keys[job_key(plan, job)];
  CHECK(keys.size() == n_jobs);
  for (const auto& [key, n] : keys) CHECK(n == 1);
  const Job job = all_jobs(plan)[0];
  const std::string key = job_key(plan, job);
  plan.prompts[0].text += "!";
  CHECK(job_key(plan, job) != key);
}

TEST_CASE("merged shards give the report of the whole", "[eval]") {
  Plan plan = small_plan();
  const Report whole = report_of(plan);
  std::vector<std::string> paths;
  plan.shard.count = 2;
  for (plan.shard.index = 1; plan.shard.index <= 2; ++plan.shard.index)
    paths.push_back(write_temporary("shard.json", json_line(report_json(report_of(plan)))));
  const Report merged = merge_reports({paths[1], paths[0]});
  CHECK(merged.shard == "2, 1");
  Json expected = report_json(whole), found = report_json(merged);
  expected.erase("shard");
  found.erase("shard");
  CHECK(found == expected);
  CHECK(report_text(merged) == report_text(whole));

  CHECK_THROWS_WITH(merge_reports({paths[0], paths[0]}), Contains("merge expects each once"));
  Plan other = small_plan();
  other.n_scored = 8;
  const std::string foreign = write_temporary("foreign.json", json_line(report_json(report_of(other))));
  CHECK_THROWS_WITH(merge_reports({paths[0], foreign}), Contains("has other n_scored than"));
  const std::string no_report = write_temporary("no.json", "{\"rows\":[]}");
  CHECK_THROWS_WITH(merge_reports({no_report}), Contains("is not a report"));
  Json damaged = report_json(whole);
  damaged["rows"][0].erase("mean_kl");
  const std::string incomplete = write_temporary("incomplete.json", json_line(damaged));
  CHECK_THROWS_WITH(merge_reports({incomplete}), Contains("something missing"));
  for (const std::string& path : {paths[0], paths[1], foreign, no_report, incomplete}) std::remove(path.c_str());
}

TEST_CASE("summaries: geometric mean of KL, paired differences of tasks", "[eval]") {
  const Json report = report_json(report_of(small_plan()));
  REQUIRE(report["summary"].size() == 4);
  CHECK(report["summary"][0]["geometric_mean_kl"].get<double>() == Approx(0.001));
  CHECK(report["summary"][0]["n_prompts"] == 2);
  const Json& full = report["probes"][0];
  CHECK(full["accuracy"] == 1.0);
  CHECK(full["difference"] == 0.0);
  const Json& h2o = report["probes"][1];
  CHECK(h2o["accuracy"] == 0.5);
  CHECK(h2o["standard_error"] == 0.25);  // sqrt(0.5 * 0.5 / 4)
  CHECK(h2o["difference"] == -0.5);
  // Differences 0, -1, 0, -1: variance 1/3; variance of the mean 1/12.
  CHECK(h2o["difference_standard_error"].get<double>() == Approx(std::sqrt(1.0 / 12)));
  CHECK(report["probe_summary"][1]["difference"] == -0.5);
}

TEST_CASE("a state file gives finished rows back, and a line that was cut off is computed again", "[eval]") {
  const Plan plan = small_plan();
  const std::string path = temporary_path("eval.state");
  const Json settings = settings_json(plan);
  const std::vector<Job> jobs = all_jobs(plan);
  {
    StateFile state(path, settings);
    for (size_t i = 0; i < 3; ++i) state.add(job_key(plan, jobs[i]), row_of(plan, jobs[i]));
  }
  const std::string whole = read_file(path);
  {
    const StateFile state(path, settings);
    CHECK(state.note().empty());
    REQUIRE(state.find(job_key(plan, jobs[2])) != nullptr);
    CHECK(*state.find(job_key(plan, jobs[2])) == row_of(plan, jobs[2]));
    CHECK(state.find(job_key(plan, jobs[3])) == nullptr);
  }
  std::ofstream(path, std::ios::binary) << whole.substr(0, whole.size() - 10);
  {
    StateFile state(path, settings);
    CHECK_THAT(state.note(), Contains("the last line was not finished"));
    CHECK(state.find(job_key(plan, jobs[1])) != nullptr);
    CHECK(state.find(job_key(plan, jobs[2])) == nullptr);
    state.add(job_key(plan, jobs[2]), row_of(plan, jobs[2]));
  }
  CHECK(read_file(path) == whole);
  // If only the line feed is missing, the line is unfinished too.
  std::ofstream(path, std::ios::binary) << whole.substr(0, whole.size() - 1);
  CHECK_THAT(StateFile(path, settings).note(), Contains("not finished"));
  std::remove(path.c_str());
}

TEST_CASE("a state file of other settings or of something else is refused and stays as it is", "[eval]") {
  Plan plan = small_plan();
  const std::string path = temporary_path("other.state");
  StateFile(path, settings_json(plan));
  const std::string before = read_file(path);
  plan.seed = 99;
  CHECK_THROWS_WITH(StateFile(path, settings_json(plan)), Contains("other seed"));
  CHECK(read_file(path) == before);
  std::ofstream(path, std::ios::binary) << "my notes";
  CHECK_THROWS_WITH(StateFile(path, settings_json(plan)), Contains("is not the state of an evaluation"));
  CHECK(read_file(path) == "my notes");
  std::ofstream(path, std::ios::binary) << before << "rubbish\n" << before;
  plan.seed = 1;
  CHECK_THROWS_WITH(StateFile(path, settings_json(plan)), Contains(":2 is not a row"));
  std::remove(path.c_str());
}

TEST_CASE("the picture is well-formed whatever names say, and has axes with units", "[eval]") {
  Plan plan = small_plan();
  plan.models[0].name = "<script>&\"'\x1b[31m\xff.gguf";
  plan.models.push_back({.path = "b", .name = "b]]>--><!-- .gguf", .size_bytes = 1});
  plan.prompts[0].name = "</svg>";
  const std::string svg = report_plot(report_of(plan));
  check_well_formed(svg);
  CHECK(svg.find("<script") == std::string::npos);
  CHECK_THAT(svg, Contains("KL, nats") && Contains("% of the full cache") && Contains("solved, %"));
  check_well_formed(plot_svg({}));
  const std::string one_point = plot_svg({{.title = "one",
                                           .x = {.title = "x"},
                                           .y = {.title = "y", .logarithmic = true},
                                           .series = {{"s", {{3, 1e-9, "p"}}}}}});
  check_well_formed(one_point);
  CHECK(one_point.find("nan") == std::string::npos);
  CHECK(one_point.find("inf") == std::string::npos);
}

TEST_CASE("ticks stand on round numbers", "[eval]") {
  CHECK(axis_ticks(0, 100, false) == std::vector<double>{0, 20, 40, 60, 80, 100});
  CHECK(axis_ticks(0.1, 10, true).size() == 7);  // 0.1 0.2 0.5 1 2 5 10
  const std::vector<double> decades = axis_ticks(1e-9, 1, true);
  REQUIRE(decades.size() == 10);
  CHECK(decades[0] == Approx(1e-9));
}

TEST_CASE("CSV quotes what would break it, and every line has all columns", "[eval]") {
  Plan plan = small_plan();
  plan.prompts[0].name = "a,\"b\"\nc";
  const std::string csv = report_csv(report_of(plan));
  CHECK_THAT(csv, Contains("\"a,\"\"b\"\"\nc\""));
  const std::string head = csv.substr(0, csv.find("\r\n"));
  const std::string last = csv.substr(csv.rfind("\r\n", csv.size() - 3) + 2);
  CHECK(std::count(head.begin(), head.end(), ',') == std::count(last.begin(), last.end(), ','));
  CHECK(head.starts_with("kind,job,model,prompt,config,"));
}

}  // namespace eval_report_test
