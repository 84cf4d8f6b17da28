// Devices: the list of this machine, and a clear message if there is none.
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "engine/backend/registry.h"
#include "engine/backend/vulkan/vulkan_backend.h"
#include "tests/vulkan/child.h"
#include "tests/vulkan/rig.h"

namespace headroom::vulkan::test {

TEST_CASE("a device is described by its driver, and those that cannot compute stand at the end") {
  if (!has_device()) return;
  const Instance instance;
  REQUIRE(!instance.devices().empty());
  bool was_refused = false;
  for (const DeviceFacts& facts : instance.devices()) {
    INFO(facts.name);
    CHECK(!facts.name.empty());
    CHECK(!(was_refused && facts.refusal.empty()));
    was_refused = !facts.refusal.empty();
  }
  const DeviceFacts& facts = instance.devices().front();
  CHECK(facts.subgroup_size >= 4);
  CHECK(facts.max_storage_range >= (1 << 27));
  CHECK(facts.max_groups >= 65535);
  CHECK(facts.storage_alignment > 0);
}

TEST_CASE("the backend says on what it runs") {
  if (!has_device()) return;
  const auto backend = make_vulkan_backend();
  CHECK(backend->info().name == "vulkan");
  CHECK(!backend->info().device.empty());
  CHECK(backend->stage_times().empty());
}

TEST_CASE("several backends live side by side") {
  if (!has_device()) return;
  const auto first = make_vulkan_backend();
  {
    const auto second = make_vulkan_backend();
    CHECK(second->allocate(100)->size_bytes() == 100);
  }
  CHECK(first->allocate(100)->size_bytes() == 100);
}

namespace {

/// Checks a child that has no device: its output contains a word, and the CPU computes.
void check_without_vulkan(const std::string& word) {
  CHECK_THROWS_WITH(make_vulkan_backend(), Catch::StartsWith("found no") && Catch::Contains(word));
  CHECK_THROWS_WITH(make_backend({.name = "vulkan"}), Catch::Contains(word));
  const std::vector<DeviceEntry> devices = list_devices();
  REQUIRE(devices.size() == 3);
  CHECK(devices[1].backend == "vulkan");
  CHECK(!devices[1].available);
  CHECK_THAT(devices[1].skip_reason, Catch::Contains(word));
  CHECK(make_backend({})->info().name == "cpu");
}

}  // namespace

TEST_CASE("a child of the test below, which finds no driver", "[.without-driver]") {
  check_without_vulkan("driver");
}

TEST_CASE("without a driver the program says so and computes on the CPU") {
  const ChildResult result =
      run_child("-u HEADROOM_BACKEND VK_DRIVER_FILES=/nonexistent VK_ICD_FILENAMES=/nonexistent", "[.without-driver]");
  INFO(result.output);
  CHECK(result.status == 0);
}

TEST_CASE("a child of the test below, which finds no loader", "[.without-loader]") {
  check_without_vulkan("libvulkan.so.1");
}

TEST_CASE("without Vulkan's loader the program says so and computes on the CPU") {
  // Files that are not libraries hide the loader from code that looks for it by name.
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("headroom-no-vulkan-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  for (const char* name : {"libvulkan.so.1", "libvulkan.so"}) std::ofstream(folder / name).close();
  const ChildResult result =
      run_child("-u HEADROOM_BACKEND LD_LIBRARY_PATH='" + folder.string() + "'", "[.without-loader]");
  std::filesystem::remove_all(folder);
  INFO(result.output);
  CHECK(result.status == 0);
}

}  // namespace headroom::vulkan::test
