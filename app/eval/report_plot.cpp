// Maps the rows of a report to panels, series and points.
#include <algorithm>

#include "app/eval/plot.h"
#include "app/eval/tables.h"
#include "app/format.h"

namespace headroom::eval {
namespace {

bool has_several_models(const Report& report) {
  return report.settings.at("models").size() > 1;
}

/// One line per configuration and cache type. The points of a line differ by share or by the value of a setting.
std::string series_name(const Json& row, bool name_model) {
  std::string name = row.at("config");
  const std::string setting = row.at("setting");
  if (!setting.empty()) name += ", " + setting.substr(0, setting.find(' '));
  if (row.at("cache_type") != "f16") name += ", " + row.at("cache_type").get<std::string>();
  if (name_model) name += ", " + row.at("model").get<std::string>();
  return name;
}

void add_point(Panel& panel, const std::string& name, PlotPoint point) {
  const auto same = [&](const PlotSeries& series) { return series.name == name; };
  auto found = std::find_if(panel.series.begin(), panel.series.end(), same);
  if (found == panel.series.end()) found = panel.series.insert(found, {.name = name, .points = {}});
  found->points.push_back(std::move(point));
}

double live_percent(const Json& row) {
  const double full = row.at("kv_full_bytes").get<double>();
  return full > 0 ? 100 * row.at("kv_live_bytes").get<double>() / full : 0;
}

std::string point_label(const Json& row, double y, const char* unit) {
  std::string text = cell_name(row);
  if (row.at("keep").is_number()) text += format(", keep %g", row.at("keep").get<double>());
  return text + format(": %.3g%s at %.1f %% of the bytes, %.1f %% of the tokens", y, unit, live_percent(row),
                       100 * row.at("kept_ratio").get<double>());
}

Panel bytes_panel(const std::string& title, Axis y) {
  return {.title = title,
          .x = {.title = "live KV bytes after the prompt, % of the full cache", .min = 0, .max = 100},
          .y = std::move(y),
          .series = {}};
}

}  // namespace

std::string report_plot(const Report& report) {
  const bool name_model = has_several_models(report);
  Panel fidelity = bytes_panel("Divergence from the full cache",
                               {.title = "KL, nats (geometric mean over prompts)", .logarithmic = true});
  for (const Json& row : fidelity_summary(report)) {
    const double kl = row.at("geometric_mean_kl");
    if (kl <= kl_floor) continue;  // exact: cannot be shown on a logarithmic axis, and would compress the others
    add_point(fidelity, series_name(row, name_model), {live_percent(row), kl, point_label(row, kl, " nats")});
  }
  Panel perplexity = bytes_panel("Perplexity", {.title = "perplexity of a text's second part"});
  for (const Row& row : rows_of(report, JobKind::perplexity)) {
    const double value = row.at("perplexity");
    add_point(perplexity, series_name(row, name_model) + ", " + row.at("prompt").get<std::string>(),
              {live_percent(row), value, point_label(row, value, "")});
  }
  Panel probes = bytes_panel("Tasks", {.title = "solved, % (mean over the probes)", .min = 0, .max = 100});
  for (const Json& row : probe_summary(report)) {
    const double accuracy = 100 * row.at("accuracy").get<double>();
    add_point(probes, series_name(row, name_model), {live_percent(row), accuracy, point_label(row, accuracy, " %")});
  }
  Panel profiling{.title = "What profiling costs",
                  .x = {.title = "tokens of the prompt", .logarithmic = true},
                  .y = {.title = "profiling, % of the prefill's time"},
                  .series = {}};
  for (const Row& row : rows_of(report, JobKind::profiling)) {
    const double share = 100 * row.at("profile_share").get<double>();
    add_point(profiling, series_name(row, name_model),
              {row.at("n_tokens").get<double>(), share, point_label(row, share, " %")});
  }
  std::vector<Panel> panels;
  for (Panel* panel : {&fidelity, &perplexity, &probes, &profiling})
    if (!panel->series.empty()) panels.push_back(std::move(*panel));
  return plot_svg(panels);
}

}  // namespace headroom::eval
