// On the default model: a chat from the first key to the answer, and the numbers in the panels against those that the
// commands print for the same prompt.
#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <map>

#include "app/desktop/replay.h"
#include "app/format.h"
#include "tests/app/program.h"
#include "tests/desktop/desk.h"
#include "tests/support/backends.h"
#include "tests/support/model_paths.h"
#include "tests/ui_flow/stage.h"
#include "ui/number_text.h"

using namespace headroom;
using namespace headroom::test;

namespace {

const std::string prompt = "Why is the sky blue? Answer in two sentences, please.";

struct Total {
  int64_t n_heads = 0, bytes = 0;
};

std::map<std::string, Total> totals_of(const nlohmann::json& report) {
  std::map<std::string, Total> totals;
  for (const auto& name : report.at("policy_set")) totals[name];
  for (const auto& head : report.at("heads")) {
    Total& total = totals[head.at("policy")];
    ++total.n_heads;
    total.bytes += head.at("bytes").get<int64_t>();
  }
  return totals;
}

bool has_line(const std::vector<std::string>& lines, const std::string& part) {
  return std::any_of(lines.begin(), lines.end(),
                     [&](const std::string& line) { return line.find(part) != std::string::npos; });
}

/// Checks the window's legend, figures, meters and every head's card against a report.
void check_panels(Person& person, Stage& stage, const nlohmann::json& report, int32_t n_cached) {
  const std::vector<std::string> legend = person.reads("heads"), figures = person.reads("memory"),
                                 status = person.reads("status");
  for (const auto& [name, total] : totals_of(report)) {
    INFO(name);
    // In a narrow panel policy names are shortened at the front.
    const std::string row = " | " + count_text(total.n_heads, "head", "heads") + " | " + bytes_text(total.bytes);
    const std::string last_part = name.substr(name.rfind('+') == std::string::npos ? 0 : name.rfind('+'));
    CHECK(std::any_of(legend.begin(), legend.end(), [&](const std::string& line) {
      return line.find(row) != std::string::npos && line.find(last_part + " | ") != std::string::npos;
    }));
  }
  const std::string live = bytes_text(report.at("kv_live_bytes")), full = bytes_text(report.at("kv_full_bytes"));
  CHECK(has_line(figures, live + " | " + full + " | " + bytes_text(report.at("kv_pool_bytes"))));
  CHECK(has_line(status, "KV " + live + " / " + full));
  CHECK(has_line(status, "context " + count_text(n_cached) + " / "));

  const ImRect map = person.place_of("//###heads/**/###cells");
  const Mirror& mirror = stage.source().mirror();
  const int32_t columns = mirror.model()->n_kv_heads, rows = mirror.model()->n_layers;
  REQUIRE(report.at("heads").size() == static_cast<size_t>(rows * columns));
  for (const auto& head : report.at("heads")) {
    const int layer = head.at("layer"), kv_head = head.at("kv_head");
    person->MouseTeleportToPos(
        {map.Min.x + map.GetWidth() * (static_cast<float>(kv_head) + 0.5f) / static_cast<float>(columns),
         map.Min.y + map.GetHeight() * (static_cast<float>(layer) + 0.5f) / static_cast<float>(rows)});
    person.frames(2);
    const std::vector<std::string> card = person.reads("explanation");
    INFO("layer " << layer << ", KV head " << kv_head);
    CHECK(has_line(card, format("Layer %d, KV head %d ", layer, kv_head)));
    CHECK(has_line(card,
                   "keeps " + count_text(head.at("kept_tokens")) + " of " + count_text(n_cached, "token", "tokens")));
    CHECK(has_line(card, ", " + bytes_text(head.at("bytes")) + " live"));
    // There is one bar per policy, in the order of the set, and the chosen one is marked.
    std::vector<std::string> bars;
    for (const std::string& line : card)
      if (line.find(" | ") != std::string::npos) bars.push_back(line);
    REQUIRE(bars.size() == head.at("recovery").size());
    for (size_t i = 0; i < bars.size(); ++i) {
      CHECK(bars[i].ends_with(" | " + share_text(head.at("recovery")[i])));
      CHECK(bars[i].starts_with("> ") == (report.at("policy_set")[i] == head.at("policy")));
    }
  }
}

}  // namespace

TEST_CASE("on the default model the panels draw the numbers of `profile --json` and `run --json`", "[model]") {
  const std::optional<std::string> model = find_model(smollm2_file);
  if (!model) {
    WARN("skipped: " << smollm2_file << " is not here");
    return;
  }
  const Folder folder;
  const std::string trace = folder / "run.hrtrace";
  const Outcome profile = run_program({"profile", "-m", *model, "-p", prompt, "--json"});
  REQUIRE(profile.exit_code == 0);
  const Outcome run =
      run_program({"run", "-m", *model, "-p", prompt, "--temp", "0", "-n", "24", "--trace", trace, "--json"});
  REQUIRE(run.exit_code == 0);

  Replay replay(trace);
  Stage stage(source_of(replay));
  const int32_t n_prompt = profile.json().at("n_tokens");
  const int32_t n_answer = static_cast<int32_t>(run.json().at("ids").size());
  stage.act([&](Person& person) {
    person.press(Action::replay_to_start);
    CHECK(replay.mirror().n_cached() == n_prompt);
    check_panels(person, stage, profile.json(), n_prompt);

    person.hover({640, 780});
    person.press(Action::replay_to_end);
    check_panels(person, stage, run.json(), replay.mirror().n_cached());
    CHECK(has_line(person.reads("memory"), bytes_text(run.json().at("turn_log_bytes"))));
    const std::string text = run.json().at("text");
    CHECK(person.reads("transcript", text.substr(0, text.find(' ', 20))));
    CHECK(person.reads("transcript", format("prompt %d tokens (%d read, ", n_prompt, n_prompt)));
    CHECK(person.reads("transcript", format("answer %d tokens, ", n_answer)));
  });
}

TEST_CASE("on the default model: a person writes, the answer comes, the head map shows what is kept", "[model]") {
  // The window and the engine use separate Vulkan devices.
  const std::string backend = GENERATE("cpu", "vulkan");
#ifdef HEADROOM_ADDRESS_SANITIZER
  if (backend == "vulkan") return;  // a real model on a software driver under the sanitizer takes minutes
#endif
  if (!is_there(backend)) return;
  const std::optional<std::string> model = find_model(smollm2_file);
  if (!model) {
    WARN("skipped: " << smollm2_file << " is not here");
    return;
  }
  Desk desk;
  desk.options.model_path = *model;
  desk.options.backend = backend;
  desk.options.max_tokens = 16;
  desk.options.n_ctx = 1024;
  desk.options.config = std::nullopt;  // like `headroom chat` without options
  desk.options.engine_command = std::string("exec '") + HEADROOM_PROGRAM + "' engine";
  desk.open();
  Stage stage(source_of(*desk.controller));
  stage.act([&](Person& person) {
    REQUIRE(person.until([&] { return desk.view().can_send; }, 120'000));
    CHECK(person.reads("heads", "Nothing is in the cache yet"));
    CHECK(person.reads("status", backend));
    CHECK(desk->mirror().config().name == "headroom");  // its table is built in
    person.press(Action::focus_input);
    person.type(prompt);
    person.press(Action::send);
    REQUIRE(person.until([&] { return desk.view().can_send && desk.view().messages.size() == 2; }, 120'000));
    const std::string answer = desk.view().messages[1].content;
    REQUIRE_FALSE(answer.empty());
    CHECK(person.reads("transcript", answer.substr(0, std::min(answer.find('\n'), answer.find(' ', 10)))));
    const int32_t n = desk->mirror().n_cached();
    CHECK(n > 30);
    CHECK(person.reads("status", "context " + count_text(n) + " / 1"));
    CHECK(person.reads("memory", bytes_text(desk->mirror().now().kv_live_bytes)));
    person.hover_item("//###heads/**/###cells");
    CHECK(person.reads("explanation", " of " + count_text(n, "token", "tokens")));
  });
  CHECK(desk.stored().size() == 2);
}
