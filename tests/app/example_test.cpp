// The example program of the documents does what it says, on a tiny model.
#include <catch2/catch.hpp>

#include "tests/app/program.h"
#include "tests/app/real_program.h"

namespace headroom::test::example_test {

using Catch::Matchers::Contains;

TEST_CASE("the example generates and prints what each head kept") {
  const Ending ending = run_real_program({.program = HEADROOM_EXAMPLE, .args = {tiny_model_path(), "Hello", "4"}});
  INFO(ending.err);
  CHECK(ending.exit_code == 0);
  CHECK_THAT(ending.out, Contains(", 4 generated at "));
  CHECK_THAT(ending.out, Contains("layer 0, KV head 0: "));
  CHECK_THAT(ending.out, Contains("live "));
}

TEST_CASE("the example says in a sentence what is wrong with a file") {
  const Ending ending = run_real_program({.program = HEADROOM_EXAMPLE, .args = {"/dev/null", "Hello"}});
  CHECK(ending.exit_code == 1);
  CHECK_THAT(ending.err, Contains("example: /dev/null"));
}

}  // namespace headroom::test::example_test
