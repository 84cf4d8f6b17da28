// The registry: which backends are offered, and that a choice by name or by HEADROOM_BACKEND takes effect.
#include <cstdlib>

#include "engine/backend/self_test.h"
#include "engine/base/error.h"
#include "tests/ops/backend_fixture.h"

namespace headroom::test::registry_test {
namespace {

/// Sets HEADROOM_BACKEND for a scope.
class BackendVariable {
 public:
  explicit BackendVariable(const char* value) {
    if (const char* old = std::getenv(name)) old_ = old;
    if (value != nullptr)
      setenv(name, value, 1);
    else
      unsetenv(name);
  }
  ~BackendVariable() {
    if (old_.empty())
      unsetenv(name);
    else
      setenv(name, old_.c_str(), 1);
  }

 private:
  static constexpr const char* name = "HEADROOM_BACKEND";
  std::string old_;
};

}  // namespace

TEST_CASE("devices are listed in order of preference, with a reason for each that is skipped") {
  const std::vector<DeviceEntry> devices = list_devices();
  REQUIRE(devices.size() >= 3);
  CHECK(devices.front().backend == "cuda");
  CHECK(devices.back().backend == "cpu");
  for (size_t i = 1; i + 1 < devices.size(); ++i) CHECK(devices[i].backend == "vulkan");
  for (const DeviceEntry& device : devices) CHECK((device.available || !device.skip_reason.empty()));
  CHECK(devices.back().available);
  CHECK(devices.back().skip_reason.empty());
  CHECK_THAT(devices.back().device, Catch::Contains("thread"));
}

TEST_CASE("the first backend that is not skipped is taken where nobody asks for another") {
  const BackendVariable variable(nullptr);
  const std::vector<DeviceEntry> devices = list_devices();
  const auto first = std::find_if(devices.begin(), devices.end(), [](const auto& d) { return d.skip_reason.empty(); });
  CHECK(make_backend({})->info().name == first->backend);
}

TEST_CASE("the self-test passes a backend that is right, and names the operation that is wrong") {
  CHECK(self_test(*cpu(), *reference()).empty());
  CHECK_THAT(self_test(*cpu(), *cpu()), Catch::Equals(""));
}

TEST_CASE("a backend that was given up is skipped with the reason, until that is taken back") {
  give_up_backend("vulkan", "its device burns");
  CHECK(list_devices()[1].skip_reason == "its device burns");
  CHECK_FALSE(list_devices()[1].available);
  CHECK_THROWS_WITH(make_backend({.name = "vulkan"}), Catch::Contains("its device burns"));
  CHECK(next_backend("cuda") == "cpu");
  CHECK(next_backend("vulkan") == "cpu");
  give_up_backend("vulkan", "");
  CHECK(list_devices()[1].skip_reason != "its device burns");
}

TEST_CASE("HEADROOM_BACKEND overrides the order, a name overrides both") {
  const BackendVariable variable("cpu-reference");
  CHECK(make_backend({})->info().name == "cpu-reference");
  CHECK(make_backend({.name = "cpu"})->info().name == "cpu");
}

TEST_CASE("an unknown or missing backend is refused with a sentence") {
  CHECK_THROWS_WITH(make_backend({.name = "tpu"}), Catch::Contains("\"tpu\"") && Catch::Contains("expected"));
  CHECK_THROWS_WITH(make_backend({.name = "cuda"}), Catch::Contains("cuda") && Catch::Contains("not built"));
  const BackendVariable variable("abacus");
  CHECK_THROWS_WITH(make_backend({}), Catch::Contains("HEADROOM_BACKEND") && Catch::Contains("abacus"));
}

TEST_CASE("the number of threads is the one that was asked for") {
  CHECK_THAT(make_backend({.name = "cpu", .n_threads = 1})->info().device, Catch::EndsWith(", 1 thread"));
  CHECK_THAT(make_backend({.name = "cpu", .n_threads = 3})->info().device, Catch::EndsWith(", 3 threads"));
}

TEST_CASE("stages are timed with their bytes until they are reset") {
  const auto backend = cpu();
  const DeviceMatrix x(*backend, zeros(2, 8)), y(*backend, zeros(2, 8));
  backend->add(x, y);
  backend->add(x, y);
  const std::vector<StageTime> times = backend->stage_times();
  REQUIRE(times.size() == 1);
  CHECK(times[0].name == "add");
  CHECK(times[0].calls == 2);
  CHECK(times[0].bytes == 2 * 3 * 2 * 8 * 4);
  CHECK(times[0].ms >= 0);
  backend->reset_stage_times();
  CHECK(backend->stage_times().empty());
}

}  // namespace headroom::test::registry_test
