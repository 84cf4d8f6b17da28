// The parts of an evaluation (models, texts, probes, cells), checked before any model is opened ─► the list of jobs. A
// job gives one row. A shard runs part of the jobs, and a state file stores finished ones.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "app/eval/cells.h"
#include "app/eval/probes.h"
#include "engine/run/model.h"

namespace headroom::eval {

using Json = nlohmann::ordered_json;

struct ModelFileName {
  std::string path;
  std::string name;  // without its folder, unique
  int64_t size_bytes = 0;
};

struct Text {
  std::string name;  // unique
  std::string text;
};

/// 1 of 1: everything.
struct Shard {
  int32_t index = 1;
  int32_t count = 1;
};

struct Plan {
  std::vector<ModelFileName> models;
  std::vector<Text> prompts;
  std::vector<Text> long_texts;  // for perplexity
  std::vector<ProbeKind> probes;
  std::vector<int32_t> profile_lengths;  // tokens
  std::vector<Cell> cells;
  std::optional<std::string> system;
  bool raw = false;
  bool special = false;
  TemplateChoice chat_template;
  int32_t n_scored = 64;
  int32_t n_perplexity = 512;  // tokens fed one by one at most
  int32_t n_instances = 200;   // of a probe
  uint64_t seed = 1;
  Shard shard;
};

enum class JobKind { fidelity, perplexity, probe, profiling };
const char* job_kind_name(JobKind kind);

struct Job {
  int32_t index = 0;  // in the list of all shards
  JobKind kind = JobKind::fidelity;
  size_t model = 0;    // of plan.models
  size_t subject = 0;  // index into prompts, long_texts, probes or profile_lengths, by kind
  Cell cell;
};

/// The jobs of all shards: model by model, subject by subject. For perplexity and probes the full cache always comes
/// first.
std::vector<Job> all_jobs(const Plan& plan);
/// The jobs of plan.shard: every count-th.
std::vector<Job> jobs_of_shard(const Plan& plan);

/// The subject's name: the prompt's, the text's, the probe's, or the number of tokens.
std::string subject_name(const Plan& plan, const Job& job);
/// Unique per job. Two runs give the same key if and only if the job computes the same.
std::string job_key(const Plan& plan, const Job& job);

/// Everything that the rows depend on, without the shard: two reports with equal settings are parts of one evaluation.
Json settings_json(const Plan& plan);
/// The first key in which the two differ; empty if they are equal.
std::string first_difference(const Json& settings, const Json& other);

/// FNV-1a, 64 bits, in hexadecimal.
std::string text_hash(const std::string& text);

}  // namespace headroom::eval
