// When frames are drawn: at once for the user, ten times per second for tokens on a software driver, never without
// need.
#include "app/window/redraw_schedule.h"

#include <catch2/catch.hpp>

using namespace headroom;

namespace {

/// Number of frames from `from` to `to`, polled every millisecond. `happens` runs before each poll and may request
/// some.
template <typename Happens>
int frames(RedrawSchedule& schedule, double from, double to, const Happens& happens) {
  int count = 0;
  for (double now = from; now < to; now += 0.001) {
    happens(now);
    count += schedule.take(now);
  }
  return count;
}
const auto nothing = [](double) {};

}  // namespace

TEST_CASE("an idle window draws nothing and sleeps", "[redraw]") {
  RedrawSchedule schedule(true);
  CHECK(frames(schedule, 0, 10, nothing) == 0);
  CHECK(schedule.wait_s(10) == Approx(0.5));
}

TEST_CASE("tokens alone are ten frames a second on a software driver, and sixty on a device", "[redraw]") {
  const auto tokens = [](RedrawSchedule& schedule) {
    return frames(schedule, 1, 3, [&](double now) { schedule.request(Redraw::soon, now); });
  };
  RedrawSchedule software(true), device(false);
  const int on_software = tokens(software), on_device = tokens(device);
  CHECK(on_software <= 21);
  CHECK(on_software >= 18);
  CHECK(on_device >= 100);
  CHECK(on_device <= 121);
}

TEST_CASE("input is drawn at once, settles over three more frames, and once more for a tip", "[redraw]") {
  RedrawSchedule schedule(true);
  schedule.input(5.0);
  CHECK(schedule.take(5.0));
  CHECK(!schedule.take(5.001));
  CHECK(frames(schedule, 5.001, 5.2, nothing) == 3);
  CHECK(frames(schedule, 5.2, 5.59, nothing) == 0);
  CHECK(frames(schedule, 5.59, 20, nothing) == 1);
}

TEST_CASE("input does not wait for the frame that tokens wait for", "[redraw]") {
  RedrawSchedule schedule(true);
  schedule.request(Redraw::soon, 5.0);
  CHECK(schedule.take(5.0));
  schedule.request(Redraw::soon, 5.01);
  CHECK(schedule.wait_s(5.01) == Approx(0.09));
  schedule.request(Redraw::now, 5.03);
  CHECK(schedule.take(5.03));
}

TEST_CASE("a software driver that is slow draws tokens less often, a device does not", "[redraw]") {
  for (const bool is_software : {true, false}) {
    RedrawSchedule schedule(is_software);
    schedule.request(Redraw::soon, 5.0);
    CHECK(schedule.take(5.0));
    schedule.drawn(0.02);
    schedule.request(Redraw::soon, 5.01);
    CHECK(schedule.wait_s(5.01) == Approx(is_software ? 0.31 : 1.0 / 60 - 0.01));
    CHECK(schedule.take(5.5));
    schedule.drawn(0.2);  // the delay is half a second at most
    schedule.request(Redraw::soon, 5.5);
    CHECK(schedule.wait_s(5.5) == Approx(is_software ? 0.5 : 1.0 / 60));
  }
}

TEST_CASE("however much happens, there are at most sixty frames a second", "[redraw]") {
  RedrawSchedule schedule(false);
  CHECK(frames(schedule, 1, 2, [&](double now) { schedule.input(now); }) <= 61);
}
