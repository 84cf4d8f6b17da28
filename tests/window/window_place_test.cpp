// The place of the first window: never larger than the room on the monitor.
#include <catch2/catch.hpp>

#include "app/window/window_host.h"

using namespace headroom;

TEST_CASE("a window takes at most the work area beside its frame, and stands in its middle", "[place]") {
  const WindowPlace screen{.x = 0, .y = 0, .width = 1920, .height = 1080};
  CHECK(place_within(screen, 1280, 800, 0, 0) == WindowPlace{320, 140, 1280, 800});
  CHECK(place_within({0, 0, 1000, 700}, 1280, 800, 0, 0) == WindowPlace{0, 0, 1000, 700});
  // The monitor has a bar at the top, the window has a frame, and the settings are from a larger screen.
  CHECK(place_within({0, 30, 1000, 670}, 3840, 2160, 10, 25) == WindowPlace{0, 30, 990, 645});
  // The second of two monitors, smaller in one direction only.
  CHECK(place_within({1920, 100, 800, 1200}, 1280, 800, 0, 0) == WindowPlace{1920, 300, 800, 800});
  CHECK(place_within({0, 0, 1, 1}, 1280, 800, 10, 10) == WindowPlace{-5, -5, 1, 1});
}
