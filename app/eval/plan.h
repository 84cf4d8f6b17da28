// What an evaluation is made of, checked, before any model is opened: models, texts, probes and cells; and the list of
// jobs that follows. A job gives one row. Shards take jobs, a state file remembers them.
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
  std::string name;  // without its folder, different for all
  int64_t size_bytes = 0;
};

struct Text {
  std::string name;  // different for all prompts
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
  int32_t index = 0;  // in the whole list, whatever the shard
  JobKind kind = JobKind::fidelity;
  size_t model = 0;    // of plan.models
  size_t subject = 0;  // of prompts, long_texts, probes, profile_lengths, by kind
  Cell cell;
};

/// The jobs of all shards: model by model, subject by subject. Perplexity and probes always have the full cache first.
std::vector<Job> all_jobs(const Plan& plan);
/// Those of plan.shard: every count-th.
std::vector<Job> jobs_of_shard(const Plan& plan);

/// The subject's name: the prompt's, the text's, the probe's, or the number of tokens.
std::string subject_name(const Plan& plan, const Job& job);
/// Different for every job, the same in another run if and only if the same is computed.
std::string job_key(const Plan& plan, const Job& job);

/// Everything that the rows depend on, without the shard: two reports with equal settings are parts of one evaluation.
Json settings_json(const Plan& plan);
/// The first key in which they differ; empty: they are equal.
std::string first_difference(const Json& settings, const Json& other);

/// FNV-1a, 64 bits, in hexadecimal.
std::string text_hash(const std::string& text);

}  // namespace headroom::eval
