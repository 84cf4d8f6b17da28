// Scripted conversations: what each line does to later turns. Answers are greedy, so that the same conversation gives
// the same text.
#include <catch2/catch.hpp>
#include <csignal>

#include "tests/app/program.h"

using namespace headroom;
using namespace headroom::test;
using Catch::Matchers::Contains;

namespace chat_test {
namespace {

std::vector<std::string> chat_args(const std::vector<std::string>& more = {}) {
  std::vector<std::string> args{"chat", "-m", tiny_model_path(), "--temp", "0", "-n", "6", "-t", "1"};
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

Outcome chat(const std::string& script, const std::vector<std::string>& more = {}) {
  return run_program(chat_args(more), script);
}

std::string one_turn(const std::string& prompt, const std::vector<std::string>& more = {}, int n_tokens = 6) {
  std::vector<std::string> args{"run", "-m",  tiny_model_path(), "--temp", "0", "-n", std::to_string(n_tokens),
                                "-p",  prompt};
  args.insert(args.end(), more.begin(), more.end());
  return run_program(args).out;
}

size_t count(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

}  // namespace

TEST_CASE("without a command the chat starts, each line of standard input is a turn") {
  const std::string answer = one_turn("Hello");
  CHECK(!answer.empty());
  CHECK(chat("Hello\n").out == answer);
  CHECK(run_program({"-m", tiny_model_path(), "--temp", "0", "-n", "6"}, "Hello\n").out == answer);
  CHECK(run_program({"run", "-m", tiny_model_path(), "--temp", "0", "-n", "6"}, "Hello\n").out == answer);
  CHECK(run_program({"-m", tiny_model_path(), "--temp", "0", "-n", "6", "-p", "Hello"}).out == answer);
  const Outcome two = chat("Hello\nAnd then?\n");
  CHECK(two.exit_code == 0);
  CHECK(count(two.err, "[prompt ") == 2);
  CHECK(two.out.size() > answer.size());
  CHECK(chat("").exit_code == 0);
  CHECK(chat("\n  \n").out.empty());
}

TEST_CASE("a later turn prefills only what is new") {
  // No answers: this model's answers are invalid UTF-8, so their text does not encode to the same ids again.
  std::vector<std::string> args{"chat", "-m", tiny_model_path(), "-n", "0"};
  CHECK_THAT(run_program(args, "Hello\nAnd then?\n").err, Contains(" new, ") && !Contains("re-encoded"));
}

TEST_CASE("a line that ends with a backslash goes on") {
  CHECK(chat("Hello\\\nthere\n").out == one_turn("Hello\nthere"));
}

TEST_CASE("/undo takes the turn back, so that the same message gives the same answer") {
  const std::string answer = one_turn("Hello");
  CHECK(chat("Hello\n/undo\nHello\n").out == answer + answer);
  const std::string two = chat("Hello\nAnd then?\n").out;
  CHECK(chat("Hello\nAnd then?\n/undo\nAnd then?\n").out == two + two.substr(answer.size()));
  CHECK_THAT(chat("/undo\n").err, Contains("no turn to take back"));
  CHECK_THAT(chat("Hello\n/undo\n/undo\n").err, Contains("no turn to take back"));
}

TEST_CASE("/other brings the answer before /regen back, and the conversation goes on from it") {
  const std::string err = chat("Hello\n/regen\n/other\n/other\n/other\nAnd then?\n").err;
  CHECK_THAT(err, Contains("/other returns to the previous answer") && Contains("goes on from this answer"));
  CHECK_THAT(chat("Hello\n/other\n").err, Contains("there is no other answer"));
  CHECK_THAT(chat("Hello\n/regen\nMore\n/other\n").err, Contains("there is no other answer"));
}

TEST_CASE("/regen answers the same message again") {
  const std::string answer = one_turn("Hello");
  CHECK(chat("Hello\n/regen\n").out == answer + answer);
  CHECK_THAT(chat("/regen\n").err, Contains("no turn to take back"));
}

TEST_CASE("/reset begins anew") {
  const std::string answer = one_turn("Hello");
  CHECK(chat("Hello\n/reset\nHello\n").out == answer + answer);
}

TEST_CASE("/system and --system say the same") {
  const std::string answer = one_turn("Hello", {"--system", "Be brief."});
  CHECK(chat("/system Be brief.\nHello\n").out == answer);
  CHECK(chat("Hello\n", {"-sys", "Be brief."}).out == answer);
  CHECK_THAT(chat("Hello\n/system Be brief.\nHello\n").err, Contains("re-encoded"));
}

TEST_CASE("/config changes what heads keep, from the next message on") {
  const Outcome outcome = chat("Hello\n/config full\nHello\n/stats\n/config nothing\n/config\n");
  CHECK(outcome.exit_code == 0);
  CHECK_THAT(outcome.err, Contains("configuration full; the next message applies") && Contains("heads A 4\n"));
  CHECK_THAT(outcome.err, Contains("unknown configuration 'nothing'"));
  CHECK_THAT(outcome.err, Contains("streaming"));
}

TEST_CASE("/heads, /stats and /help show, and a mistyped command names the nearest") {
  CHECK_THAT(chat("Hello\n/heads\n").out, Contains("KV head"));
  CHECK_THAT(chat("Hello\n/stats\n").err, Contains("KV live") && Contains("pool"));
  CHECK_THAT(chat("/help\n").err, Contains("/regen") && Contains("/system"));
  const Outcome mistyped = chat("/regn\n/etc/passwd is what?\n");
  CHECK_THAT(mistyped.err, Contains("the nearest is /regen") && Contains("/help lists them"));
  CHECK(mistyped.out.empty());
}

TEST_CASE("/quit ends the program before the rest of the input") {
  CHECK(chat("/quit\nHello\n").out.empty());
}

TEST_CASE("a message that is refused is not kept, and the chat goes on") {
  const std::string answer = one_turn("Hello");
  const Outcome invalid = chat("\xff\xfe\nHello\n");
  CHECK(invalid.exit_code == 0);
  CHECK_THAT(invalid.err, Contains("UTF-8"));
  CHECK(invalid.out == answer);
  CHECK_THAT(chat(std::string("a\0b\n", 4)).err, Contains("NUL"));

  std::string long_line;
  for (int i = 0; i < 400; ++i) long_line += "word ";
  const Outcome too_long = chat(long_line + "\nHello\n", {"-c", "64"});
  CHECK_THAT(too_long.err, Contains("the context holds 64"));
  CHECK(too_long.out == answer);
}

TEST_CASE("a full context offers to drop the oldest turns") {
  std::string script;
  for (int i = 0; i < 12; ++i) script += "Hello\n";
  Program terminal;
  terminal.in_is_terminal = true;
  const Outcome dropped = terminal.run(chat_args({"-c", "96"}), script + "y\ny\nHello\n/quit\n");
  CHECK(dropped.exit_code == 0);
  CHECK_THAT(dropped.err, Contains("drop the oldest turns"));
  CHECK_THAT(terminal.run(chat_args({"-c", "96"}), "Hello\nHello\nHello\nHello\nHello\ny\ny\ny\ny\ny\n").err,
             Contains("dropped the oldest"));
  // There is no terminal to ask: the message is removed, and nothing is dropped silently.
  const Outcome piped = chat(script, {"-c", "96"});
  CHECK(piped.exit_code == 0);
  CHECK_THAT(piped.err, Contains("the message was taken back; /reset begins a new chat"));
}

TEST_CASE("in a terminal Ctrl+C stops the answer, what was written stays, and the chat goes on") {
  Program program;
  program.in_is_terminal = true;
  program.out_buffer.on_write = [&] {
    if (program.interrupt.armed) program.interrupt.requested = true;
  };
  const std::string whole = one_turn("Hello", {}, 40);
  const Outcome outcome = program.run({"chat", "-m", tiny_model_path(), "--temp", "0", "-n", "40", "-t", "1"},
                                      "Hello\n/stats\nAnd then?\n");
  CHECK(outcome.exit_code == 0);
  CHECK(count(outcome.err, "cancelled") == 2);
  CHECK(outcome.out.size() < whole.size());
  CHECK(!outcome.out.empty());
}

TEST_CASE("Ctrl+C ends a chat whose lines come from elsewhere, by the signal") {
  Program program;
  program.out_buffer.on_write = [&] {
    if (program.interrupt.armed) program.interrupt.requested = true;
  };
  const Outcome outcome = program.run({"chat", "-m", tiny_model_path(), "--temp", "0", "-n", "40", "-t", "1"},
                                      "Hello\n/stats\nAnd then?\n");
  CHECK(outcome.exit_code == signal_exit_base + SIGINT);
  CHECK(count(outcome.err, "cancelled") == 1);
  CHECK_THAT(outcome.err, !Contains("KV live"));
  CHECK(!outcome.out.empty());
}

TEST_CASE("Ctrl+C ends one answer by the signal, after what there is of it was written") {
  Program program;
  program.out_buffer.on_write = [&] {
    if (program.interrupt.armed) program.interrupt.requested = true;
  };
  const Outcome text = program.run({"run", "-m", tiny_model_path(), "--temp", "0", "-n", "40", "-p", "Hello"});
  CHECK(text.exit_code == signal_exit_base + SIGINT);
  CHECK(!text.out.empty());
  CHECK_THAT(text.err, Contains("cancelled"));

  Program early;
  const EarlyInterrupt press(early.interrupt);
  const Outcome as_json = early.run({"run", "-m", tiny_model_path(), "-n", "4000", "-p", "Hello", "--json"});
  CHECK(as_json.exit_code == signal_exit_base + SIGINT);
  CHECK(as_json.json()["stop_reason"] == "cancelled");
}

TEST_CASE("Ctrl+C while the prompt is read takes the message back") {
  std::string long_line;
  for (int i = 0; i < 600; ++i) long_line += "word ";
  Program program;
  program.in_is_terminal = true;
  const EarlyInterrupt press(program.interrupt);
  const Outcome outcome = program.run(chat_args(), long_line + "\n/stats\n/undo\n");
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.out.empty());
  CHECK_THAT(outcome.err, Contains("cancelled") && Contains("taken back") && Contains("no turn to take back"));
  CHECK_THAT(outcome.err, Contains("0 of "));
}

TEST_CASE("in a terminal the prompt and the model are shown on standard error") {
  Program terminal;
  terminal.in_is_terminal = true;
  const Outcome outcome = terminal.run(chat_args(), "Hello\n/quit\n");
  CHECK_THAT(outcome.err, Contains("> ") && Contains("/help"));
  CHECK(outcome.out == one_turn("Hello"));
  CHECK(count(chat("Hello\n").err, "> ") == 0);
}

}  // namespace chat_test
