// Fails if the other tests left a part of the window unused. Must run last; test cases run in the order of their files.
#include <algorithm>
#include <catch2/catch.hpp>
#include <iostream>

#include "tests/ui_flow/coverage.h"

using namespace headroom;
using namespace headroom::test;

TEST_CASE("every button, field, menu entry and key was used by a test", "[coverage]") {
  if (Catch::getCurrentContext().getConfig()->hasTestFilters()) {
    WARN("skipped: only some of the tests ran, so what they left out says nothing");
    return;
  }
  const std::vector<std::string> report = Coverage::of_all_tests().report(),
                                 never = Coverage::of_all_tests().never_used();
  for (const std::string& line : report) std::cout << line << "\n";
  std::cout << report.size() - never.size() << " of " << report.size() << " used\n";
  CHECK(report.size() > 150);  // fewer: nothing was watched
  CHECK(never == std::vector<std::string>());
}
