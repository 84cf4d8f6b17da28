// Weights that are not numbers are a fault of the model: the turn that uses them fails with a message that names the
// tensor, and the session continues. On other backends: tests/vulkan/not_numbers_test.cpp.
#include <catch2/catch.hpp>
#include <limits>

#include "engine/backend/registry.h"
#include "engine/base/error.h"
#include "engine/run/cache_lab.h"
#include "engine/run/calibrator.h"
#include "tests/run/tiny_session.h"

using namespace headroom;
using namespace headroom::test;
using Catch::Matchers::Contains;

namespace {

constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

/// A tiny model with values of some tensors replaced.
struct Model32 {
  GgufWriter writer = make_tiny_model(Architecture::llama);
  Bytes bytes;

  Model32& put(const std::string& name, size_t index, float value) {
    std::memcpy(writer.tensor(name).data.data() + sizeof(float) * index, &value, sizeof(value));
    return *this;
  }
  Model32& fill(const std::string& name, float value) {
    for (size_t i = 0; i < writer.tensor(name).data.size() / sizeof(float); ++i) put(name, i, value);
    return *this;
  }
  Model model() { return Model(load_model_file(GgufFile::from_bytes(bytes = writer.bytes(), "tiny.gguf"))); }
};

std::vector<TokenId> turn(CacheLab& session, const std::vector<TokenId>& ids) {
  TurnObserver nobody;
  TurnOptions options;
  options.max_tokens = 4;
  options.sampler.temperature = 0;
  options.ignore_end_of_turn = true;
  return session.run_ids(ids, options, nobody).ids;
}

/// The message of a turn that fails, which must not be a fault of the device.
std::string refusal(CacheLab& session, const std::vector<TokenId>& ids) {
  try {
    turn(session, ids);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::bad_input);
    return error.what();
  }
  return "";
}

SessionOptions paper() {
  return {.cache = *find_cache_config("paper"), .n_ctx = 256};
}

}  // namespace

TEST_CASE("a model whose norm is not a number is named with the tensor, turn after turn") {
  Model32 file;
  const Model model = file.fill("output_norm.weight", not_a_number).model();
  for (const char* name : {"cpu", "cpu-reference"}) {
    const auto backend = make_backend({.name = name, .n_threads = 1});
    {
      CacheLab session(model, *backend, paper());
      for (int i = 0; i < 2; ++i)
        CHECK_THAT(
            refusal(session, random_ids(30, 200, 1)),
            Contains("tiny.gguf: the model computes logits that are not numbers; tensor 'output_norm.weight': 64 "
                     "of 64 values are not numbers, the first in row 0, column 0; `headroom inspect --check`"));
    }
    const Model healthy = tiny(Architecture::llama);
    CacheLab other(healthy, *backend, paper());
    CHECK(turn(other, random_ids(30, 200, 1)).size() == 4);
  }
}

TEST_CASE("weights that are numbers and too large are told apart") {
  Model32 file;
  const Model model = file.fill("output_norm.weight", 3e38f).model();
  const auto backend = make_backend({.name = "cpu", .n_threads = 1});
  CacheLab session(model, *backend, paper());
  CHECK_THAT(refusal(session, random_ids(30, 200, 1)),
             Contains("each of its weights is a number, but they are too large"));
}

TEST_CASE("one bad row of the embedding ends the turns that use it, no other") {
  constexpr TokenId bad = 7;
  Model32 file;
  const Model model = file.put("token_embd.weight", bad * 64 + 3, not_a_number).model();
  const auto backend = make_backend({.name = "cpu", .n_threads = 1});
  std::vector<TokenId> good(20, 11), with_bad = good, longer = good;
  with_bad.push_back(bad);
  longer.insert(longer.end(), 10, 12);
  const auto fresh = [&](const std::vector<TokenId>& ids) {
    const auto other = make_backend({.name = "cpu", .n_threads = 1});
    CacheLab session(model, *other, paper());
    return turn(session, ids);
  };
  CacheLab session(model, *backend, paper());
  CHECK(turn(session, good) == fresh(good));
  CHECK_THAT(refusal(session, with_bad), Contains("tensor 'token_embd.weight': 1 of") && Contains("row 7, column 3"));
  CHECK(turn(session, longer) == fresh(longer));
  // The fault appears in a single token: its step is not in the cache, and the next turn is complete.
  session.clear();
  TurnObserver nobody;
  session.prefill(good, nobody);
  CHECK_THROWS_WITH(session.feed(bad), Contains("token_embd.weight"));
  CHECK(turn(session, longer) == fresh(longer));
}

TEST_CASE("whatever computes with such a model ends with the sentence") {
  Model32 file;
  const Model model = file.put("blk.1.attn_norm.weight", 5, std::numeric_limits<float>::infinity()).model();
  const auto backend = make_backend({.name = "cpu", .n_threads = 1});
  CacheLab session(model, *backend, paper());
  TurnObserver nobody;
  const std::vector<TokenId> ids = random_ids(30, 200, 1);
  CHECK_THROWS_WITH(session.prefill(ids, nobody), Contains("blk.1.attn_norm.weight"));
  CHECK_THROWS_WITH(session.prefill_for_all(ids, CacheType::f16, nobody), Contains("blk.1.attn_norm.weight"));
}
