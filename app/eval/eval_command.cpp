// `headroom eval`: measures the quality that a compressed cache loses against the full cache of the same model. Plan ─►
// jobs ─► rows ─► report. `headroom eval merge` starts from the reports of shards.
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <optional>
#include <ostream>
#include <set>

#include "app/commands.h"
#include "app/eval/eval_options.h"
#include "app/eval/plot.h"
#include "app/eval/progress.h"
#include "app/eval/report.h"
#include "app/eval/runner.h"
#include "app/eval/state.h"
#include "app/eval/tables.h"
#include "app/format.h"
#include "app/json_report.h"
#include "engine/base/error.h"
#include "engine/run/calibration_table.h"

namespace headroom {
namespace {

using namespace eval;

void write_text(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text << std::flush;
  if (!file) throw Error(ErrorKind::io, "cannot write " + path + ": " + std::strerror(errno));
}

/// An evaluation takes long, so an output that cannot be written is refused at the start. Existing content stays.
void check_writable(const std::optional<std::string>& path) {
  if (!path) return;
  const std::ofstream file(*path, std::ios::binary | std::ios::app);
  if (!file) throw Error(ErrorKind::io, "cannot write " + *path + ": " + std::strerror(errno));
}

void write_report(const Report& report, const Outputs& outputs, Console& io) {
  if (outputs.csv_path) write_text(*outputs.csv_path, report_csv(report));
  if (outputs.plot_path) write_text(*outputs.plot_path, report_plot(report));
  io.out << (outputs.json ? json_line(report_json(report)) : report_text(report));
}

void merge_command(const Arguments& args, Console& io) {
  Outputs outputs;
  CommandLine line("eval merge", "Joins the JSON reports of shards: FILE... [OPTIONS]",
                   "  headroom eval merge one.json two.json --plot all.svg\n"
                   "  headroom eval merge one.json two.json --json");
  outputs.add_to(line);
  const auto is_option = [](const std::string& arg) { return arg.size() > 1 && arg[0] == '-'; };
  const auto first_option = std::find_if(args.begin(), args.end(), is_option);
  line.parse({first_option, args.end()}, io);
  const std::vector<std::string> paths(args.begin(), first_option);
  if (paths.empty()) throw UsageError("eval merge: needs the reports of shards first, then options");
  const Report report = merge_reports(paths);
  if (report.rows.size() < report.n_jobs())
    io.err << format("%zu of %zu rows were found; the others are in none of the reports named\n", report.rows.size(),
                     report.n_jobs());
  write_report(report, outputs, io);
}

/// A hash of each model's calibration table, if a configuration uses one. It is part of the settings, since rows under
/// another table are not comparable.
Json importance_tables(const Plan& plan) {
  const auto is_calibrated = [](const Cell& cell) { return cell.config.importance == ImportanceKind::calibrated; };
  const auto cell = std::find_if(plan.cells.begin(), plan.cells.end(), is_calibrated);
  Json tables = Json::array();
  if (cell == plan.cells.end()) return tables;
  for (const ModelFileName& model : plan.models) {
    const CacheConfig config = resolve_config(cell->config, Model(model.path)).config;
    std::string table = format("%s %g", std::string(token_score_name(config.score)).c_str(), config.beta);
    for (const float importance : config.head_importance) table += format(" %g", static_cast<double>(importance));
    tables.push_back(text_hash(table));
  }
  return tables;
}

/// Runs the jobs that the state file does not hold. Throws Stopped.
std::vector<Row> run_jobs(const Plan& plan, const EvalOptions& options, Backend& backend, StateFile* state,
                          Console& io) {
  const std::vector<Job> jobs = jobs_of_shard(plan);
  const auto find = [&](const Job& job) { return state == nullptr ? nullptr : state->find(job_key(plan, job)); };
  const auto n_found = static_cast<size_t>(std::count_if(jobs.begin(), jobs.end(), find));
  if (n_found > 0) io.err << format("%zu of %zu rows were done before\n", n_found, jobs.size());

  Progress progress(io, jobs.size() - n_found);
  std::set<std::string> notes;  // each is said once
  const auto say_note = [&](const std::string& note) {
    if (!notes.insert(note).second) return;
    progress.clear();
    io.err << printable(note) << std::endl;
  };
  std::unique_ptr<Runner> runner;
  size_t model = 0;
  std::vector<Row> rows;
  for (size_t next = 0; next < jobs.size();) {
    const Job& job = jobs[next];
    if (const Row* row = find(job)) {
      rows.push_back(*row);
      ++next;
      continue;
    }
    // Jobs of one probe run together for all configurations; all other jobs run one by one.
    std::vector<Job> together{job};
    while (++next < jobs.size() && job.kind == JobKind::probe && jobs[next].kind == job.kind &&
           jobs[next].model == job.model && jobs[next].subject == job.subject && find(jobs[next]) == nullptr)
      together.push_back(jobs[next]);
    if (!runner || model != job.model) {
      runner = nullptr;  // one model at a time
      model = job.model;
      runner = std::make_unique<Runner>(
          plan, model, backend, static_cast<int32_t>(options.common.n_ctx.value_or(0)),
          [&io] { return io.interrupt.requested.load(); }, [&progress](double part) { progress.update(part); },
          say_note);
    }
    progress.begin_jobs(together.size(), plan.models[model].name + ", " + subject_name(plan, job) + ", " +
                                             (together.size() == 1 ? job.cell.label() : "all configurations"));
    const std::vector<Row> done = runner->run(together);
    for (size_t i = 0; i < done.size(); ++i) {
      rows.push_back(done[i]);
      if (state != nullptr) state->add(job_key(plan, together[i]), done[i]);
    }
    progress.end_jobs();
  }
  return rows;
}

}  // namespace

void eval_command(const Arguments& args, Console& io) {
  if (!args.empty() && args[0] == "merge") return merge_command({args.begin() + 1, args.end()}, io);
  EvalOptions options;
  CommandLine line(
      "eval",
      "What a compressed cache costs in quality, against the full cache. Each prompt is answered with the\n"
      "full cache; every configuration is then fed the same answer, and its logits are compared.\n"
      "`headroom eval merge FILE...` joins the JSON reports of shards.",
      "  headroom eval -f notes.txt --keep 0.5,0.25\n"
      "  headroom eval --prompts texts --config headroom,h2o --keep 0.5 --resume eval.state --plot eval.svg\n"
      "  headroom eval --probe all --keep 0.35 --instances 100\n"
      "  headroom eval --perplexity book.txt --config paper,streaming\n"
      "  headroom eval --prompts texts --experiment t-sweep --json --shard 1/4 > 1.json\n"
      "  headroom eval merge 1.json 2.json 3.json 4.json --csv all.csv");
  options.add_to(line);
  line.parse(args, io);
  const Plan plan = options.make_plan(io);
  check_writable(options.outputs.csv_path);
  check_writable(options.outputs.plot_path);

  const std::string shard = format("%d/%d", plan.shard.index, plan.shard.count);
  Json settings = settings_json(plan);
  settings["importance"] = importance_tables(plan);
  std::optional<StateFile> state;
  if (options.resume_path) {
    Json state_settings = settings;  // the shard is added, because two shards must not share a file
    state_settings["shard"] = shard;
    state.emplace(*options.resume_path, state_settings);
    if (!state->note().empty()) io.err << printable(state->note()) << std::endl;
  }
  const std::unique_ptr<Backend> backend = options.common.open_backend();
  Report report{.backend = backend->info().name,
                .device = backend->info().device,
                .shard = shard,
                .settings = std::move(settings),
                .rows = {}};
  try {
    const InterruptGuard guard(io.interrupt);
    report.rows = run_jobs(plan, options, *backend, state ? &*state : nullptr, io);
  } catch (const Stopped&) {
    throw EndedBySignal(
        SIGINT,
        "interrupted; " + (options.resume_path
                               ? "the same command goes on with the rows that " + *options.resume_path + " holds"
                               : std::string("with --resume FILE the finished rows would have been kept")));
  }
  write_report(report, options.outputs, io);
  if (io.interrupt.requested) throw EndedBySignal(SIGINT);
}

}  // namespace headroom
