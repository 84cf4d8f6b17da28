// `headroom inspect`: a GGUF file ─► what is in it, and whether it would run here and in how much memory. Strings of
// the file are untrusted and are made harmless before they are printed.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <vector>

#include "app/commands.h"
#include "app/format.h"
#include "app/gguf_text.h"
#include "app/json_report.h"
#include "app/options.h"
#include "app/template_text.h"
#include "engine/base/error.h"
#include "engine/base/platform/platform.h"
#include "engine/model/type_names.h"
#include "engine/model/weight_check.h"
#include "engine/run/session.h"

namespace headroom {
namespace {

using Json = nlohmann::ordered_json;

/// The smallest context that is useful for a chat.
constexpr int64_t least_useful_tokens = 256;

struct TypeTotal {
  int64_t n_tensors = 0;
  int64_t bytes = 0;
};

/// Whether the engine can run the file, and what it needs for that.
struct Verdict {
  std::string refusal;  // empty: it runs
  std::optional<ModelConfig> config;
  std::optional<TemplateReport> chat_template;  // empty: the file has no readable vocabulary
  int64_t weight_bytes = 0;
  int64_t available_bytes = 0;
  int32_t n_ctx = 0;                                  // asked for, or the model's
  int32_t n_ctx_fits = 0;                             // what memory allows
  std::optional<std::vector<BadTensor>> bad_tensors;  // if they were asked for

  int64_t kv_bytes(int64_t n_tokens) const { return full_kv_bytes(*config, n_tokens); }
};

std::map<std::string, TypeTotal> totals_by_type(const GgufFile& file) {
  std::map<std::string, TypeTotal> totals;
  for (const GgufFile::Tensor& tensor : file.tensors()) {
    TypeTotal& total = totals[tensor_type_name(tensor.ggml_type)];
    total.n_tensors += 1;
    total.bytes += static_cast<int64_t>(tensor.bytes.size());
  }
  return totals;
}

Verdict judge(const GgufFile& file, const std::string& path, const CommonOptions& common) {
  Verdict verdict;
  for (const GgufFile::Tensor& tensor : file.tensors())
    verdict.weight_bytes += static_cast<int64_t>(tensor.bytes.size());
  verdict.available_bytes = available_memory_bytes();
  try {
    verdict.chat_template = judge_template(file);
  } catch (const Error&) {  // reported below, with everything else that keeps the file from running
  }
  try {
    verdict.config = read_model_config(file);
    verdict.n_ctx = static_cast<int32_t>(common.n_ctx.value_or(verdict.config->n_ctx_train));
    verdict.n_ctx_fits = context_that_fits(*verdict.config, verdict.available_bytes);
    const Model model(path);  // everything that running it would check
    if (verdict.n_ctx > verdict.config->n_ctx_train)
      verdict.refusal =
          format("the context is %d tokens, the model was trained for %d", verdict.n_ctx, verdict.config->n_ctx_train);
    else if (verdict.weight_bytes + verdict.kv_bytes(least_useful_tokens) > verdict.available_bytes)
      verdict.refusal = format("the weights need %s, but only %s are available",
                               bytes_text(verdict.weight_bytes).c_str(), bytes_text(verdict.available_bytes).c_str());
  } catch (const Error& error) {
    verdict.refusal = error.what();
  }
  return verdict;
}

/// Reads every weight, which takes as long as reading the file.
void check_weights(const GgufFile& file, Verdict& verdict) {
  verdict.bad_tensors = find_bad_tensors(file);
  if (!verdict.refusal.empty() || verdict.bad_tensors->empty()) return;
  verdict.refusal = "weights are not numbers: " + sentence(verdict.bad_tensors->front());
}

int64_t count_unchecked(const GgufFile& file) {
  return std::count_if(file.tensors().begin(), file.tensors().end(),
                       [](const GgufFile::Tensor& tensor) { return tensor.bytes.empty(); });
}

Json bad_tensors_json(const std::vector<BadTensor>& bad_tensors) {
  Json list = Json::array();
  for (const BadTensor& tensor : bad_tensors)
    list.push_back({{"tensor", tensor.name},
                    {"what", tensor.are_scales ? "block scales" : "values"},
                    {"checked", tensor.n_checked},
                    {"not_numbers", tensor.n_bad},
                    {"first_row", tensor.first_row},
                    {"first_column", tensor.first_column}});
  return list;
}

Json inspect_json(const GgufFile& file, const Verdict& verdict) {
  Json metadata = Json::object();
  for (const auto& [key, value] : file.metadata()) metadata[key] = value_json(value);
  Json tensors = Json::array();
  for (const GgufFile::Tensor& tensor : file.tensors())
    tensors.push_back({{"name", tensor.name},
                       {"type", tensor_type_name(tensor.ggml_type)},
                       {"shape", tensor.dims},
                       {"bytes", tensor.bytes.size()}});
  Json totals = Json::object();
  for (const auto& [type, total] : totals_by_type(file))
    totals[type] = {{"tensors", total.n_tensors}, {"bytes", total.bytes}};

  Json object = {{"path", file.path()},
                 {"version", file.version()},
                 {"file_bytes", file.file_bytes()},
                 {"metadata", std::move(metadata)},
                 {"tensors", std::move(tensors)},
                 {"totals", std::move(totals)},
                 {"runs", verdict.refusal.empty()},
                 {"refusal", verdict.refusal},
                 {"chat_template", verdict.chat_template ? template_json(*verdict.chat_template) : Json(nullptr)},
                 {"weight_bytes", verdict.weight_bytes},
                 {"available_bytes", verdict.available_bytes}};
  if (verdict.bad_tensors) {
    object["bad_tensors"] = bad_tensors_json(*verdict.bad_tensors);
    object["unchecked_tensors"] = count_unchecked(file);
  }
  if (verdict.config) {
    object["kv_full_bytes_per_1000_tokens"] = verdict.kv_bytes(1000);
    object["n_ctx"] = verdict.n_ctx;
    object["n_ctx_fits"] = verdict.n_ctx_fits;
    object["kv_full_bytes_at_n_ctx"] = verdict.kv_bytes(verdict.n_ctx);
  }
  return object;
}

std::string shape_text(const std::vector<int64_t>& dims) {
  std::string text;
  for (const int64_t dim : dims) text += (text.empty() ? "" : " x ") + std::to_string(dim);
  return text;
}

void print_contents(const GgufFile& file, std::ostream& out) {
  out << format("%s: GGUF %u, %s\n\nmetadata, %zu keys\n", printable(file.path()).c_str(), file.version(),
                bytes_text(static_cast<int64_t>(file.file_bytes())).c_str(), file.metadata().size());
  for (const auto& [key, value] : file.metadata())
    out << "  " << printable(shortened(key, 200)) << " = " << entry_text(key, value) << "\n";
  out << format("\ntensors, %zu\n", file.tensors().size());
  for (const GgufFile::Tensor& tensor : file.tensors())
    out << format("  %-40s %-7s %-20s %12s\n", printable(shortened(tensor.name, 200)).c_str(),
                  tensor_type_name(tensor.ggml_type).c_str(), shape_text(tensor.dims).c_str(),
                  tensor.bytes.empty() ? "?" : bytes_text(static_cast<int64_t>(tensor.bytes.size())).c_str());
  out << "\ntotals by type\n";
  for (const auto& [type, total] : totals_by_type(file))
    out << format("  %-7s %6lld tensors %12s\n", type.c_str(), static_cast<long long>(total.n_tensors),
                  total.bytes == 0 ? "?" : bytes_text(total.bytes).c_str());
}

void print_bad_tensors(const GgufFile& file, const std::vector<BadTensor>& bad_tensors, std::ostream& out) {
  const int64_t n_unchecked = count_unchecked(file);
  out << format("\nweights checked, %zu of %zu tensors hold something that is not a number\n", bad_tensors.size(),
                file.tensors().size());
  for (const BadTensor& tensor : bad_tensors) out << "  " << printable(sentence(tensor)) << "\n";
  if (n_unchecked > 0)
    out << format("  %lld tensors have types that the engine cannot read and were not checked\n",
                  static_cast<long long>(n_unchecked));
}

void print_verdict(const Verdict& verdict, std::ostream& out) {
  if (verdict.chat_template) out << "\n" << template_text(*verdict.chat_template);
  const bool refuses_messages = verdict.chat_template && verdict.chat_template->state == TemplateReport::State::refused;
  out << "\nwould it run here: "
      << (!verdict.refusal.empty() ? "no: " + printable(verdict.refusal)
          : refuses_messages       ? "yes, but not as a chat without --chat-template"
                                   : "yes")
      << "\n";
  if (!verdict.config) return;
  out << format("  weights                    %12s\n", bytes_text(verdict.weight_bytes).c_str())
      << format("  KV cache, 1,000 tokens     %12s uncompressed\n", bytes_text(verdict.kv_bytes(1000)).c_str());
  if (verdict.n_ctx > 0)
    out << format("  KV cache, %-7s tokens   %12s uncompressed, the whole context\n", count_text(verdict.n_ctx).c_str(),
                  bytes_text(verdict.kv_bytes(verdict.n_ctx)).c_str());
  out << format("  memory available           %12s\n", bytes_text(verdict.available_bytes).c_str());
  if (verdict.n_ctx_fits < verdict.n_ctx)
    out << format("  context that fits          %12s tokens\n", count_text(verdict.n_ctx_fits).c_str());
}

}  // namespace

void inspect_command(const Arguments& args, Console& io) {
  CommonOptions common;
  std::optional<std::string> path;
  bool check = false;
  CommandLine line("inspect", "Shows what is in a GGUF file, and whether and how it can run here.",
                   "  headroom inspect model.gguf\n"
                   "  headroom inspect -m model.gguf -c 4096 --json\n"
                   "  headroom inspect --check model.gguf");
  line.add_positional("FILE", "GGUF file", path);
  line.add_flag("--check", "read every weight and list the tensors with values or scales that are not numbers", check);
  common.add_to(line);
  line.parse(args, io);
  if (path && common.model) throw UsageError("inspect: FILE and -m both name the file, expected one of them");
  if (!path) path = common.model_path();

  const GgufFile file = GgufFile::open(*path);
  Verdict verdict = judge(file, *path, common);
  if (check) check_weights(file, verdict);
  if (common.json) {
    io.out << json_line(inspect_json(file, verdict));
    return;
  }
  print_contents(file, io.out);
  if (verdict.bad_tensors) print_bad_tensors(file, *verdict.bad_tensors, io.out);
  print_verdict(verdict, io.out);
}

}  // namespace headroom
