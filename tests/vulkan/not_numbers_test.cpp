// Logits that are not numbers on a device: the model's fault if the CPU gets the same, the backend's if the CPU
// computes numbers.
#include <limits>

#include "engine/run/restartable_backend.h"
#include "tests/run/tiny_session.h"
#include "tests/vulkan/rig.h"

namespace headroom::vulkan::test::not_numbers_test {
namespace {

using headroom::test::Bytes;
using headroom::test::GgufWriter;
using headroom::test::make_tiny_model;
using headroom::test::random_ids;
using headroom::test::tiny;

SessionOptions paper() {
  return {.cache = *find_cache_config("paper"), .n_ctx = 256};
}

std::vector<TokenId> turn(Session& session) {
  TurnObserver nobody;
  TurnOptions options;
  options.max_tokens = 3;
  options.sampler.temperature = 0;
  options.ignore_end_of_turn = true;
  return session.run_ids(random_ids(30, 200, 1), options, nobody).ids;
}

std::optional<Error> failure(Session& session) {
  try {
    turn(session);
  } catch (const Error& error) {
    return error;
  }
  return std::nullopt;
}

/// The bytes of a tensor in a file.
std::span<std::byte> data_of(Bytes& bytes, const std::string& name) {
  const GgufFile file = GgufFile::from_bytes(bytes, "tiny.gguf");
  const auto data = file.find_tensor(name)->bytes;
  return {bytes.data() + (data.data() - bytes.data()), data.size()};
}

void fill(std::span<std::byte> floats, float value) {
  for (size_t at = 0; at < floats.size(); at += sizeof(value)) std::memcpy(&floats[at], &value, sizeof(value));
}

}  // namespace

TEST_CASE("a model whose weights are not numbers costs no backend") {
  if (!has_device()) return;
  Bytes bytes = make_tiny_model(Architecture::llama).bytes();
  fill(data_of(bytes, "output_norm.weight"), std::numeric_limits<float>::quiet_NaN());
  const Model model(load_model_file(GgufFile::from_bytes(bytes, "tiny.gguf")));
  RestartableBackend backend({.name = "vulkan"});
  std::optional<Session> session(std::in_place, model, backend.get(), paper());
  for (int i = 0; i < 3; ++i) {
    const std::optional<Error> error = failure(*session);
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::bad_input);  // no recovery is attempted
    CHECK_THAT(error->what(), Catch::Contains("tensor 'output_norm.weight': 64 of 64 values are not numbers"));
  }
  session.reset();
  const Model healthy = tiny(Architecture::llama);
  Session other(healthy, backend.get(), paper());
  CHECK(turn(other).size() == 3);
  CHECK(make_backend({.name = "vulkan"})->info().name == "vulkan");
}

TEST_CASE("a backend that computes no numbers where the CPU does is given up") {
  if (!has_device()) return;
  Bytes bytes = make_tiny_model(Architecture::llama).bytes();
  const Model model(load_model_file(GgufFile::from_bytes(bytes, "tiny.gguf")));
  const std::span<std::byte> norm = data_of(bytes, "output_norm.weight");
  const std::vector<std::byte> whole(norm.begin(), norm.end());
  // The device has its own copy of the weights, so later changes of the file reach only the CPU.
  const auto break_device = [&](Session& session, Backend& device) {
    fill(norm, std::numeric_limits<float>::quiet_NaN());
    session.change_backend(device);
    std::copy(whole.begin(), whole.end(), norm.begin());
  };
  RestartableBackend backend({.name = "vulkan"});
  Session session(model, backend.get(), paper());
  const std::vector<TokenId> right = turn(session);
  for (const char* next : {"it goes on with vulkan", "it goes on with cpu"}) {
    break_device(session, backend.get());
    const std::optional<Error> error = failure(session);
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::device);
    CHECK_THAT(backend.recover(session, *error), Catch::Contains("numbers on the CPU") && Catch::Contains(next));
    CHECK(turn(session) == right);
  }
  CHECK_THROWS_WITH(make_backend({.name = "vulkan"}), Catch::Contains("not numbers"));
  give_up_backend("vulkan", "");
}

}  // namespace headroom::vulkan::test::not_numbers_test
