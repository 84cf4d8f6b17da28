// The validation layer of the Khronos group, with its checks of synchronisation and of the accesses inside shaders,
// reports nothing while the tests of this program and of the operations run. It does report a missing barrier and an
// access that is out of bounds.
#include <bit>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "tests/support/effort.h"
#include "tests/vulkan/child.h"
#include "tests/vulkan/rig.h"

namespace headroom::vulkan::test {
namespace {

const std::string layer = "VK_LAYER_KHRONOS_validation";
const std::string validating =
    "VK_INSTANCE_LAYERS=" + layer + " VK_LAYER_ENABLES=VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT";
// Shaders then report reads or writes outside of a bound buffer or of memory that has an address. The instrumented
// shaders have many branches, and the software driver's compile time grows with the square of their number. Narrow
// vectors and no optimisation turn minutes into seconds, and the driver caches its results.
const std::string validating_shaders = validating +
                                       ":VK_VALIDATION_FEATURE_ENABLE_GPU_ASSISTED_EXT"
                                       " GALLIVM_PERF=nopt LP_NATIVE_VECTOR_WIDTH=128";

// Arguments of the program that tests the operations.
const std::string all_operations = "-# '~[#matmul_kernels_test]~[#thread_pool_test]~[#dequant_test]~*instruction set*'";
// One test per kind of shader.
const std::string operations_by_hand =
    "'add puts*','fill_zero clears*','gather_slots takes*','copy_page*','decode by hand: one*','embed copies*',"
    "'evict by hand*','moments by hand*','expected attention by hand*','gated_activation is*','a product by hand*',"
    "'rms_norm divides*','rope turns*','store_kv writes*','three rows by hand: A = *'";

bool has_layer() {
#ifdef HEADROOM_ADDRESS_SANITIZER
  return false;  // the layer is third-party code, and needs minutes under the sanitizer
#endif
  if (!has_device()) return false;
  uint32_t count = 0;
  vkEnumerateInstanceLayerProperties(&count, nullptr);
  std::vector<VkLayerProperties> layers(count);
  vkEnumerateInstanceLayerProperties(&count, layers.data());
  for (const VkLayerProperties& found : layers)
    if (layer == found.layerName) return true;
  WARN("not validated: the Vulkan layer " << layer << " is not installed");
  return false;
}

/// The layer's lines without repetitions.
std::vector<std::string> messages_of(const std::string& output) {
  std::vector<std::string> messages;
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    if (line.find("Validation ") == std::string::npos && line.find("SYNC-HAZARD") == std::string::npos &&
        line.find("VUID-") == std::string::npos)
      continue;
    if (std::find(messages.begin(), messages.end(), line) == messages.end()) messages.push_back(line);
  }
  return messages;
}

}  // namespace

TEST_CASE("a child of the validation test that leaves out a barrier", "[.without-barriers]") {
  Rig rig([](VolkDeviceTable& table) {
    table.vkCmdPipelineBarrier = [](VkCommandBuffer, VkPipelineStageFlags, VkPipelineStageFlags, VkDependencyFlags,
                                    uint32_t, const VkMemoryBarrier*, uint32_t, const VkBufferMemoryBarrier*, uint32_t,
                                    const VkImageMemoryBarrier*) {};
  });
  const auto x = rig.floats({1, 2}), y = rig.floats({3, 4});
  rig.add(*x, *y, 2);
  rig.add(*y, *x, 2);
  rig.queue.finish();
}

TEST_CASE("a child of the validation test that reads behind a buffer", "[.behind-a-buffer]") {
  Rig rig;
  const auto x = rig.floats(std::vector<float>(64, 1)), y = rig.floats({3, 4});
  rig.add(*x, *y, 64);
  rig.queue.finish();
}

TEST_CASE("a child of the validation test that reads behind a slab", "[.behind-a-slab]") {
  Rig rig;
  const auto x = rig.memory.allocate(64, MemoryUse::device), y = rig.memory.allocate(1024, MemoryUse::device);
  const uint64_t from = x->address(), to = y->address();
  const CopyPageConstants constants{.from_low = static_cast<uint>(from),
                                    .from_high = static_cast<uint>(from >> 32),
                                    .to_low = static_cast<uint>(to),
                                    .to_high = static_cast<uint>(to >> 32),
                                    .n_units = 64};
  rig.queue.dispatch(rig.programs.get("copy_page"), {1, 1, 1}, std::bit_cast<std::array<uint32_t, 5>>(constants), {},
                     0.05, Pages::written);
  rig.queue.finish();
}

TEST_CASE("the validation layer sees a missing barrier") {
  if (!has_layer()) return;
  CHECK_FALSE(messages_of(run_child(validating, "[.without-barriers]").output).empty());
}

TEST_CASE("the validation layer sees a shader that reads out of bounds") {
  if (!has_layer()) return;
  for (const char* child : {"[.behind-a-buffer]", "[.behind-a-slab]"}) {
    INFO(child);
    const std::vector<std::string> messages = messages_of(run_child(validating_shaders, child).output);
    REQUIRE(!messages.empty());
    CHECK_THAT(messages.front(), Catch::Contains("out of bounds"));
  }
}

TEST_CASE("the validation layer has nothing to say about programs, memory and queue") {
  if (!has_layer()) return;
  const ChildResult result =
      run_child(validating, "'~the validation layer*' '~any call*' '~a conversation*' '~a child*'");
  CHECK(result.status == 0);
  CHECK(messages_of(result.output) == std::vector<std::string>{});
}

TEST_CASE("the validation layer has nothing to say about the operations") {
  if (!has_layer()) return;
  const std::pair<std::string, std::string> children[] = {
      {"vulkan-lane", all_operations}, {"vulkan-subgroup", all_operations}, {"vulkan-dot", "-# '[#matmul_test]'"}};
  for (const auto& [variant, tests] : children) {
    INFO(variant);
    const ChildResult result = run_child(validating + " HEADROOM_TEST_BACKENDS=" + variant, tests, HEADROOM_TEST_OPS);
    CHECK(messages_of(result.output) == std::vector<std::string>{});
  }
}

TEST_CASE("the validation layer has nothing to say about what shaders do in two turns and in the operations") {
  if (!has_layer()) return;
  // A long run runs each test on both variants. Otherwise the turns use the shaders of one variant, and the operations
  // use those of the other.
  const bool has_time = headroom::test::runs_long_tests();
  const auto check = [](const ChildResult& result) {
    INFO(result.output);
    CHECK(result.status == 0);
    CHECK(messages_of(result.output) == std::vector<std::string>{});
  };
  check(run_child(validating_shaders, has_time ? "'two turns on both variants*'" : "[.two-turns]"));
  if (has_time)
    check(run_child(validating_shaders + " HEADROOM_TEST_BACKENDS=vulkan-lane", all_operations, HEADROOM_TEST_OPS));
  check(run_child(validating_shaders + " HEADROOM_TEST_BACKENDS=vulkan-subgroup",
                  has_time ? all_operations : operations_by_hand, HEADROOM_TEST_OPS));
}

}  // namespace headroom::vulkan::test
