// A device whose calls fail on demand, and that counts the objects which it created and destroyed.
#pragma once

#include <map>
#include <string>

#include "engine/backend/vulkan/device.h"

namespace headroom::vulkan::test {

struct Faults {
  int n_calls = 0;   // calls that may fail, since the last reset
  int failing = -1;  // number of the call that fails; -1: none
  VkResult result = VK_ERROR_OUT_OF_DEVICE_MEMORY;
  std::string failed;                 // name of the call that failed
  std::map<std::string, int> living;  // objects by kind, made and not yet destroyed

  /// The functions of the table that hook() changed last.
  static Faults& instance();
  static TableHook hook();
  /// Like hook(), for every device that is opened from now on; earlier devices stay hooked.
  static TableHook lasting_hook();
};

}  // namespace headroom::vulkan::test
