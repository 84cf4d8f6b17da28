// A turn's result and the state of the cache ─► the JSON objects of `profile --json` and `run --json`. The keys are
// part of the command line's contract. Numbers are in bytes, milliseconds and tokens per second.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "engine/backend/backend.h"
#include "engine/run/session.h"

namespace headroom {

struct TurnReport {
  const std::string& model_path;
  const BackendInfo& backend;
  const CacheConfig& config;
  const CacheState& state;
  const TurnResult& result;
  uint64_t seed = 0;
};

nlohmann::ordered_json profile_json(const TurnReport& report);
/// profile_json plus what was generated.
nlohmann::ordered_json run_json(const TurnReport& report);

/// One line; invalid UTF-8 becomes U+FFFD.
std::string json_line(const nlohmann::ordered_json& object);

/// "SmolLM2-135M-Instruct.Q4_1.gguf"
std::string file_name(const std::string& path);

}  // namespace headroom
