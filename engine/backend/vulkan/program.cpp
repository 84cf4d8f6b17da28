// SPIR-V ─► interface and pipeline. See program.h.
#include "engine/backend/vulkan/program.h"

#include <algorithm>
#include <cassert>

#include "shaders/embedded.h"

namespace headroom::vulkan {
namespace {

// Numbers from the SPIR-V specification, for the few instructions that describe an interface.
constexpr uint32_t op_execution_mode = 16, op_type_int = 21, op_type_float = 22, op_type_vector = 23,
                   op_type_array = 28, op_type_struct = 30, op_type_pointer = 32, op_constant = 43, op_variable = 59,
                   op_decorate = 71, op_member_decorate = 72;
constexpr uint32_t mode_local_size = 17;
constexpr uint32_t decoration_array_stride = 6, decoration_non_writable = 24, decoration_non_readable = 25,
                   decoration_binding = 33, decoration_offset = 35;
constexpr uint32_t storage_uniform_constant = 0, storage_push_constant = 9, storage_buffer = 12;

struct Id {
  uint32_t op = 0;
  std::vector<uint32_t> operands;  // behind the result
  uint32_t binding = ~0u, array_stride = 0;
  bool non_writable = false, non_readable = false;
  std::map<uint32_t, uint32_t> member_offsets;
};

class Module {
 public:
  explicit Module(std::span<const uint32_t> words) {
    if (words.size() < 5 || words[0] != 0x07230203) throw Error(ErrorKind::device, "a shader is not SPIR-V");
    ids_.resize(words[3]);
    for (size_t at = 5; at < words.size();) {
      const uint32_t length = words[at] >> 16;
      if (length == 0 || at + length > words.size()) throw Error(ErrorKind::device, "a shader's SPIR-V is cut off");
      read(words[at] & 0xffff, words.subspan(at + 1, length - 1));
      at += length;
    }
  }

  Interface interface() const {
    Interface result{.bindings = {}, .constants_bytes = 0, .local_size = local_size_};
    for (const Id& id : ids_) {
      if (id.op != op_variable) continue;
      const uint32_t storage = id.operands[1];
      const Id& pointed = ids_[ids_[id.operands[0]].operands[1]];
      if (storage == storage_push_constant) result.constants_bytes = size_of(pointed);
      if (storage != storage_buffer && storage != storage_uniform_constant) continue;
      if (result.bindings.size() <= id.binding) result.bindings.resize(id.binding + 1);
      const bool is_texels = storage == storage_uniform_constant;
      result.bindings[id.binding] = {
          is_texels ? VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
          !pointed.non_readable && !id.non_readable, !is_texels && !pointed.non_writable && !id.non_writable};
    }
    return result;
  }

 private:
  void read(uint32_t op, std::span<const uint32_t> words) {
    const auto define = [&](size_t result) {
      Id& id = ids_[words[result]];
      id.op = op;
      for (size_t i = 0; i < words.size(); ++i)
        if (i != result) id.operands.push_back(words[i]);
    };
    switch (op) {
      case op_execution_mode:
        if (words[1] == mode_local_size) local_size_ = {words[2], words[3], words[4]};
        break;
      case op_decorate: {
        Id& id = ids_[words[0]];
        if (words[1] == decoration_binding) id.binding = words[2];
        if (words[1] == decoration_array_stride) id.array_stride = words[2];
        if (words[1] == decoration_non_writable) id.non_writable = true;
        if (words[1] == decoration_non_readable) id.non_readable = true;
        break;
      }
      case op_member_decorate: {
        Id& id = ids_[words[0]];
        if (words[2] == decoration_non_writable) id.non_writable = true;
        if (words[2] == decoration_non_readable) id.non_readable = true;
        if (words[2] == decoration_offset) id.member_offsets[words[1]] = words[3];
        break;
      }
      case op_type_int:
      case op_type_float:
      case op_type_vector:
      case op_type_array:
      case op_type_struct:
      case op_type_pointer:
        define(0);
        break;
      case op_constant:
      case op_variable:
        define(1);
        break;
      default:
        break;
    }
  }

  uint32_t size_of(const Id& type) const {
    switch (type.op) {
      case op_type_int:
      case op_type_float:
        return type.operands[0] / 8;
      case op_type_vector:
        return size_of(ids_[type.operands[0]]) * type.operands[1];
      case op_type_array:
        return type.array_stride * ids_[type.operands[1]].operands[1];
      case op_type_struct: {
        uint32_t end = 0;
        for (const auto& [member, offset] : type.member_offsets)
          end = std::max(end, offset + size_of(ids_[type.operands[member]]));
        return end;
      }
      default:
        throw Error(ErrorKind::device, "a shader's constants have a type that is not known here");
    }
  }

  std::vector<Id> ids_;
  std::array<uint32_t, 3> local_size_{1, 1, 1};
};

}  // namespace

Interface reflect(std::span<const uint32_t> spirv) {
  return Module(spirv).interface();
}

Program::Program(Device& device, std::string_view name, std::span<const uint32_t> spirv,
                 std::span<const uint32_t> specialization, uint32_t subgroup_size)
    : device_(device), name_(name), interface_(reflect(spirv)) {
  const VolkDeviceTable& call = device.call;
  try {
    std::vector<VkDescriptorSetLayoutBinding> bindings;
    for (const Binding& binding : interface_.bindings)
      bindings.push_back(
          {static_cast<uint32_t>(bindings.size()), binding.type, 1, VK_SHADER_STAGE_COMPUTE_BIT, nullptr});
    VkDescriptorSetLayoutCreateInfo set{};
    set.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO;
    set.bindingCount = static_cast<uint32_t>(bindings.size());
    set.pBindings = bindings.data();
    check(call.vkCreateDescriptorSetLayout(device.handle(), &set, nullptr, &set_layout_), "make a shader's layout");

    const VkPushConstantRange constants{VK_SHADER_STAGE_COMPUTE_BIT, 0, interface_.constants_bytes};
    VkPipelineLayoutCreateInfo layout{};
    layout.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO;
    layout.setLayoutCount = 1;
    layout.pSetLayouts = &set_layout_;
    layout.pushConstantRangeCount = interface_.constants_bytes > 0 ? 1 : 0;
    layout.pPushConstantRanges = &constants;
    check(call.vkCreatePipelineLayout(device.handle(), &layout, nullptr, &layout_), "make a shader's layout");

    VkShaderModuleCreateInfo module{};
    module.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO;
    module.codeSize = spirv.size_bytes();
    module.pCode = spirv.data();
    VkShaderModule shader = VK_NULL_HANDLE;
    check(call.vkCreateShaderModule(device.handle(), &module, nullptr, &shader), "load a shader");

    std::vector<VkSpecializationMapEntry> entries;
    for (uint32_t i = 0; i < specialization.size(); ++i) entries.push_back({i, i * 4, 4});
    const VkSpecializationInfo special{static_cast<uint32_t>(entries.size()), entries.data(),
                                       specialization.size_bytes(), specialization.data()};
    VkPipelineShaderStageRequiredSubgroupSizeCreateInfo required{};
    required.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO;
    required.requiredSubgroupSize = subgroup_size;
    VkComputePipelineCreateInfo create{};
    create.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO;
    create.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
    create.stage.pNext = subgroup_size != 0 ? &required : nullptr;
    create.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
    create.stage.module = shader;
    create.stage.pName = "main";
    create.stage.pSpecializationInfo = &special;
    create.layout = layout_;
    const VkResult result =
        call.vkCreateComputePipelines(device.handle(), VK_NULL_HANDLE, 1, &create, nullptr, &pipeline_);
    call.vkDestroyShaderModule(device.handle(), shader, nullptr);
    check(result, ("compile the shader " + name_).c_str());
  } catch (...) {
    destroy();
    throw;
  }
}

Program::~Program() {
  destroy();
}

void Program::destroy() {
  const VolkDeviceTable& call = device_.call;
  call.vkDestroyPipeline(device_.handle(), pipeline_, nullptr);
  call.vkDestroyPipelineLayout(device_.handle(), layout_, nullptr);
  call.vkDestroyDescriptorSetLayout(device_.handle(), set_layout_, nullptr);
}

const Program& Programs::get(std::string_view name, std::span<const uint32_t> specialization, uint32_t subgroup_size) {
  std::string key(name);
  for (const uint32_t value : specialization) key += "," + std::to_string(value);
  if (const auto found = programs_.find(key); found != programs_.end()) return *found->second;
  const std::span<const uint32_t> spirv = embedded_shader(name);
  if (spirv.empty()) throw Error(ErrorKind::device, "there is no shader \"" + std::string(name) + "\" in this program");
  return *programs_.emplace(key, std::make_unique<Program>(device_, key, spirv, specialization, subgroup_size))
              .first->second;
}

}  // namespace headroom::vulkan
