// `headroom calibrate`: measures a model's calibration table once and stores it where every later start finds it. Each
// measurement is written at once to a file beside the table, so that a killed run can continue.
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <ostream>
#include <set>
#include <sstream>

#include "app/commands.h"
#include "app/format.h"
#include "app/json_report.h"
#include "app/options.h"
#include "app/text_input.h"
#include "assets/builtin_files.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/platform/private_file.h"
#include "engine/base/platform/regular_file.h"
#include "engine/run/calibrator.h"

namespace headroom {
namespace {

using Json = nlohmann::ordered_json;

/// Finished measurements of a run: a first line identifies the run, then one JSON line per measurement.
class ResultFile {
 public:
  /// Reads what an earlier run with the same settings left. Throws Error if the file belongs to another run, and leaves
  /// it unchanged.
  ResultFile(std::string path, const Json& run) : path_(std::move(path)) {
    regular_file_exists(path_);  // refuses a named pipe, which would block
    std::ifstream file(path_, std::ios::binary);
    std::string line;
    if (file && std::getline(file, line)) {
      if (Json::parse(line, nullptr, false) != run)
        throw Error(path_ +
                    " holds results of another calibration; expected none, or those of the same model, texts and "
                    "options: remove it, or give another --out");
      while (std::getline(file, line)) {
        const Json entry = Json::parse(line, nullptr, false);
        // The last line of a run that was killed may be cut: it is measured again.
        if (!entry.is_object() || !entry.contains("name") || !entry.contains("kl") || !entry["name"].is_string() ||
            !entry["kl"].is_number() || !(entry["kl"].get<double>() >= 0 && entry["kl"].get<double>() < 1e6))
          break;
        results_[entry["name"].get<std::string>()] = entry["kl"].get<double>();
      }
    }
    file.close();
    // Rewrites the file, so that the next line does not follow half a line.
    std::ostringstream text;
    text << run.dump(-1, ' ', true, Json::error_handler_t::replace) << '\n';
    for (const auto& [name, kl] : results_) text << line_of(name, kl);
    write_private_file(path_, text.str());
    to_.open(path_, std::ios::binary | std::ios::app);
  }

  const CalibrationResults& results() const { return results_; }
  void add(const std::string& name, double kl) {
    to_ << line_of(name, kl) << std::flush;
    if (!to_) throw Error(ErrorKind::io, "cannot write to " + path_);
  }
  void remove() {
    to_.close();
    std::filesystem::remove(path_);
  }

 private:
  // nlohmann writes the shortest digits that are read back as the same double.
  static std::string line_of(const std::string& name, double kl) {
    return Json{{"name", name}, {"kl", kl}}.dump(-1, ' ', true, Json::error_handler_t::replace) + "\n";
  }

  std::string path_;
  CalibrationResults results_;
  std::ofstream to_;
};

class Progress final : public CalibrateObserver {
 public:
  Progress(Console& io, ResultFile& results) : io_(io), results_(results), start_(Clock::now()) {}
  ~Progress() override {
    if (io_.err_is_terminal) io_.err << "\r\x1b[K" << std::flush;
  }

  void on_progress(int64_t n_done, int64_t n_steps) override {
    const Clock::time_point now = Clock::now();
    if (n_first_ < 0) n_first_ = n_done;
    const auto interval = io_.err_is_terminal ? std::chrono::milliseconds(200) : std::chrono::milliseconds(10000);
    if (now - last_ < interval) return;
    last_ = now;
    const double seconds = std::chrono::duration<double>(now - start_).count();
    const double left = n_done > n_first_
                            ? seconds / static_cast<double>(n_done - n_first_) * static_cast<double>(n_steps - n_done)
                            : 0;
    io_.err << format("%scalibrating: %.0f %%, about %d:%02d left%s", io_.err_is_terminal ? "\r\x1b[K" : "",
                      100.0 * static_cast<double>(n_done) / static_cast<double>(n_steps), static_cast<int>(left) / 60,
                      static_cast<int>(left) % 60, io_.err_is_terminal ? "" : "\n")
            << std::flush;
  }
  void on_result(const std::string& name, double kl) override { results_.add(name, kl); }
  bool stop_requested() override { return io_.interrupt.requested; }

 private:
  Console& io_;
  ResultFile& results_;
  Clock::time_point start_, last_{};
  int64_t n_first_ = -1;
};

/// Built-in texts: the heads are measured on those whose names end in _a; score and beta are chosen on the others.
void take_texts(const std::vector<std::string>& files, CalibrateOptions& options, Console& io) {
  if (files.empty()) {
    for (const BuiltinFile& file : builtin_calibration_texts())
      (file.name.ends_with("_a.txt") ? options.measure_on : options.choose_on)
          .push_back({std::string(file.name), std::string(file.text)});
    return;
  }
  if (files.size() < 2)
    throw UsageError(
        "calibrate was given one text, expected at least two -f: heads are measured on the first half of "
        "them, score and beta are chosen on the others");
  std::set<std::string> names;
  for (const std::string& file : files)
    if (!names.insert(file_name(file)).second)
      throw UsageError("two texts are named " + file_name(file) + ", expected different names");
  for (size_t i = 0; i < files.size(); ++i)
    (i < files.size() / 2 ? options.measure_on : options.choose_on)
        .push_back({file_name(files[i]), read_text(files[i], io)});
}

/// Everything that a measurement depends on. Results of a run that differs in any of it are not reused.
Json run_json(const Model& model, const CalibrateOptions& options, int32_t n_ctx, const std::string& backend,
              const TemplateChoice& chat_template) {
  const auto texts = [](const std::vector<CalibrateOptions::Text>& list) {
    Json names = Json::array();
    for (const CalibrateOptions::Text& text : list) names.push_back({text.name, content_hash(text.text)});
    return names;
  };
  Json run = {{"headroom_calibration_run", 1},
              {"version", options.version},
              {"fingerprint", model_fingerprint(model)},
              {"measure_on", texts(options.measure_on)},
              {"choose_on", texts(options.choose_on)},
              {"n_tokens", options.n_tokens},
              {"n_choice_tokens", options.n_choice_tokens},
              {"n_ctx", n_ctx},
              {"backend", backend},
              {"head_share", options.head_share},
              {"keeps", options.keeps},
              {"betas", options.betas},
              {"max_text_tokens", options.max_text_tokens},
              {"seed", options.seed}};
  // Only if there is one, so that results of runs without it stay valid.
  if (chat_template.is_given()) run["chat_template"] = content_hash(chat_template.source);
  return run;
}

std::string summary_text(const Calibration& calibration, const std::string& path) {
  struct Head {
    double loss;
    size_t index;
  };
  std::vector<Head> heads;
  double all = 0, of_most = 0;
  for (size_t i = 0; i < calibration.losses().size(); ++i) {
    heads.push_back({calibration.losses()[i], i});
    all += calibration.losses()[i];
  }
  std::sort(heads.begin(), heads.end(), [](const Head& a, const Head& b) { return a.loss > b.loss; });
  size_t n_most = 0;
  while (n_most < heads.size() && of_most < 0.8 * all) of_most += heads[n_most++].loss;
  std::string text = format("%s: %zu of %zu heads carry 80 %% of the loss; the first are (layer, KV head)",
                            printable(calibration.model_name).c_str(), n_most, heads.size());
  for (size_t i = 0; i < std::min<size_t>(heads.size(), 10); ++i)
    text += format(" (%zu, %zu)", heads[i].index / static_cast<size_t>(calibration.n_kv_heads),
                   heads[i].index % static_cast<size_t>(calibration.n_kv_heads));
  const CalibrationTrial& best = calibration.trials.front();
  text += format("\nchosen: score %s, beta %g, with a mean KL of %.4f over the texts that choose",
                 std::string(token_score_name(best.score)).c_str(), best.beta, best.geometric_mean_kl);
  if (calibration.trials.size() > 1) {
    const CalibrationTrial& next = calibration.trials[1];
    text += format("; the next best: %s, %g, %.4f", std::string(token_score_name(next.score)).c_str(), next.beta,
                   next.geometric_mean_kl);
  }
  return text + "\nwritten to " + printable(path) + "\n";
}

}  // namespace

void calibrate_command(const Arguments& args, Console& io) {
  CommonOptions common;
  CalibrateOptions options;
  std::vector<std::string> files;
  std::optional<std::string> out;
  std::optional<int64_t> n_tokens, n_choice_tokens, seed;
  TemplateOption template_option;
  CommandLine line("calibrate",
                   "Measures once how much each head of a model counts, so that the configuration headroom can share a "
                   "memory budget among them. The table is found by every later start.",
                   "  headroom calibrate\n"
                   "  headroom calibrate -m other.gguf\n"
                   "  headroom calibrate -m other.gguf -f prose.txt -f code.txt -f letters.txt -f program.txt");
  line.begin_group("Calibration");
  line.add_repeated_text(
      "-f,--file", "FILE",
      "texts to measure on, at least two; the first half measures heads, the others choose score and "
      "beta (default: built-in texts)",
      files);
  template_option.add_to(line);
  line.add_text("--out", "FILE", "write the table here (default: the place where every start looks for it)", out);
  line.add_int("-n,--predict", "tokens of each text to evaluate per head (default: 16)", 1, 1024, n_tokens);
  line.add_int("--n-choice", "tokens of each text to evaluate per choice (default: 32)", 1, 1024, n_choice_tokens);
  line.add_int("-s,--seed", "seed that selects the part of a long text (default: 1)", 0, max_position, seed);
  common.add_to(line);
  line.parse(args, io);

  options.version = HEADROOM_VERSION;
  options.n_tokens = static_cast<int32_t>(n_tokens.value_or(options.n_tokens));
  options.n_choice_tokens = static_cast<int32_t>(n_choice_tokens.value_or(options.n_choice_tokens));
  options.seed = static_cast<uint64_t>(seed.value_or(1));
  const TemplateChoice chat_template = template_option.choose(io);
  take_texts(files, options, io);
  common.prepare_backend();
  const Model model(common.model_path(), chat_template);
  const std::string path = out.value_or(calibration_path(model));
  const std::unique_ptr<Backend> backend = common.open_backend();
  CacheLab session(model, *backend, make_session_options(common, *find_cache_config("uniform")));

  Calibration calibration;
  make_private_folders(std::filesystem::path(path).parent_path().string());
  ResultFile results(path + ".partial", run_json(model, options, session.n_ctx(), backend->info().name, chat_template));
  {
    const InterruptGuard guard(io.interrupt);
    Progress progress(io, results);
    try {
      calibration = calibrate(model, session, options, results.results(), progress);
    } catch (const Error&) {
      if (!io.interrupt.requested) throw;
      throw EndedBySignal(SIGINT, "interrupted; the same command goes on with what " + path + ".partial holds");
    }
  }
  write_private_file(path, calibration_text(calibration));
  results.remove();
  if (common.json)
    io.out << calibration_text(calibration);
  else
    io.out << summary_text(calibration, path);
  if (io.interrupt.requested) throw EndedBySignal(SIGINT);
}

}  // namespace headroom
