// One token's step on Vulkan: its commands, which are recorded once, and the plan that they were recorded for.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "engine/backend/device/step_plan.h"
#include "engine/backend/vulkan/queue.h"

namespace headroom::vulkan {

class VulkanStep final : public StepProgram {
 public:
  VulkanStep(Queue& queue, std::function<void()> operations_, Matrix result_)
      : operations(std::move(operations_)), result(result_), commands(queue) {}

  std::function<void()> operations;
  Matrix result;
  device::StepPlan plan;
  std::vector<uint8_t> is_appended;  // by layer: attend_decode was called
  std::vector<uint8_t> is_evicted;   // by layer: evict was called
  // The output of every run, if the host cannot see the device's memory: the result, the report, and the first rows
  // that each head logs.
  std::unique_ptr<Buffer> read_back;
  RecordedCommands commands;
};

}  // namespace headroom::vulkan
