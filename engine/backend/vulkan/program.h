// A compute shader that is ready to run. Its bindings, and whether it reads or writes them, are read from its SPIR-V:
// the shader is the only place that declares them.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/backend/vulkan/device.h"

namespace headroom::vulkan {

struct Binding {
  VkDescriptorType type;  // storage buffer or uniform texel buffer
  bool reads = true;
  bool writes = true;
};

/// What a shader's SPIR-V says about it.
struct Interface {
  std::vector<Binding> bindings;  // 0, 1, …
  uint32_t constants_bytes = 0;   // size of the push constants
  std::array<uint32_t, 3> local_size{1, 1, 1};
};

/// Throws Error(device) if this is not a compute shader of this project's kind.
Interface reflect(std::span<const uint32_t> spirv);

class Program {
 public:
  /// specialization: values of the constants 0, 1, …; subgroup_size: required; 0: the driver chooses.
  Program(Device& device, std::string_view name, std::span<const uint32_t> spirv,
          std::span<const uint32_t> specialization, uint32_t subgroup_size);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  const std::string& name() const { return name_; }
  const Interface& interface() const { return interface_; }
  VkPipeline pipeline() const { return pipeline_; }
  VkPipelineLayout layout() const { return layout_; }
  VkDescriptorSetLayout set_layout() const { return set_layout_; }

 private:
  void destroy();

  Device& device_;
  std::string name_;
  Interface interface_;
  VkDescriptorSetLayout set_layout_ = VK_NULL_HANDLE;
  VkPipelineLayout layout_ = VK_NULL_HANDLE;
  VkPipeline pipeline_ = VK_NULL_HANDLE;
};

/// Programs by name. get() makes a program when it is first needed.
class Programs {
 public:
  explicit Programs(Device& device) : device_(device) {}
  /// name: a shader of shaders/, with its variant: "rms_norm", "matmul_lane.q4_1".
  const Program& get(std::string_view name, std::span<const uint32_t> specialization = {}, uint32_t subgroup_size = 0);

 private:
  Device& device_;
  std::map<std::string, std::unique_ptr<Program>, std::less<>> programs_;
};

}  // namespace headroom::vulkan
