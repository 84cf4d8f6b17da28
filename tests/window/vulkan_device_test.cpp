// The device that draws: chosen if there is one; otherwise a sentence says why not.
#include "app/window/vulkan_device.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <optional>

#include "app/window/client.h"
#include "app/window/window_host.h"
#include "engine/base/error.h"
#include "tests/support/setting.h"

using namespace headroom;
using headroom::test::Setting;

namespace {

/// A client that must never be called.
class NoClient : public WindowClient {
 public:
  Redraw poll() override {
    FAIL("polled");
    return Redraw::none;
  }
  void draw_frame() override { FAIL("drawn"); }
  void files_dropped(const std::vector<std::string>&) override {}
  void closing() override { FAIL("closed"); }
  bool wants_to_quit() const override { return false; }
  std::string title() const override { return "none"; }
};

}  // namespace

TEST_CASE("a device that draws is found, and has memory to read from", "[vulkan]") {
  const VulkanDevice device({}, nullptr);
  CHECK(!device.name.empty());
  CHECK(device.queue != VK_NULL_HANDLE);
  CHECK_NOTHROW(device.memory_type(~0u, VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT));
  CHECK_THROWS_WITH(device.memory_type(0, 0), Catch::Contains(device.name));
}

TEST_CASE("without a driver there is a sentence", "[vulkan]") {
  const Setting files("VK_DRIVER_FILES", "/nonexistent"), old_name("VK_ICD_FILENAMES", "/nonexistent");
  try {
    const VulkanDevice device({}, nullptr);
    FAIL("a device without a driver: " << device.name);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::device);
    CHECK_THAT(error.what(), Catch::Contains("driver") || Catch::Contains("found 0 Vulkan devices"));
  }
}

TEST_CASE("without a display there is a sentence, and the client is not touched", "[window]") {
  const Setting x11("DISPLAY", nullptr), wayland("WAYLAND_DISPLAY", nullptr), kind("XDG_SESSION_TYPE", nullptr),
      folder("XDG_RUNTIME_DIR", "/nonexistent");
  NoClient client;
  const WindowResult result = run_window(client, {});
  CHECK(!result.was_open);
  CHECK_THAT(result.problem, Catch::Contains("found no display to open a window on"));
  wake_window();  // may come late
}
