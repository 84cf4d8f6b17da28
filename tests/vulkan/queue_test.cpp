// The queue: barriers only between dependent operations, steps that repeat, waiting, stage times.
#include <bit>
#include <cstring>

#include "tests/vulkan/rig.h"

namespace headroom::vulkan::test {
namespace {

PFN_vkCmdPipelineBarrier real_barrier = nullptr;
int n_barriers = 0;

void count_barrier(VkCommandBuffer commands, VkPipelineStageFlags before, VkPipelineStageFlags after,
                   VkDependencyFlags flags, uint32_t n_memory, const VkMemoryBarrier* memory, uint32_t n_buffers,
                   const VkBufferMemoryBarrier* buffers, uint32_t n_images, const VkImageMemoryBarrier* images) {
  ++n_barriers;
  real_barrier(commands, before, after, flags, n_memory, memory, n_buffers, buffers, n_images, images);
}

/// Counts barriers between operations: a recording begins and ends with one anyway.
class BarrierRig : public Rig {
 public:
  BarrierRig()
      : Rig([](VolkDeviceTable& table) {
          real_barrier = table.vkCmdPipelineBarrier;
          table.vkCmdPipelineBarrier = count_barrier;
        }) {}
  template <typename Work>
  int barriers_of(Work work) {
    queue.finish();
    n_barriers = -2;
    work();
    queue.finish();
    return n_barriers;
  }
};

}  // namespace

TEST_CASE("an operation waits for what it depends on, and for nothing else") {
  if (!has_device()) return;
  BarrierRig rig;
  const auto a = rig.floats({1, 2, 3, 4}), b = rig.floats({10, 20, 30, 40}), c = rig.floats({5, 6, 7, 8}),
             d = rig.floats({0, 0, 0, 0});
  SECTION("different buffers") {
    CHECK(rig.barriers_of([&] { rig.add(*a, *b, 4), rig.add(*c, *d, 4); }) == 0);
  }
  SECTION("both read the same") {
    CHECK(rig.barriers_of([&] { rig.add(*a, *d, 4), rig.add(*c, *d, 4); }) == 0);
  }
  SECTION("parts of one buffer, which is bound whole") {
    CHECK(rig.barriers_of([&] { rig.add(*a, *b, 3, 0), rig.add(*a, *b, 2, 2); }) == 1);
    CHECK(rig.read(*a) == std::vector<float>{11, 22, 63, 44});
  }
  SECTION("reading what was written") {
    CHECK(rig.barriers_of([&] { rig.add(*a, *b, 4), rig.add(*c, *a, 4); }) == 1);
    CHECK(rig.read(*c) == std::vector<float>{16, 28, 40, 52});
  }
  SECTION("found by address") {
    const auto reach = [&](const Buffer& buffer, bool is_written) {
      const CopyPageConstants nothing{};
      rig.queue.dispatch(rig.programs.get("copy_page"), {1, 1, 1}, std::bit_cast<std::array<uint32_t, 5>>(nothing), {},
                         0.05, Pages::none, {.buffer = &buffer, .is_written = is_written});
    };
    CHECK(rig.barriers_of([&] { reach(*a, false), rig.add(*b, *a, 4), reach(*a, false); }) == 0);
    CHECK(rig.barriers_of([&] { reach(*a, true), rig.add(*b, *a, 4); }) == 1);
    CHECK(rig.barriers_of([&] { reach(*a, false), rig.add(*a, *b, 4); }) == 1);
    CHECK(rig.barriers_of([&] { rig.add(*a, *b, 4), reach(*a, false); }) == 1);
    CHECK(rig.barriers_of([&] { reach(*a, true), reach(*a, true), reach(*b, true); }) == 1);
  }
  SECTION("writing what was read") {
    CHECK(rig.barriers_of([&] { rig.add(*a, *b, 4), rig.add(*b, *c, 4); }) == 1);
    CHECK(rig.read(*a) == std::vector<float>{11, 22, 33, 44});
  }
  SECTION("one barrier serves all that came before it") {
    CHECK(rig.barriers_of([&] {
      rig.add(*a, *b, 4), rig.add(*c, *b, 4);
      rig.add(*d, *a, 4), rig.add(*d, *c, 4);
    }) == 2);  // d is written twice
    CHECK(rig.read(*d) == std::vector<float>{26, 48, 70, 92});
  }
  SECTION("copies and fills") {
    CHECK(rig.barriers_of([&] {
      rig.queue.fill({*d, 0, 16}, 0x3f800000);
      rig.queue.copy({*d, 0, 8}, {*a, 8, 8});
      rig.add(*c, *a, 4);
    }) == 2);
    CHECK(rig.read(*a) == std::vector<float>{1, 2, 1, 1});
    CHECK(rig.read(*c) == std::vector<float>{6, 8, 8, 9});
  }
  SECTION("pages, which are no bindings") {
    const uint32_t constants[] = {1, 4, 0, 4, 0, 4};
    const auto touch = [&](const Buffer& x, Pages pages) {
      rig.queue.dispatch(rig.programs.get("add"), {1, 1, 1}, constants, {BufferUse(x), BufferUse(*d)}, 0.05, pages);
    };
    CHECK(rig.barriers_of([&] { touch(*a, Pages::read), touch(*b, Pages::read); }) == 0);
    CHECK(rig.barriers_of([&] { touch(*a, Pages::read), touch(*b, Pages::written); }) == 1);
    CHECK(rig.barriers_of([&] { touch(*a, Pages::written), touch(*b, Pages::read); }) == 1);
    CHECK(rig.barriers_of([&] { touch(*a, Pages::written), touch(*b, Pages::written); }) == 1);
    CHECK(rig.barriers_of([&] { touch(*a, Pages::written), touch(*b, Pages::none); }) == 0);
  }
}

TEST_CASE("a chain of dependent operations gives what one after the other would") {
  if (!has_device()) return;
  Rig rig;
  constexpr uint32_t n = 3000;
  const auto x = rig.floats(std::vector<float>(n, 1)), y = rig.floats(std::vector<float>(n, 1));
  std::vector<float> fibonacci{1, 1};
  for (int i = 0; i < 30; ++i) {
    rig.add(i % 2 == 0 ? *x : *y, i % 2 == 0 ? *y : *x, n);
    fibonacci[static_cast<size_t>(i % 2)] += fibonacci[static_cast<size_t>(1 - i % 2)];
    if (i % 7 == 0) rig.queue.submit();
  }
  CHECK(rig.read(*x) == std::vector<float>(n, fibonacci[0]));
  CHECK(rig.read(*y) == std::vector<float>(n, fibonacci[1]));
}

TEST_CASE("commands are recorded once and run as often as wanted, until a buffer of theirs goes") {
  if (!has_device()) return;
  Rig rig;
  const auto x = rig.floats({0, 0, 0, 0});
  auto y = rig.floats({1, 2, 3, 4});
  RecordedCommands commands(rig.queue);
  CHECK_FALSE(commands.is_current());
  const auto record = [&] {
    rig.queue.begin_recording(commands);
    rig.queue.begin_stage(0, 10);
    rig.add(*x, *y, 4);
    rig.add(*x, *y, 1);
    rig.queue.end_recording();
    CHECK(commands.is_current());
  };
  record();
  CHECK(rig.read(*x) == std::vector<float>{0, 0, 0, 0});  // nothing ran yet
  const int64_t recorded = rig.queue.n_recorded();
  for (int i = 0; i < 3; ++i) rig.queue.run(commands);
  CHECK(rig.read(*x) == std::vector<float>{6, 6, 9, 12});
  CHECK(rig.queue.n_recorded() == recorded);
  CHECK(rig.queue.stage_times().front().calls == 3);
  CHECK(rig.queue.stage_times().front().bytes == 30);

  // Work that was enqueued before is in the same submission.
  const int64_t submissions = rig.queue.counters().submissions;
  rig.add(*x, *y, 4);
  rig.queue.run(commands);
  CHECK(rig.queue.counters().submissions == submissions + 1);
  CHECK(rig.read(*x) == std::vector<float>{9, 10, 15, 20});

  // A new buffer at the place of the old one.
  y.reset();
  CHECK_FALSE(commands.is_current());
  y = rig.floats({100, 100, 100, 100});
  record();
  rig.queue.run(commands);
  CHECK(rig.read(*x) == std::vector<float>{209, 110, 115, 120});
  rig.queue.outdate_recordings();
  CHECK_FALSE(commands.is_current());
}

TEST_CASE("a buffer that goes while commands are recorded leaves no commands that use it") {
  if (!has_device()) return;
  Rig rig;
  const auto x = rig.floats({0, 0}), z = rig.floats({5, 6});
  auto y = rig.floats({1, 2});
  RecordedCommands commands(rig.queue);
  rig.queue.begin_recording(commands);
  rig.add(*x, *y, 2);
  y.reset();
  rig.add(*x, *z, 2);
  rig.queue.end_recording();
  CHECK_FALSE(commands.is_current());
  rig.queue.begin_recording(commands);
  rig.add(*x, *z, 2);
  rig.queue.end_recording();
  rig.queue.run(commands);
  CHECK(rig.read(*x) == std::vector<float>{5, 6});
}

TEST_CASE("an upload waits for the operations that read what was there") {
  if (!has_device()) return;
  Rig rig;
  const auto x = rig.floats({0, 0}), y = rig.floats({1, 2});
  const std::vector<float> next{10, 20};
  rig.add(*x, *y, 2);
  rig.queue.upload(*y, 0, std::as_bytes(std::span(next)));
  rig.add(*x, *y, 2);
  rig.queue.submit();
  rig.queue.upload(*y, 0, std::as_bytes(std::span(next)));
  rig.add(*x, *y, 2);
  CHECK(rig.read(*x) == std::vector<float>{21, 42});
}

TEST_CASE("group counts may come from a buffer, which waits for its use like any other") {
  if (!has_device()) return;
  Rig rig;
  const auto x = rig.floats(std::vector<float>(200, 0)), y = rig.floats(std::vector<float>(200, 1));
  const uint32_t two[] = {0, 2, 1, 1}, one[] = {0, 1, 1, 1};
  const auto counts = rig.memory.allocate(sizeof two, MemoryUse::device);
  rig.queue.upload(*counts, 0, std::as_bytes(std::span(two)));
  const uint32_t constants[] = {1, 200, 0, 200, 0, 200};
  const auto add = [&] {
    rig.queue.dispatch_indirect(rig.programs.get("add"), {*counts, 4, 12}, constants, {BufferUse(*x), BufferUse(*y)});
  };
  add();
  rig.queue.upload(*counts, 0, std::as_bytes(std::span(one)));
  add();
  const std::vector<float> found = rig.read(*x);
  CHECK(found[0] == 2);
  CHECK(found[64] == 1);
  CHECK(found[127] == 1);
  CHECK(found[128] == 0);
}

TEST_CASE("bytes go in and come out at any size, through the staging buffer too") {
  if (!has_device()) return;
  Rig rig;
  const size_t n = (size_t{20} << 20) + 12;
  std::vector<std::byte> bytes(n);
  for (size_t i = 0; i < n; ++i) bytes[i] = static_cast<std::byte>(i * 2654435761u >> 13);
  const auto buffer = rig.memory.allocate(n + 8, MemoryUse::device);
  rig.queue.upload(*buffer, 4, bytes);
  std::vector<std::byte> found(n);
  rig.queue.download(*buffer, 4, found);
  CHECK((found == bytes));
}

TEST_CASE("a dispatch that does not fit its shader is refused with what was expected") {
  if (!has_device()) return;
  Rig rig;
  const auto x = rig.floats({1, 2});
  const uint32_t constants[] = {1, 2, 0, 2, 0, 2};
  CHECK_THROWS_WITH(rig.queue.dispatch(rig.programs.get("add"), {1, 1, 1}, constants, {BufferUse(*x)}),
                    Catch::Contains("add") && Catch::Contains("1 buffers; expected"));
  CHECK_THROWS_WITH(rig.queue.dispatch(rig.programs.get("add"), {1, 1, 1}, std::span(constants).first(5),
                                       {BufferUse(*x), BufferUse(*x)}),
                    Catch::Contains("20 bytes"));
  rig.queue.finish();
  CHECK(rig.read(*x) == std::vector<float>{1, 2});
}

TEST_CASE("stages count their calls, their bytes, and the device's time") {
  if (!has_device()) return;
  Rig rig;
  const auto x = rig.floats(std::vector<float>(100000, 0)), y = rig.floats(std::vector<float>(100000, 1));
  rig.queue.begin_stage(1, 1000);
  rig.add(*x, *y, 100000);
  rig.queue.begin_stage(1, 500);
  rig.add(*x, *y, 100000);
  rig.add(*x, *y, 100000);
  rig.queue.finish();
  const std::vector<StageTime> times = rig.queue.stage_times();
  REQUIRE(times.size() == 1);
  CHECK(times[0].name == "second");
  CHECK(times[0].calls == 2);
  CHECK(times[0].bytes == 1500);
  if (rig.device.facts().timestamp_ns > 0) CHECK(times[0].ms > 0);
  CHECK(times[0].ms < 60000);
  rig.queue.reset_stage_times();
  CHECK(rig.queue.stage_times().empty());
}

TEST_CASE("long work is cut into submissions") {
  if (!has_device()) return;
  Rig rig;
  const auto x = rig.floats({0, 0}), y = rig.floats({1, 2});
  const uint32_t constants[] = {1, 2, 0, 2, 0, 2};
  const int64_t before = rig.queue.counters().submissions;
  for (int i = 0; i < 10; ++i)
    rig.queue.dispatch(rig.programs.get("add"), {1, 1, 1}, constants, {BufferUse(*x), BufferUse(*y)}, /*cost_ms=*/15);
  rig.queue.finish();
  CHECK(rig.queue.counters().submissions >= before + 4);
  CHECK(rig.read(*x) == std::vector<float>{10, 20});
}

}  // namespace headroom::vulkan::test
