// The compute shaders of this folder as SPIR-V, inside the program.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace headroom {

/// name: the file name without ".comp", with the variant if it has some: "matmul_lane.q4_1". Empty if unknown.
std::span<const uint32_t> embedded_shader(std::string_view name);

/// All names, in alphabetical order.
std::vector<std::string_view> embedded_shader_names();

}  // namespace headroom
