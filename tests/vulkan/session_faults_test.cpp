// A conversation on a device whose calls fail: nothing crashes or leaks, and the next turn works, on this backend or on
// the next one.
#include <cstdlib>

#include "engine/backend/vulkan/vulkan_backend.h"
#include "engine/run/restartable_backend.h"
#include "tests/run/tiny_session.h"
#include "tests/support/effort.h"
#include "tests/vulkan/faults.h"
#include "tests/vulkan/rig.h"

namespace headroom::vulkan::test::session_faults_test {
namespace {

using headroom::test::random_ids;
using headroom::test::tiny;

constexpr int32_t n_prompt = 40, n_answer = 5;
constexpr int usual_step = headroom::test::has_address_sanitizer ? 97 : 19;

/// Backends of this process have failing calls while it lives; afterwards Vulkan works again, whatever happened.
class FailingDevices {
 public:
  FailingDevices() {
    Faults::instance() = {};
    set_vulkan_table_hook(Faults::lasting_hook());
  }
  ~FailingDevices() {
    set_vulkan_table_hook({});
    give_up_backend("vulkan", "");
  }
};

SessionOptions session_options() {
  return {.cache = *find_cache_config("paper"), .n_ctx = 256};
}

/// Two turns: a text and the tokens that follow it, then the same with a text behind both.
std::vector<TokenId> turn(Session& session, int32_t number) {
  TurnObserver observer;
  std::vector<TokenId> wanted = random_ids(n_prompt * number, 200, 1);
  TurnOptions options;
  options.max_tokens = n_answer;
  options.sampler.temperature = 0;
  return session.run_ids(wanted, options, observer).ids;
}

std::vector<TokenId> expected_turn(const Model& model, int32_t number) {
  const auto backend = make_backend({.name = "cpu", .n_threads = 1});
  Session session(model, *backend, session_options());
  return turn(session, number);
}

void check_nothing_lives() {
  for (const auto& [kind, n] : Faults::instance().living) {
    INFO(kind);
    CHECK(n == 0);
  }
}

/// Load, two turns, close, with call number n failing. False: there were fewer calls.
bool converse(const Model& model, const std::vector<std::vector<TokenId>>& expected, VkResult result, int n) {
  Faults& faults = Faults::instance();
  const FailingDevices devices;
  faults.failing = n;
  faults.result = result;
  {
    std::optional<RestartableBackend> backend;
    std::optional<Session> session;
    const auto load = [&] {
      session.reset();
      backend.reset();
      backend.emplace(BackendChoice{.name = "vulkan"});
      session.emplace(model, backend->get(), session_options());
    };
    try {
      load();
    } catch (const Error& error) {
      CHECK_FALSE(std::string(error.what()).empty());
      load();  // the user opens the model again
    }
    for (int32_t number = 1, tries = 0; number <= 2; ++tries) {
      CAPTURE(n, result_name(result), faults.failed, number);
      REQUIRE(tries < 4);
      const bool had_failed = !faults.failed.empty();
      try {
        const std::vector<TokenId> ids = turn(*session, number);
        // A turn may end early, with a message, if memory ran out.
        if (ids.size() < expected[static_cast<size_t>(number - 1)].size() && !had_failed && !faults.failed.empty())
          continue;
        CHECK(ids == expected[static_cast<size_t>(number - 1)]);
        ++number;
      } catch (const Error& error) {
        CAPTURE(error.what());
        CHECK_FALSE(had_failed);
        if (error.kind() == ErrorKind::device) CHECK_FALSE(backend->recover(*session, error).empty());
      }
    }
  }
  check_nothing_lives();
  return !faults.failed.empty();
}

}  // namespace

TEST_CASE("two turns on both variants are those of the CPU") {
  if (!has_device()) return;
  for (const Architecture architecture : {Architecture::llama, Architecture::gemma3}) {
    const Model model = tiny(architecture);
    for (const char* name : {"vulkan-lane", "vulkan-subgroup"}) {
      INFO(name);
      const auto backend = make_backend({.name = name});
      Session session(model, *backend, session_options());
      CHECK(turn(session, 1) == expected_turn(model, 1));
      CHECK(turn(session, 2) == expected_turn(model, 2));
    }
  }
}

TEST_CASE("a child of the validation test that has two turns", "[.two-turns]") {
  const Model model = tiny(Architecture::llama);
  const auto backend = make_backend({.name = "vulkan-lane"});
  Session session(model, *backend, session_options());
  CHECK(turn(session, 1) == expected_turn(model, 1));
  CHECK(turn(session, 2) == expected_turn(model, 2));
}

TEST_CASE("a conversation survives any call that fails") {
  if (!has_device()) return;
  const Model model = tiny(Architecture::llama);
  const std::vector<std::vector<TokenId>> expected{expected_turn(model, 1), expected_turn(model, 2)};
  // All calls would mean some thousand conversations.
  const bool has_time = headroom::test::runs_long_tests();
  constexpr VkResult results[] = {VK_ERROR_OUT_OF_HOST_MEMORY, VK_ERROR_OUT_OF_DEVICE_MEMORY, VK_ERROR_DEVICE_LOST};
  for (int i = 0; i < 3; ++i) {
    const int step = has_time ? 1 : usual_step;
    int n = has_time ? 0 : i * usual_step / 3;
    while (converse(model, expected, results[i], n)) n += step;
    CHECK(n > 300);
    if (has_time) WARN(n << " calls that may fail");
  }
}

TEST_CASE("a device that is lost is opened once more, then the next backend computes") {
  if (!has_device()) return;
  const FailingDevices devices;
  const Model model = tiny(Architecture::llama);
  RestartableBackend backend({.name = "vulkan"});
  Session session(model, backend.get(), session_options());
  CHECK(turn(session, 1) == expected_turn(model, 1));

  const auto lose = [&]() -> std::string {
    Faults::instance().n_calls = 0;
    Faults::instance().failing = 3;
    Faults::instance().result = VK_ERROR_DEVICE_LOST;
    try {
      turn(session, 2);
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::device);
      Faults::instance().failing = -1;
      return backend.recover(session, error);
    }
    return "the turn went on without a device";
  };
  CHECK_THAT(lose(), Catch::Contains("VK_ERROR_DEVICE_LOST") && Catch::Contains("it goes on with vulkan"));
  CHECK(turn(session, 2) == expected_turn(model, 2));
  CHECK_THAT(lose(), Catch::Contains("it goes on with cpu"));
  CHECK(session.backend_info().name == "cpu");
  CHECK(turn(session, 2) == expected_turn(model, 2));
  CHECK_THROWS_WITH(make_backend({.name = "vulkan"}), Catch::Contains("VK_ERROR_DEVICE_LOST"));
}

}  // namespace headroom::vulkan::test::session_faults_test
