// A cache configuration from outside ─► the one that a model runs, or a refusal.
#pragma once

#include "engine/base/policy.h"
#include "engine/run/calibration_table.h"
#include "engine/run/model.h"

namespace headroom {

/// The configuration with the model's table of importance where it asks for one. Throws Error for values out of range
/// and for parts that contradict each other or the model.
ResolvedConfig checked_config(const CacheConfig& config, const Model& model);

}  // namespace headroom
