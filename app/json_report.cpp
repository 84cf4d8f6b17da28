// Builds the JSON reports of a turn, key by key.
#include "app/json_report.h"

#include <filesystem>

#include "engine/base/platform/platform.h"

namespace headroom {
namespace {

using Json = nlohmann::ordered_json;

Json heads_json(const CacheState& state) {
  Json heads = Json::array();
  const std::vector<float>& importance = state.config.head_importance;
  for (const HeadState& head : state.heads)
    heads.push_back({{"layer", head.layer},
                     {"kv_head", head.kv_head},
                     {"recovery", head.recovery},
                     {"policy", policy_name(head.policy)},
                     {"kept_tokens", head.kept_tokens},
                     {"budget_tokens", head.budget.tokens < 0 ? Json(nullptr) : Json(head.budget.tokens)},
                     {"importance", importance.empty() ? Json(nullptr) : Json(importance[heads.size()])},
                     {"bytes", head.bytes}});
  return heads;
}

}  // namespace

Json profile_json(const TurnReport& report) {
  const CacheConfig& config = report.config;
  const CacheState& state = report.state;
  const TurnResult& result = report.result;
  Json names = Json::array();
  for (const Policy policy : config.policy_set) names.push_back(policy_name(policy));
  Json top = Json::array();
  for (const TopLogit& entry : result.first_token_top) top.push_back(Json::array({entry.id, entry.logit}));

  Json object;
  object["model"] = file_name(report.model_path);
  object["backend"] = report.backend.name;
  object["device"] = report.backend.device;
  object["config"] = config.name;
  object["score"] = std::string(token_score_name(config.score));
  object["budget"] = std::string(budget_kind_name(config.budget));
  object["keep"] = config.keep > 0 ? Json(config.keep) : Json(nullptr);
  object["kv_budget_bytes"] = config.kv_budget_bytes > 0 ? Json(config.kv_budget_bytes) : Json(nullptr);
  object["beta"] = config.beta;
  object["cache_type"] = std::string(cache_type_name(config.cache_type));
  object["n_tokens"] = result.n_prompt_tokens;
  object["threshold"] = config.threshold;
  object["r_local"] = config.r_local;
  object["r_frequent"] = config.r_frequent;
  object["group"] = config.group == GroupReduce::min ? "min" : "mean";
  object["policy_set"] = std::move(names);
  object["heads"] = heads_json(state);
  object["kv_live_bytes"] = state.kv_live_bytes;
  object["kv_full_bytes"] = state.kv_full_bytes;
  object["kv_pool_bytes"] = state.kv_pool_bytes;
  object["kv_peak_bytes"] = state.kv_peak_bytes;
  object["turn_log_bytes"] = state.turn_log_bytes;
  object["resident_bytes"] = resident_bytes();
  object["first_token_top"] = std::move(top);
  object["prefill_ms"] = result.prefill_ms;
  object["profile_ms"] = result.profile_ms;
  object["cache_action"] = std::string(cache_action_name(result.action));
  object["seed"] = report.seed;
  return object;
}

Json run_json(const TurnReport& report) {
  Json object = profile_json(report);
  const TurnResult& result = report.result;
  object["ids"] = result.ids;
  object["text"] = result.text;
  object["stop_reason"] = std::string(stop_reason_name(result.stop_reason));
  object["prompt_tokens_per_s"] = result.prompt_tokens_per_s;
  object["generate_tokens_per_s"] = result.generate_tokens_per_s;
  return object;
}

std::string json_line(const Json& object) {
  return object.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string file_name(const std::string& path) {
  return std::filesystem::path(path).filename().string();
}

}  // namespace headroom
