// Checks the bindings, constants and size that a shader's SPIR-V declares, for every shader of the program.
#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "shaders/embedded.h"
#include "tests/vulkan/rig.h"

namespace headroom::vulkan::test {
namespace {

// Opcodes of the SPIR-V specification.
constexpr uint32_t op_variable = 59, op_load = 61, op_store = 62, op_access_chain = 65, op_in_bounds_access_chain = 66,
                   op_decorate = 71, op_copy_object = 83, op_array_length = 68, op_atomic_load = 227,
                   op_atomic_store = 228, op_atomic_exchange = 229, op_atomic_xor = 242, op_function_call = 57;
constexpr uint32_t decoration_binding = 33, storage_buffer = 12;

struct Accesses {
  bool reads = false;
  bool writes = false;
  bool operator==(const Accesses&) const = default;
};

/// How the code accesses each storage buffer, by binding: loads and stores through pointers into it.
std::map<uint32_t, Accesses> accesses_of(std::span<const uint32_t> spirv) {
  std::map<uint32_t, uint32_t> bindings;     // by variable
  std::map<uint32_t, uint32_t> variable_of;  // by pointer
  std::map<uint32_t, Accesses> accesses;
  const auto touch = [&](uint32_t pointer, bool reads, bool writes) {
    const auto variable = variable_of.find(pointer);
    if (variable == variable_of.end()) return;
    Accesses& found = accesses[bindings[variable->second]];
    found.reads = found.reads || reads;
    found.writes = found.writes || writes;
  };
  for (size_t at = 5; at < spirv.size(); at += spirv[at] >> 16) {
    const uint32_t op = spirv[at] & 0xffff;
    const std::span<const uint32_t> words = spirv.subspan(at + 1, (spirv[at] >> 16) - 1);
    if (op == op_decorate && words[1] == decoration_binding) bindings[words[0]] = words[2];
    if (op == op_variable && words[2] == storage_buffer) {
      variable_of[words[1]] = words[1];
      accesses[bindings[words[1]]];
    }
    if ((op == op_access_chain || op == op_in_bounds_access_chain || op == op_copy_object) &&
        variable_of.contains(words[2]))
      variable_of[words[1]] = variable_of[words[2]];
    if (op == op_load || op == op_atomic_load) touch(words[2], true, false);
    if (op == op_store || op == op_atomic_store) touch(words[0], false, true);
    if (op >= op_atomic_exchange && op <= op_atomic_xor) touch(words[2], true, true);
    if (op == op_function_call)
      for (const uint32_t argument : words.subspan(3)) touch(argument, true, true);
  }
  return accesses;
}

}  // namespace

TEST_CASE("the interface of a shader is read from its code") {
  const Interface add = reflect(embedded_shader("add"));
  REQUIRE(add.bindings.size() == 2);
  CHECK(add.bindings[0].type == VK_DESCRIPTOR_TYPE_STORAGE_BUFFER);
  CHECK((add.bindings[0].reads && add.bindings[0].writes));
  CHECK((add.bindings[1].reads && !add.bindings[1].writes));
  CHECK(add.constants_bytes == sizeof(AddConstants));
  CHECK(add.local_size == std::array<uint32_t, 3>{64, 1, 1});

  const Interface lane = reflect(embedded_shader("matmul_lane.q4_1"));
  REQUIRE(lane.bindings.size() == 5);
  for (const size_t texels : {0, 2}) CHECK(lane.bindings[texels].type == VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER);
  for (const size_t read : {0, 1, 2, 3}) CHECK((lane.bindings[read].reads && !lane.bindings[read].writes));
  CHECK((lane.bindings[4].reads && lane.bindings[4].writes));

  const Interface pack = reflect(embedded_shader("pack"));
  REQUIRE(pack.bindings.size() == 2);
  CHECK((!pack.bindings[1].reads && pack.bindings[1].writes));
  CHECK(reflect(embedded_shader("embed.f32")).constants_bytes == sizeof(EmbedConstants));
}

TEST_CASE("what is no SPIR-V is refused") {
  const std::span<const uint32_t> add = embedded_shader("add");
  CHECK_THROWS_WITH(reflect({}), Catch::Contains("not SPIR-V"));
  CHECK_THROWS_WITH(reflect(add.first(8)), Catch::Contains("cut off"));
  CHECK(embedded_shader("abacus").empty());
}

TEST_CASE("every shader says of each buffer whether it reads it, writes it, or both, and does so") {
  const std::vector<std::string_view> names = embedded_shader_names();
  CHECK(names.size() > 20);
  CHECK(std::set<std::string_view>(names.begin(), names.end()).size() == names.size());
  for (const std::string_view name : names) {
    const Interface interface = reflect(embedded_shader(name));
    CAPTURE(name);
    CHECK(interface.bindings.size() <= max_bindings);
    CHECK(interface.constants_bytes <= 4 * max_constants);
    for (const auto& [binding, accesses] : accesses_of(embedded_shader(name))) {
      CAPTURE(binding);
      REQUIRE(binding < interface.bindings.size());
      // Barriers follow from the declarations: too much costs a wait, too little would be a race.
      CHECK(interface.bindings[binding].reads == accesses.reads);
      CHECK(interface.bindings[binding].writes == accesses.writes);
    }
  }
}

TEST_CASE("a program is made once for each set of constants, and an unknown one is refused") {
  if (!has_device()) return;
  Rig rig;
  const uint32_t one[] = {1}, four[] = {4};
  const Program& a = rig.programs.get("matmul_lane.f32", one);
  CHECK(&rig.programs.get("matmul_lane.f32", one) == &a);
  CHECK(&rig.programs.get("matmul_lane.f32", four) != &a);
  CHECK_THROWS_WITH(rig.programs.get("abacus"), Catch::Contains("\"abacus\""));
}

}  // namespace headroom::vulkan::test
