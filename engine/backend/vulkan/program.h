// A compute shader ready to run. What it binds, and whether it reads or writes it, is read from its SPIR-V: the shader
// is the one place that says so.
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
  uint32_t constants_bytes = 0;   // of push constants
  std::array<uint32_t, 3> local_size{1, 1, 1};
};

/// Throws Error(device) for what is not a compute shader of this project's kind.
Interface reflect(std::span<const uint32_t> spirv);

class Program {
 public:
  /// specialization: values of the constants 0, 1, …; subgroup_size: required of the device; 0: as the driver likes.
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

/// Programs by name, made when they are first asked for.
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
