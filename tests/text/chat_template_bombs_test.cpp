// Templates made to use all memory or time are stopped by the limits, whatever operation they use. No operation takes
// much longer than its charge.
#include <catch2/catch.hpp>
#include <fstream>

#include "engine/base/error.h"
#include "engine/base/platform/platform.h"
#include "engine/base/platform/thread_clock.h"
#include "engine/text/chat_template.h"
#include "tests/text/template_bombs.h"

namespace headroom::chat_template_bombs_test {
namespace {

struct Outcome {
  std::string sentence;  // empty: not refused
  TemplateUse use;
  double seconds = 0;
};

Outcome run(const std::string& source, const TemplateLimits& limits) {
  Outcome outcome;
  TemplateInput input;
  input.messages = {{"user", "hi"}};
  input.date = "26 Jul 2024";
  const ChatTemplate parsed(source, limits);
  const double start = thread_cpu_seconds();
  try {
    parsed.render(input, {}, &outcome.use);
  } catch (const Error& error) {
    outcome.sentence = error.what();
  }
  outcome.seconds = thread_cpu_seconds() - start;
  return outcome;
}

}  // namespace

TEST_CASE("bombs of every operation are refused within what may be charged") {
  TemplateLimits limits;  // a sixteenth, so that the test is quick
  limits.max_work >>= 4;
  limits.max_memory_bytes >>= 4;
  limits.max_output_bytes >>= 4;
  limits.max_steps >>= 2;
  limits.max_seconds = 1e9;
  const TemplateLimits most =
      limits_for({.messages = {{"user", "hi"}}, .bos_token = {}, .eos_token = {}, .date = {}}, limits);
  const std::vector<std::string> bombs = test::template_bombs(200'000);
  CHECK(bombs.size() >= 200);
  for (const std::string& bomb : bombs) {
    const Outcome outcome = run(bomb, limits);
    INFO(bomb.substr(bomb.size() > 200 ? bomb.size() - 200 : 0));
    INFO(outcome.sentence << " " << outcome.seconds << " s");
    CHECK(outcome.use.memory_bytes <= most.max_memory_bytes);
    // The work exceeds its limit by at most the last charge.
    CHECK(outcome.use.steps <= most.max_steps + 20'000);
    CHECK_FALSE(outcome.sentence.empty());
  }
}

TEST_CASE("each bomb at the program's own limits: seconds and bytes", "[.measure]") {
  // HEADROOM_BOMBS=FOLDER writes the templates as files instead, for use with the whole program.
  const char* folder = std::getenv("HEADROOM_BOMBS");
  size_t number = 0;
  double longest = 0;
  // HEADROOM_BOMB_BYTES: size of the long texts. Shorter texts are processed more often before a limit is reached.
  const char* size = std::getenv("HEADROOM_BOMB_BYTES");
  for (const std::string& bomb : test::template_bombs(size != nullptr ? std::stoul(size) : 14'000'000)) {
    if (folder != nullptr) {
      std::ofstream(std::string(folder) + "/" + std::to_string(number++) + ".jinja", std::ios::binary) << bomb;
    }
    if (folder != nullptr) continue;
    const Outcome outcome = run(bomb, {});
    longest = std::max(longest, outcome.seconds);
    std::printf("%zu\t%.3f s\t%lld steps\t%zu MiB work\t%zu MiB\t%s\t%s\n", number++, outcome.seconds,
                static_cast<long long>(outcome.use.steps), outcome.use.work >> 20, outcome.use.memory_bytes >> 20,
                outcome.sentence.substr(0, 90).c_str(), bomb.substr(bomb.size() > 90 ? bomb.size() - 90 : 0).c_str());
  }
  CHECK(longest < 2);
}

}  // namespace headroom::chat_template_bombs_test
