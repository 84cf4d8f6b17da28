// Lists jobs and gives each a key that outlives the process.
#include "app/eval/plan.h"

#include "app/format.h"

namespace headroom::eval {
namespace {

Json names_with_hash(const std::vector<Text>& texts) {
  Json result = Json::array();
  for (const Text& text : texts)
    result.push_back({{"name", text.name}, {"bytes", text.text.size()}, {"hash", text_hash(text.text)}});
  return result;
}

}  // namespace

const char* job_kind_name(JobKind kind) {
  switch (kind) {
    case JobKind::fidelity:
      return "fidelity";
    case JobKind::perplexity:
      return "perplexity";
    case JobKind::probe:
      return "probe";
    case JobKind::profiling:
      return "profiling";
  }
  return "";
}

std::vector<Job> all_jobs(const Plan& plan) {
  std::vector<Cell> compared{baseline_cell()};
  for (const Cell& cell : plan.cells)
    if (!cell.is_baseline()) compared.push_back(cell);

  std::vector<Job> jobs;
  for (size_t model = 0; model < plan.models.size(); ++model) {
    const auto add = [&](JobKind kind, size_t n_subjects, const std::vector<Cell>& cells) {
      for (size_t subject = 0; subject < n_subjects; ++subject)
        for (const Cell& cell : cells)
          jobs.push_back({.index = static_cast<int32_t>(jobs.size()),
                          .kind = kind,
                          .model = model,
                          .subject = subject,
                          .cell = cell});
    };
    if (plan.profile_lengths.empty()) add(JobKind::fidelity, plan.prompts.size(), plan.cells);
    add(JobKind::perplexity, plan.long_texts.size(), compared);
    add(JobKind::probe, plan.probes.size(), compared);
    add(JobKind::profiling, plan.profile_lengths.size(), plan.cells);
  }
  return jobs;
}

std::vector<Job> jobs_of_shard(const Plan& plan) {
  std::vector<Job> jobs;
  for (const Job& job : all_jobs(plan))
    if (job.index % plan.shard.count == plan.shard.index - 1) jobs.push_back(job);
  return jobs;
}

std::string subject_name(const Plan& plan, const Job& job) {
  switch (job.kind) {
    case JobKind::fidelity:
      return plan.prompts[job.subject].name;
    case JobKind::perplexity:
      return plan.long_texts[job.subject].name;
    case JobKind::probe:
      return probe_name(plan.probes[job.subject]);
    case JobKind::profiling:
      return std::to_string(plan.profile_lengths[job.subject]);
  }
  return "";
}

std::string job_key(const Plan& plan, const Job& job) {
  const ModelFileName& model = plan.models[job.model];
  std::string key = format("%s|%s %lld|%s|", job_kind_name(job.kind), model.path.c_str(),
                           static_cast<long long>(model.size_bytes), subject_name(plan, job).c_str());
  switch (job.kind) {
    case JobKind::fidelity:
      key += text_hash(plan.prompts[job.subject].text) + format("|n %d", plan.n_scored);
      break;
    case JobKind::perplexity:
      key += text_hash(plan.long_texts[job.subject].text) + format("|n %d", plan.n_perplexity);
      break;
    case JobKind::probe:
      key += format("%d instances|seed %llu", plan.n_instances, static_cast<unsigned long long>(plan.seed));
      break;
    case JobKind::profiling:
      key += format("seed %llu", static_cast<unsigned long long>(plan.seed));
      break;
  }
  return key + "|" + job.cell.fingerprint();
}

Json settings_json(const Plan& plan) {
  Json models = Json::array();
  for (const ModelFileName& model : plan.models) models.push_back({{"name", model.name}, {"bytes", model.size_bytes}});
  Json probes = Json::array();
  for (const ProbeKind probe : plan.probes) probes.push_back(probe_name(probe));
  Json cells = Json::array();
  for (const Cell& cell : plan.cells) cells.push_back(cell.fingerprint());
  Json settings;
  settings["models"] = std::move(models);
  settings["prompts"] = names_with_hash(plan.prompts);
  settings["long_texts"] = names_with_hash(plan.long_texts);
  settings["probes"] = std::move(probes);
  settings["profile_lengths"] = plan.profile_lengths;
  settings["configurations"] = std::move(cells);
  settings["system"] = plan.system ? Json(*plan.system) : Json(nullptr);
  settings["raw"] = plan.raw;
  settings["special"] = plan.special;
  // Only if there is one, so that state files of runs without it stay valid.
  if (plan.chat_template.is_given()) settings["chat_template"] = text_hash(plan.chat_template.source);
  settings["n_scored"] = plan.n_scored;
  settings["n_perplexity"] = plan.n_perplexity;
  settings["n_instances"] = plan.n_instances;
  settings["seed"] = plan.seed;
  settings["n_jobs"] = all_jobs(plan).size();
  return settings;
}

std::string first_difference(const Json& settings, const Json& other) {
  if (!other.is_object()) return "settings";
  for (const auto& [key, value] : settings.items())
    if (!other.contains(key) || other[key] != value) return key;
  return settings == other ? "" : "settings";
}

std::string text_hash(const std::string& text) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char byte : text) hash = (hash ^ static_cast<uint8_t>(byte)) * 0x100000001b3u;
  return format("%016llx", static_cast<unsigned long long>(hash));
}

}  // namespace headroom::eval
