// Checks the limits of one rendering. See budget.h.
#include "engine/text/jinja/budget.h"

#include <algorithm>

#include "engine/base/platform/thread_clock.h"
#include "engine/text/jinja/error.h"

namespace headroom::jinja {

namespace {

// The limits and the stop question are checked every few milliseconds at least.
constexpr int64_t steps_per_pause = 1 << 12;
constexpr size_t work_per_pause = size_t{1} << 21;

}  // namespace

thread_local Budget* Budget::current_ = nullptr;

Budget::Budget(const TemplateLimits& l, const StopQuestion& stop)
    : limits(l),
      stop_(stop),
      outer_(current_),
      start_seconds_(thread_cpu_seconds()),
      steps_until_pause_(std::min(steps_per_pause, l.max_steps + 1)),
      work_until_pause_(std::min(work_per_pause, l.max_work + 1)) {
  current_ = this;
}

Budget::~Budget() {
  current_ = outer_;
}

void Budget::pause() {
  if (steps_ > limits.max_steps) {
    fail_at_line(line, "the template was stopped after " + std::to_string(limits.max_steps) + " steps");
  }
  if (work_ > limits.max_work) {
    fail_at_line(line, "the template was stopped after it had processed " + std::to_string(limits.max_work >> 20) +
                           " MiB of text and lists");
  }
  steps_until_pause_ = std::min(steps_ + steps_per_pause, limits.max_steps + 1);
  work_until_pause_ = std::min(work_ + work_per_pause, limits.max_work + 1);
  if (stop_ && stop_()) throw Cancelled{};
  if (thread_cpu_seconds() - start_seconds_ > limits.max_seconds) {
    fail_at_line(line,
                 "the template was stopped after " + std::to_string(static_cast<int>(limits.max_seconds)) + " seconds");
  }
}

void Budget::fail_memory() const {
  fail_at_line(line, "the template was stopped when its values took more than " +
                         std::to_string(limits.max_memory_bytes >> 20) + " MiB");
}

}  // namespace headroom::jinja
