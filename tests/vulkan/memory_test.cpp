// Device memory: what is allocated, shared and freed.
#include <numeric>

#include "tests/vulkan/rig.h"

namespace headroom::vulkan::test {
namespace {

constexpr int64_t mib = 1 << 20;

}  // namespace

TEST_CASE("freed memory goes back to the driver") {
  if (!has_device()) return;
  Rig rig;
  const int64_t before = rig.memory.allocated_bytes();
  auto buffer = rig.memory.allocate(5 * mib, MemoryUse::device);
  CHECK(buffer->size_bytes() == 5 * mib);
  CHECK(rig.memory.allocated_bytes() >= before + 5 * mib);
  CHECK(rig.memory.allocated_bytes() < before + 6 * mib);
  buffer.reset();
  CHECK(rig.memory.allocated_bytes() == before);
  CHECK(rig.memory.allocate(0, MemoryUse::device)->size_bytes() == 0);
  CHECK(rig.memory.allocated_bytes() == before);
}

TEST_CASE("weights share large blocks, which go with the last of them") {
  if (!has_device()) return;
  Rig rig;
  const int64_t before = rig.memory.allocated_bytes();
  std::vector<std::unique_ptr<Buffer>> weights;
  std::vector<std::vector<float>> values;
  for (const size_t n : {1u, 1000u, 3u, 300000u, 17u, 65u}) {
    values.emplace_back(n);
    std::iota(values.back().begin(), values.back().end(), static_cast<float>(n));
    weights.push_back(rig.memory.allocate(n * sizeof(float), MemoryUse::weight));
    rig.queue.upload(*weights.back(), 0, std::as_bytes(std::span(values.back())));
  }
  const int64_t one_block = rig.memory.allocated_bytes();
  for (size_t i = 0; i < weights.size(); ++i) CHECK(rig.read(*weights[i]) == values[i]);  // no weight overlaps another

  // A weight that does not fit into the rest of a block starts a new one; one as large as a block has its own memory.
  auto large = rig.memory.allocate(static_cast<size_t>(one_block - before - mib), MemoryUse::weight);
  CHECK(rig.memory.allocated_bytes() > one_block);
  large.reset();
  CHECK(rig.memory.allocated_bytes() == one_block);

  while (weights.size() > 1) {
    weights.erase(weights.begin());
    CHECK(rig.memory.allocated_bytes() == one_block);
  }
  weights.clear();
  CHECK(rig.memory.allocated_bytes() == before);
}

TEST_CASE("a request that the device cannot serve is refused in a sentence, and changes nothing") {
  if (!has_device()) return;
  Rig rig;
  const int64_t before = rig.memory.allocated_bytes();
  for (const MemoryUse use : {MemoryUse::device, MemoryUse::staging, MemoryUse::weight}) {
    try {
      rig.memory.allocate(size_t{1} << 44, use);
      FAIL("16 TiB were given");
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::out_of_memory);
      CHECK_THAT(error.what(), Catch::Contains("Vulkan device"));
    }
    CHECK(rig.memory.allocated_bytes() == before);
  }
  const auto x = rig.floats({1, 2}), y = rig.floats({3, 4});
  rig.add(*x, *y, 2);
  CHECK(rig.read(*x) == std::vector<float>{4, 6});
}

TEST_CASE("a buffer is not given back while the device uses it") {
  if (!has_device()) return;
  Rig rig;
  const auto x = rig.floats(std::vector<float>(1000, 1));
  for (int i = 0; i < 20; ++i) {
    const auto y = rig.floats(std::vector<float>(1000, 2));
    rig.add(*x, *y, 1000);
    if (i % 3 == 0) rig.queue.submit();
  }
  CHECK(rig.read(*x) == std::vector<float>(1000, 41));
}

}  // namespace headroom::vulkan::test
