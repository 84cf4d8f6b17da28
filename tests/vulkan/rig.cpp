// Is there a device? And how the software driver is set up for tests.
#define CATCH_CONFIG_EXTERNAL_INTERFACES
#include "tests/vulkan/rig.h"

#include <cstdlib>

namespace headroom::vulkan::test {
namespace {

// Without worker threads, the software driver's tiny dispatches cost a thirtieth.
struct Environment : Catch::TestEventListenerBase {
  using TestEventListenerBase::TestEventListenerBase;
  void testRunStarting(const Catch::TestRunInfo&) override { setenv("LP_NUM_THREADS", "0", 0); }
};
CATCH_REGISTER_LISTENER(Environment)

}  // namespace

bool has_device() {
  static const bool has = [] {
    try {
      const Device device;
      return true;
    } catch (const Error& error) {
      WARN("Vulkan is not tested: " << error.what());
      return false;
    }
  }();
  return has;
}

}  // namespace headroom::vulkan::test
