// The main function of every test program. A test case that fails also prints the command that repeats it.
#define CATCH_CONFIG_MAIN
#include <errno.h>

#include <catch2/catch.hpp>
#include <iostream>

namespace {

/// A name as Catch2 and the shell take it: Catch2 reads commas and brackets of a pattern, the shell quotes.
std::string as_pattern(const std::string& name) {
  std::string pattern;
  for (const char c : name) {
    if (c == ',' || c == '[' || c == '\\') pattern += '\\';
    if (c == '\'')
      pattern += "'\\''";
    else
      pattern += c;
  }
  return "'" + pattern + "'";
}

struct RepeatPrinter : Catch::TestEventListenerBase {
  using TestEventListenerBase::TestEventListenerBase;

  void testCaseEnded(const Catch::TestCaseStats& stats) override {
    if (stats.totals.assertions.allPassed()) return;
    std::cerr << "repeat: " << program_invocation_name << ' ' << as_pattern(stats.testInfo.name) << std::endl;
  }
};
CATCH_REGISTER_LISTENER(RepeatPrinter)

}  // namespace
