// Tensors with values that are not numbers are found by their bits, whatever their type.
#include "engine/model/weight_check.h"

#include <catch2/catch.hpp>
#include <limits>

#include "tests/support/gguf_writer.h"
#include "tests/support/tiny_model.h"

using namespace headroom;
using namespace headroom::test;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity(),
                not_a_number = std::numeric_limits<float>::quiet_NaN();

/// The check's result for a tensor of two rows of one block (64 values for the float types) with some bytes replaced.
struct Checked {
  explicit Checked(TensorType type) : traits(type_traits(type)) {
    n_columns = traits.block_values == 1 ? 64 : traits.block_values;
    bytes.resize(2 * row_bytes(type, n_columns));
    tensor.ggml_type = static_cast<uint32_t>(type);
    tensor.name = "t";
    tensor.dims = {n_columns, 2};
  }
  template <typename T>
  Checked& put(size_t at, T value) {
    std::memcpy(bytes.data() + at, &value, sizeof(value));
    return *this;
  }
  std::string found() {
    tensor.bytes = bytes;
    const auto bad = find_not_numbers(tensor);
    return bad ? sentence(*bad) : "";
  }
  TypeTraits traits;
  int64_t n_columns;
  std::vector<std::byte> bytes;
  GgufFile::Tensor tensor;
};

}  // namespace

TEST_CASE("values of the float types that are not numbers are counted, the first is placed") {
  CHECK(Checked(TensorType::f32).put(0, 3.4e38f).put(4, -0.0f).put(8, 1e-45f).found().empty());
  CHECK(Checked(TensorType::f32).put(4 * 67, not_a_number).found() ==
        "tensor 't': 1 of 128 values are not numbers, the first in row 1, column 3");
  CHECK(Checked(TensorType::f32).put(4 * 5, -infinity).put(4 * 9, infinity).found() ==
        "tensor 't': 2 of 128 values are not numbers, the first in row 0, column 5");
  CHECK(Checked(TensorType::f16).put(2, uint16_t{0x7bff}).found().empty());  // 65504
  CHECK(Checked(TensorType::f16).put(2, uint16_t{0xfc00}).found() ==
        "tensor 't': 1 of 128 values are not numbers, the first in row 0, column 1");
  CHECK(Checked(TensorType::bf16).put(2, uint16_t{0x7c00}).found().empty());  // a large number
  CHECK(Checked(TensorType::bf16).put(254, uint16_t{0x7fc0}).found() ==
        "tensor 't': 1 of 128 values are not numbers, the first in row 1, column 63");
}

TEST_CASE("so are the scales of blocks, and nothing else of a block") {
  struct Row {
    TensorType type;
    std::vector<size_t> scales;  // byte offsets of f16 scales in a block
  };
  for (const Row& row : {Row{TensorType::q4_0, {0}}, Row{TensorType::q4_1, {0, 2}}, Row{TensorType::q5_0, {0}},
                         Row{TensorType::q5_1, {0, 2}}, Row{TensorType::q8_0, {0}}, Row{TensorType::q4_k, {0, 2}},
                         Row{TensorType::q5_k, {0, 2}}, Row{TensorType::q6_k, {208}}}) {
    const auto block = static_cast<size_t>(type_traits(row.type).block_bytes);
    INFO(type_traits(row.type).name);
    for (size_t at = 0; at + 2 <= block; at += 2) {
      const bool is_scale = std::find(row.scales.begin(), row.scales.end(), at) != row.scales.end();
      const std::string found = Checked(row.type).put(block + at, uint16_t{0x7e00}).found();
      CHECK(found == (is_scale ? "tensor 't': 1 of " + std::to_string(2 * row.scales.size()) +
                                     " block scales are not numbers, the first in row 1, column 0"
                               : ""));
    }
  }
}

TEST_CASE("the first bad tensor of a file is a norm if one is bad; all are listed in the file's order") {
  GgufWriter writer = make_tiny_model(Architecture::llama);
  const auto set = [&](const char* name, size_t index) {
    const float value = not_a_number;
    std::memcpy(writer.tensor(name).data.data() + 4 * index, &value, 4);
  };
  const auto open = [&](Bytes& bytes) { return GgufFile::from_bytes(bytes = writer.bytes(), "test.gguf"); };
  Bytes bytes;
  CHECK_FALSE(find_bad_tensor(open(bytes)));
  CHECK(find_bad_tensors(open(bytes)).empty());
  set("token_embd.weight", 130);
  CHECK(find_bad_tensor(open(bytes))->name == "token_embd.weight");
  CHECK(find_bad_tensor(open(bytes))->first_row == 2);
  set("blk.1.ffn_norm.weight", 7);
  const auto first = find_bad_tensor(open(bytes));
  REQUIRE(first);
  CHECK(first->name == "blk.1.ffn_norm.weight");
  CHECK(first->first_column == 7);
  CHECK(find_bad_tensors(open(bytes)).size() == 2);
}

TEST_CASE("a tensor of a type that is not read is not judged") {
  GgufFile::Tensor tensor;
  tensor.name = "t";
  tensor.ggml_type = 11;
  tensor.dims = {256};
  CHECK_FALSE(find_not_numbers(tensor));
}
