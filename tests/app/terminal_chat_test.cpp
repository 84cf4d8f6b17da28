// The chat in a terminal: a paste is one message, whatever it contains, and the terminal's mode is restored at the end.
#include <catch2/catch.hpp>
#include <csignal>

#include "app/line_reader.h"
#include "tests/app/program.h"
#include "tests/app/real_program.h"

using namespace headroom;
using namespace headroom::test;
using Catch::Matchers::Contains;

namespace terminal_chat_test {
namespace {

std::vector<std::string> chat_args() {
  return {"run", "-m", tiny_model_path(), "--backend", "cpu", "-t", "1", "-n", "0", "--temp", "0"};
}

std::string paste(const std::string& text) {
  return "\x1b[200~" + text + "\x1b[201~";
}

/// "[prompt 34 tokens": the report of a turn if this message is the first of a chat.
std::string report_of(const std::string& message) {
  const Outcome outcome = run_program({"profile", "-m", tiny_model_path(), "-t", "1", "-p", message, "--json"});
  REQUIRE(outcome.exit_code == 0);
  return "[prompt " + outcome.json()["n_tokens"].dump() + " tokens";
}

}  // namespace

TEST_CASE("a paste as text: line ends, NUL bytes and what is no UTF-8") {
  CHECK(pasted_text("a\rb\nc\r\nd\n\re") == "a\nb\nc\nd\n\ne");
  CHECK(pasted_text(std::string("a\0b", 3)) == "ab");
  CHECK(pasted_text("\ta\x1b[31mb") == "\ta\x1b[31mb");
  CHECK(pasted_text("a\xff\xc3") == "a\xef\xbf\xbd\xef\xbf\xbd");
  CHECK(pasted_text("Grüße, 世界 🙂") == "Grüße, 世界 🙂");
}

TEST_CASE("lines that are pasted are one message, and none of them is a command") {
  TerminalProgram terminal(chat_args());
  REQUIRE(terminal.wait_for("\x1b[?2004h"));
  REQUIRE(terminal.wait_for_first_prompt());

  // Terminals send the same byte for a line end in a paste as for the Enter key.
  terminal.type(paste("line one\rline two\rline three\r") + "\r");
  REQUIRE(terminal.wait_for("[prompt ", 1));
  REQUIRE(terminal.wait_for(report_of("line one\nline two\nline three")));
  CHECK(terminal.count(report_of("line one\nline two\nline three")) == 1);

  terminal.type("/reset\r");
  REQUIRE(terminal.wait_for("new chat", 1));
  terminal.type(paste("/reset\rls -l\r") + "\r");
  REQUIRE(terminal.wait_for("[prompt ", 2));
  REQUIRE(terminal.wait_for(report_of("/reset\nls -l")));
  CHECK(terminal.count(report_of("/reset\nls -l")) == 1);
  // The history returns it as text too, not as a command.
  terminal.type("\x1b[A\r");
  REQUIRE(terminal.wait_for("[prompt ", 3));
  CHECK(terminal.count("new chat") == 1);

  // Text typed around a paste belongs to the message; a command typed in front of it is still a command.
  terminal.type("/reset" + paste("") + "\r");
  REQUIRE(terminal.wait_for("new chat", 2));
  terminal.type("say: " + paste("a\r/quit\r") + "done\r");
  REQUIRE(terminal.wait_for("[prompt ", 4));
  CHECK(terminal.wait_for(report_of("say: a\n/quit\ndone")));

  // After the line was erased, the next input is a new line.
  terminal.type(paste("/undo") + "\x15/reset\r");
  REQUIRE(terminal.wait_for("new chat", 3));
  // A backslash at the end of a paste is text, not a line continuation.
  terminal.type(paste("C:\\") + "\r");
  REQUIRE(terminal.wait_for("[prompt ", 5));

  terminal.type("/quit\r");
  const Ending ending = terminal.wait_for_end();
  CHECK(ending.exit_code == 0);
  CHECK(terminal.count("[prompt ") == 5);
  CHECK(terminal.count("\x1b[?2004l") == 1);
  CHECK(terminal.is_line_mode());
}

TEST_CASE("a paste arrives in pieces of any size, with any bytes in it") {
  const std::string text = "a\tb\x1b[31mred\x1b[0m\r\n\xc3\xa9 \xff\x1b[200~[201~\r";
  TerminalProgram terminal(chat_args());
  REQUIRE(terminal.wait_for_first_prompt());
  for (const char byte : paste(text)) terminal.type(std::string(1, byte));
  terminal.type("\r");
  REQUIRE(terminal.wait_for("[prompt ", 1));
  std::string expected = pasted_text(text);
  expected.pop_back();  // line feeds at the end are removed
  REQUIRE(terminal.wait_for(report_of(expected)));
  CHECK(terminal.count(report_of(expected)) == 1);
}

TEST_CASE("a paste without an end is dropped by Ctrl+C, one that is long is taken or refused as a message") {
  TerminalProgram terminal(chat_args());
  REQUIRE(terminal.wait_for_first_prompt());
  terminal.type("\x1b[200~/quit\rmore\r");
  REQUIRE(terminal.wait_for("the paste has not ended yet; Ctrl+C drops it"));
  terminal.send_signal(SIGINT);
  REQUIRE(terminal.wait_for("> ", 2));
  terminal.type("Hello\r");
  REQUIRE(terminal.wait_for("[prompt ", 1));
  REQUIRE(terminal.wait_for(report_of("Hello")));
  CHECK(terminal.count(report_of("Hello")) == 1);

  std::string lines;
  for (int i = 0; i < 2000; ++i) lines += "a line of a long log\r";
  terminal.type(paste(lines) + "\r");
  REQUIRE(terminal.wait_for("the context holds", 1));
  CHECK(terminal.count("[prompt ") == 1);
  // A paste does not answer a question either.
  terminal.type(paste("y") + "\r");
  REQUIRE(terminal.wait_for("the message was taken back"));
  terminal.type("/stats\r");
  CHECK(terminal.wait_for("KV live"));
}

TEST_CASE("a signal that ends the chat leaves the terminal as it was") {
  for (const int signal_number : {SIGTERM, SIGHUP}) {
    TerminalProgram terminal(chat_args());
    REQUIRE(terminal.wait_for_first_prompt());
    terminal.send_signal(signal_number);
    CHECK(terminal.wait_for("\x1b[?2004l"));
    CHECK(terminal.wait_for_end().signal_number == signal_number);
    CHECK(terminal.is_line_mode());
  }
}

}  // namespace terminal_chat_test
