// A Vulkan driver that crashes, aborts, ends the process or hangs during the probe costs a line of output, not the
// program.
#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>

#include "tests/app/program.h"

using namespace headroom::test;
using Catch::Matchers::Contains;

namespace {

struct Result {
  int status = -1;
  std::string output;  // of both streams
  double seconds = 0;
};

/// Runs the program with only one driver, which does this harm.
Result run_with_driver(const std::string& harm, const std::string& arguments) {
  const std::string command =
      "env -u HEADROOM_BACKEND -u DISPLAY -u WAYLAND_DISPLAY VK_ICD_FILENAMES=" + std::string(HEADROOM_BAD_DRIVER) +
      " VK_DRIVER_FILES=" + HEADROOM_BAD_DRIVER + " HEADROOM_PROBE_SECONDS=1.5 HEADROOM_BAD_DRIVER=" + harm + " '" +
      HEADROOM_PROGRAM + "' " + arguments + " 2>&1 </dev/null";
  const auto start = std::chrono::steady_clock::now();
  FILE* pipe = popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  Result result;
  char part[4096];
  while (const size_t n = fread(part, 1, sizeof(part), pipe)) result.output.append(part, n);
  const int status = pclose(pipe);
  if (WIFEXITED(status)) result.status = WEXITSTATUS(status);
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

std::string one_token() {
  return "run -m " + tiny_model_path() + " -p hello -n 1 --temp 0";
}

}  // namespace

TEST_CASE("a driver that fails while it is asked is a line of devices, and the CPU computes", "[driver]") {
  struct Row {
    const char* harm;
    const char* line;
  };
  for (const Row row : {Row{"crash", "its process was killed by signal 11"}, Row{"abort", "was killed by signal 6"},
                        Row{"exit", "ended with exit status 3"}, Row{"noise", "ended with exit status 0"},
                        Row{"hang", "did not answer in time"}}) {
    INFO(row.harm);
    const Result devices = run_with_driver(row.harm, "devices");
    CHECK(devices.status == 0);
    CHECK_THAT(devices.output, Contains("vulkan") && Contains(row.line) && Contains("* cpu"));
  }
}

TEST_CASE("an answer comes in spite of such a driver, in time", "[driver]") {
  const Result crash = run_with_driver("crash", one_token());
  CHECK(crash.status == 0);
  CHECK_THAT(crash.output, !Contains("signal"));
  CHECK(run_with_driver("hang", one_token()).status == 0);
  const Result named = run_with_driver("crash", one_token() + " --backend vulkan");
  CHECK(named.status == 1);
  CHECK_THAT(named.output, Contains("the backend \"vulkan\" is not available: the Vulkan loader or a driver failed"));
}

TEST_CASE("with the CPU named nobody asks a driver", "[driver]") {
  const std::string mark = temporary_path("driver-was-asked");
  const auto leaves_mark = [&](const std::string& backend) {
    std::filesystem::remove(mark);
    CHECK(run_with_driver("crash HEADROOM_BAD_DRIVER_MARK=" + mark, one_token() + " --backend " + backend).status ==
          (backend == "cpu" ? 0 : 1));
    return std::filesystem::remove(mark);
  };
  CHECK_FALSE(leaves_mark("cpu"));
  CHECK(leaves_mark("vulkan"));
}

TEST_CASE("a picture says why it cannot be drawn", "[driver]") {
  const Result picture =
      run_with_driver("crash", "replay " + std::string(HEADROOM_TEST_DATA) + "/traces/chat.hrtrace --png /dev/null");
  CHECK(picture.status == 1);
  CHECK_THAT(picture.output, Contains("the Vulkan loader or a driver failed while it was asked"));
}
