// What `inspect` prints about a file's types and weights.
#include <limits>
#include <nlohmann/json.hpp>

#include "tests/app/program.h"
#include "tests/support/tiny_model.h"

using namespace headroom;
using namespace headroom::test;
using Catch::Matchers::Contains;

namespace {

struct File {
  GgufWriter writer = make_tiny_model(Architecture::llama);
  std::string path = temporary_path("inspect.gguf");
  ~File() { std::remove(path.c_str()); }
  Outcome inspect(std::vector<std::string> more) {
    writer.write(path);
    more.insert(more.begin(), {"inspect", path});
    return run_program(more);
  }
};

}  // namespace

TEST_CASE("inspect names the types of a file as file names do", "[inspect]") {
  File file;
  file.writer.set("general.file_type", uint32_t{12});
  file.writer.tensor("blk.1.ffn_down.weight").type = 11;
  const Outcome text = file.inspect({});
  CHECK_THAT(text.out, Contains("general.file_type = 12 (Q3_K_M)") && Contains("found type Q3_K, expected") &&
                           Contains("a Q4_K_M or Q8_0 of the same model runs"));
  CHECK(run_program({"run", "-m", file.path, "-p", "a"}).err.find("found type Q3_K") != std::string::npos);
}

TEST_CASE("inspect --check finds weights that are not numbers, and only then reads them", "[inspect]") {
  File file;
  CHECK_THAT(file.inspect({"--check"}).out,
             Contains("0 of 21 tensors hold something that is not a number") && Contains("would it run here: yes"));
  const float infinity = std::numeric_limits<float>::infinity();
  std::memcpy(file.writer.tensor("blk.0.ffn_up.weight").data.data() + 4 * (64 * 2 + 1), &infinity, 4);
  CHECK_THAT(file.inspect({}).out, Contains("would it run here: yes"));
  CHECK_THAT(
      file.inspect({"--check"}).out,
      Contains("  tensor 'blk.0.ffn_up.weight': 1 of 6144 values are not numbers, the first in row 2, column 1") &&
          Contains("would it run here: no: weights are not numbers"));
  const auto report = file.inspect({"--check", "--json"}).json();
  CHECK(report["runs"] == false);
  REQUIRE(report["bad_tensors"].size() == 1);
  CHECK(report["bad_tensors"][0]["tensor"] == "blk.0.ffn_up.weight");
  CHECK(report["bad_tensors"][0]["not_numbers"] == 1);
  CHECK(report["unchecked_tensors"] == 0);
  CHECK_FALSE(file.inspect({"--json"}).json().contains("bad_tensors"));
}
