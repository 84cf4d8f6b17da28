// Ranges and contradictions of a configuration. See checked_config.h.
#include "engine/run/checked_config.h"

#include <string>

#include "engine/base/error.h"

namespace headroom {
namespace {

void check_cache_config(const CacheConfig& config) {
  check_ranges(config);
  if (config.policy_set.empty()) throw Error("the policy set is empty; at least one policy was expected");
  if (config.budget != BudgetKind::fixed) {
    if (config.policy_set.size() != 1 || !config.policy_set.front().has(Policy::frequent))
      throw Error("the budgets are " + std::string(budget_kind_name(config.budget)) +
                  "; expected a set of one policy with `frequent`");
  }
  if (config.kv_budget_bytes > 0 && config.budget != BudgetKind::shared)
    throw Error("a KV budget in bytes was given with " + std::string(budget_kind_name(config.budget)) +
                " budgets; expected `shared` ones, as those of the configurations headroom and uniform");
}

}  // namespace

ResolvedConfig checked_config(const CacheConfig& config, const Model& model) {
  check_cache_config(config);
  const auto n_heads = static_cast<size_t>(model.config().n_layers) * static_cast<size_t>(model.config().n_kv_heads);
  if (!config.head_importance.empty() && config.head_importance.size() != n_heads)
    throw Error("the configuration has the importance of " + std::to_string(config.head_importance.size()) +
                " heads; the model has " + std::to_string(n_heads));
  return resolve_config(config, model);
}

}  // namespace headroom
