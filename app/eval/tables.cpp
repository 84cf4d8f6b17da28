// Lays out a report as tables. Numbers are rounded only here.
#include "app/eval/tables.h"

#include <algorithm>

#include "app/format.h"

namespace headroom::eval {
namespace {

/// Text columns are left-aligned, numbers right-aligned.
struct Table {
  std::vector<std::string> heads;
  size_t n_text_columns = 0;
  std::vector<std::vector<std::string>> lines{};

  std::string text() const {
    std::vector<size_t> widths;
    for (const std::string& head : heads) widths.push_back(width(head));
    for (const auto& line : lines)
      for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], width(line[i]));
    std::string result = line_text(heads, widths);
    for (const auto& line : lines) result += line_text(line, widths);
    return result;
  }

 private:
  static size_t width(const std::string& text) {
    return static_cast<size_t>(
        std::count_if(text.begin(), text.end(), [](char byte) { return (static_cast<uint8_t>(byte) & 0xc0) != 0x80; }));
  }

  std::string line_text(const std::vector<std::string>& cells, const std::vector<size_t>& widths) const {
    std::string result;
    for (size_t i = 0; i < cells.size(); ++i) {
      const std::string space(widths[i] - width(cells[i]), ' ');
      result += i == 0 ? "  " : "   ";
      result += i < n_text_columns ? cells[i] + space : space + cells[i];
    }
    result.erase(result.find_last_not_of(' ') + 1);
    return result + "\n";
  }
};

std::string percent(const Json& share) {
  return share.is_number() ? format("%.1f %%", 100 * share.get<double>()) : "-";
}

std::string number(const Json& value, const char* pattern) {
  if (!value.is_number()) return "-";
  if (value.is_number_integer()) return std::to_string(value.get<int64_t>());
  char text[64];
  std::snprintf(text, sizeof text, pattern, value.get<double>());
  return text;
}

std::string first_difference_text(const Json& step) {
  return step == -1 ? "none" : number(step, "%g");
}

/// "91.5 ± 2.0 %"
std::string percent_with_error(const Json& share, const Json& error) {
  if (!share.is_number() || !error.is_number()) return "-";
  return format("%.1f ± %.1f %%", 100 * share.get<double>(), 100 * error.get<double>());
}

std::string bytes(const Json& row, const char* key) {
  return bytes_text(static_cast<int64_t>(row.at(key).get<double>()));
}

std::vector<std::string> cell_columns(const Json& row) {
  return {printable(row.at("model").get<std::string>()), cell_name(row), number(row.at("keep"), "%g"),
          printable(row.at("cache_type").get<std::string>())};
}

const std::vector<std::string> cell_heads{"model", "configuration", "keep", "cache"};

Table begin_table(const std::vector<std::string>& more_text, const std::vector<std::string>& numbers) {
  Table table{.heads = cell_heads, .n_text_columns = cell_heads.size() + more_text.size()};
  table.heads.insert(table.heads.end(), more_text.begin(), more_text.end());
  table.heads.insert(table.heads.end(), numbers.begin(), numbers.end());
  return table;
}

void add_line(Table& table, const Json& row, const std::vector<std::string>& cells) {
  std::vector<std::string> line = cell_columns(row);
  line.insert(line.end(), cells.begin(), cells.end());
  table.lines.push_back(std::move(line));
}

std::string fidelity_text(const Report& report) {
  const std::vector<Row> rows = rows_of(report, JobKind::fidelity);
  if (rows.empty()) return "";
  Table summary = begin_table({}, {"prompts", "KL, nats", "agreement", "kept", "live", "full"});
  for (const Json& row : fidelity_summary(report))
    add_line(summary, row,
             {number(row["n_prompts"], "%g"), number(row["geometric_mean_kl"], "%.3g"), percent(row["agreement"]),
              percent(row["kept_ratio"]), bytes(row, "kv_live_bytes"), bytes(row, "kv_full_bytes")});
  Table all = begin_table({"prompt"}, {"tokens", "scored", "KL, nats", "p95", "agreement", "first", "kept", "live",
                                       "at end", "generate/s"});
  for (const Row& row : rows)
    add_line(all, row,
             {printable(row.at("prompt").get<std::string>()), number(row.at("n_tokens"), "%g"),
              number(row.at("n_scored"), "%g"), number(row.at("mean_kl"), "%.3g"), number(row.at("p95_kl"), "%.3g"),
              percent(row.at("agreement")), first_difference_text(row.at("first_difference")),
              percent(row.at("kept_ratio")), bytes(row, "kv_live_bytes"), bytes(row, "kv_live_bytes_end"),
              number(row.at("generate_tokens_per_s"), "%.1f")});
  return "Divergence from the full cache (geometric mean over the prompts):\n" + summary.text() +
         "\nEach prompt (first: the first scored token whose arg max differs):\n" + all.text();
}

std::string perplexity_text(const Report& report) {
  const std::vector<Row> rows = rows_of(report, JobKind::perplexity);
  if (rows.empty()) return "";
  Table table = begin_table({"text"}, {"prefilled", "scored", "perplexity", "kept", "live", "at end", "generate/s"});
  for (const Row& row : rows)
    add_line(table, row,
             {printable(row.at("prompt").get<std::string>()), number(row.at("n_tokens"), "%g"),
              number(row.at("n_scored"), "%g"), number(row.at("perplexity"), "%.3f"), percent(row.at("kept_ratio")),
              bytes(row, "kv_live_bytes"), bytes(row, "kv_live_bytes_end"),
              number(row.at("generate_tokens_per_s"), "%.1f")});
  return "Perplexity of what follows the prefilled part:\n" + table.text();
}

std::string probe_text(const Report& report) {
  const std::vector<Row> rows = probe_rows(report);
  if (rows.empty()) return "";
  const auto line = [](const Json& row) {
    return std::vector<std::string>{percent_with_error(row.at("difference"), row.at("difference_standard_error")),
                                    percent(row.at("kept_ratio")), bytes(row, "kv_live_bytes")};
  };
  Table summary = begin_table({}, {"probes", "accuracy", "against full", "kept", "live"});
  for (const Json& row : probe_summary(report)) {
    std::vector<std::string> cells{number(row["n_probes"], "%g"), percent(row["accuracy"])};
    for (const std::string& cell : line(row)) cells.push_back(cell);
    add_line(summary, row, cells);
  }
  Table all = begin_table({"probe"}, {"instances", "accuracy", "against full", "kept", "live"});
  for (const Row& row : rows) {
    std::vector<std::string> cells{printable(row.at("probe").get<std::string>()), number(row.at("n_instances"), "%g"),
                                   percent_with_error(row.at("accuracy"), row.at("standard_error"))};
    for (const std::string& cell : line(row)) cells.push_back(cell);
    add_line(all, row, cells);
  }
  return "Tasks, mean over the probes (± standard error; against full: the same instances):\n" + summary.text() +
         "\nEach probe:\n" + all.text();
}

std::string profiling_text(const Report& report) {
  const std::vector<Row> rows = rows_of(report, JobKind::profiling);
  if (rows.empty()) return "";
  Table table = begin_table({}, {"tokens", "prefill, ms", "profiling, ms", "share", "kept"});
  for (const Row& row : rows)
    add_line(table, row,
             {number(row.at("n_tokens"), "%g"), number(row.at("prefill_ms"), "%.1f"),
              number(row.at("profile_ms"), "%.2f"), percent(row.at("profile_share")), percent(row.at("kept_ratio"))});
  return "Time of a prefill that profiling takes (median of three):\n" + table.text();
}

std::string csv_field(const Json& value) {
  if (value.is_null()) return "";
  const std::string text =
      value.is_string() ? value.get<std::string>() : value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

}  // namespace

std::string cell_name(const Json& row) {
  const std::string setting = row.at("setting");
  return printable(row.at("config").get<std::string>() + (setting.empty() ? "" : " " + setting));
}

std::string report_text(const Report& report) {
  std::string text;
  for (const std::string& part :
       {fidelity_text(report), perplexity_text(report), probe_text(report), profiling_text(report)})
    if (!part.empty()) text += (text.empty() ? "" : "\n") + part;
  return text.empty() ? "no row is done\n" : text;
}

std::string report_csv(const Report& report) {
  std::vector<Row> rows;
  for (const JobKind kind : {JobKind::fidelity, JobKind::perplexity, JobKind::profiling})
    for (const Row& row : rows_of(report, kind)) rows.push_back(row);
  for (const Row& row : probe_rows(report)) rows.push_back(row);
  std::vector<std::string> keys;
  for (const Row& row : rows)
    for (const auto& [key, value] : row.items())
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
  std::string text;
  for (const std::string& key : keys) text += (text.empty() ? "" : ",") + csv_field(key);
  text += "\r\n";
  for (const Row& row : rows) {
    for (size_t i = 0; i < keys.size(); ++i)
      text += (i == 0 ? "" : ",") + (row.contains(keys[i]) ? csv_field(row.at(keys[i])) : "");
    text += "\r\n";
  }
  return text;
}

}  // namespace headroom::eval
