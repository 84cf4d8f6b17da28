// What was decided for a head: the planner (keep_plan.h) returns it, the head's cache and the undo log hold it.
#pragma once

#include "engine/base/policy.h"

namespace headroom {

struct HeadChoice {
  Policy policy;
  HeadProfile profile;  // of the last turn that chose a policy
  HeadBudget budget;    // set with it, if the configuration has budgets
};

}  // namespace headroom
