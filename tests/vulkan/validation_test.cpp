// The validation layer of the Khronos group, with its checks of synchronisation, sees nothing to complain about while
// the tests of this program and those of the operations run; and it does see a barrier that is not there.
#include <cstring>
#include <sstream>

#include "tests/vulkan/child.h"
#include "tests/vulkan/rig.h"

namespace headroom::vulkan::test {
namespace {

const std::string layer = "VK_LAYER_KHRONOS_validation";
const std::string validating =
    "VK_INSTANCE_LAYERS=" + layer + " VK_LAYER_ENABLES=VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT";

bool has_layer() {
#ifdef __SANITIZE_ADDRESS__
  return false;  // the layer is somebody else's program, and takes minutes beside the sanitizer
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

/// The layer's lines, each once.
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

TEST_CASE("the validation layer sees a missing barrier") {
  if (!has_layer()) return;
  CHECK_FALSE(messages_of(run_child(validating, "[.without-barriers]").output).empty());
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
  const std::string all = "'~[#matmul_kernels_test]~[#thread_pool_test]~[#dequant_test]~*instruction set*'";
  const std::pair<std::string, std::string> children[] = {
      {"vulkan-lane", all}, {"vulkan-subgroup", all}, {"vulkan-dot", "'[#matmul_test]'"}};
  for (const auto& [variant, tests] : children) {
    INFO(variant);
    const ChildResult result =
        run_child(validating + " HEADROOM_TEST_BACKENDS=" + variant, "-# " + tests, HEADROOM_TEST_OPS);
    CHECK(messages_of(result.output) == std::vector<std::string>{});
  }
}

}  // namespace headroom::vulkan::test
