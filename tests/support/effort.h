// How much of its volume a test runs. A sanitizer makes code two to thirty times slower, so random loops do fewer
// rounds under it. HEADROOM_TEST_LONG=1 also runs what takes minutes.
#pragma once

#include <cstdlib>
#include <string_view>

namespace headroom::test {

// HEADROOM_ADDRESS_SANITIZER and HEADROOM_THREAD_SANITIZER are defined by cmake/options.cmake, for every compiler.
#ifdef HEADROOM_ADDRESS_SANITIZER
inline constexpr bool has_address_sanitizer = true;
#else
inline constexpr bool has_address_sanitizer = false;
#endif
#ifdef HEADROOM_THREAD_SANITIZER
inline constexpr bool has_thread_sanitizer = true;
#else
inline constexpr bool has_thread_sanitizer = false;
#endif
inline constexpr bool has_sanitizer = has_address_sanitizer || has_thread_sanitizer;

/// True if HEADROOM_TEST_LONG is set to anything but "0".
inline bool runs_long_tests() {
  const char* value = std::getenv("HEADROOM_TEST_LONG");
  return value != nullptr && *value != '\0' && std::string_view(value) != "0";
}

}  // namespace headroom::test
