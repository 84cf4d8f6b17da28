// What runner.cpp and runner_tasks.cpp share: an observer that only stops, and the first keys of every row.
#pragma once

#include <functional>

#include "app/eval/runner.h"

namespace headroom::eval {

class PrefillObserver : public TurnObserver {
 public:
  explicit PrefillObserver(const std::function<bool()>& stop) : stop_(stop) {}
  bool stop_requested() override { return stop_(); }

 private:
  const std::function<bool()>& stop_;
};

Row begin_row(const Plan& plan, const Job& job, const PromptStart& start);

}  // namespace headroom::eval
