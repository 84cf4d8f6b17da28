// Rows of every tensor format to f32: against blocks that another program expanded, and by hand for corner cases
// that random blocks do not reach.
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/backend/cpu/dequantize.h"

namespace headroom::dequant_test {
namespace {

TensorType type_of_name(const std::string& name) {
  for (const TypeTraits& traits : tensor_types()) {
    if (traits.name == name) return traits.type;
  }
  FAIL("unknown type " << name);
  return TensorType::f32;
}

std::vector<std::byte> bytes_of_hex(const std::string& hex) {
  std::vector<std::byte> bytes;
  for (size_t i = 0; i < hex.size(); i += 2) bytes.push_back(std::byte(std::stoi(hex.substr(i, 2), nullptr, 16)));
  return bytes;
}

std::vector<float> dequantize(TensorType type, const std::vector<uint8_t>& bytes, int64_t n_cols) {
  REQUIRE(bytes.size() == row_bytes(type, n_cols));
  std::vector<float> out(static_cast<size_t>(n_cols));
  dequantize_row(type, reinterpret_cast<const std::byte*>(bytes.data()), n_cols, out.data());
  return out;
}

TEST_CASE("random blocks of every format expand to the values of the gguf package") {
  std::ifstream file(std::string(HEADROOM_TEST_DATA) + "/dequant.json");
  REQUIRE(file.good());
  const nlohmann::json fixture = nlohmann::json::parse(file);
  REQUIRE(fixture["cases"].size() == tensor_types().size());
  for (const auto& one : fixture["cases"]) {
    const TensorType type = type_of_name(one["type"]);
    const std::vector<std::byte> bytes = bytes_of_hex(one["bytes"]);
    const std::vector<double> expected = one["values"];
    const int64_t n_cols = static_cast<int64_t>(expected.size());
    REQUIRE(bytes.size() == row_bytes(type, n_cols));
    std::vector<float> out(expected.size() + 1, 777.0f);
    dequantize_row(type, bytes.data(), n_cols, out.data());
    // With minima, a value may be the difference of two larger numbers: compare relative to the block's largest.
    double largest = 0;
    for (double value : expected) largest = std::max(largest, std::abs(value));
    for (size_t i = 0; i < expected.size(); ++i) {
      INFO(type_traits(type).name << " value " << i);
      CHECK(std::abs(out[i] - expected[i]) <= 1e-7 * largest + 1e-6 * std::abs(expected[i]));
    }
    CHECK(out.back() == 777.0f);
  }
}

TEST_CASE("Q4_0 and Q8_0 by hand") {
  std::vector<uint8_t> q4(18, 0x88);  // all values in the middle
  q4[0] = 0x00, q4[1] = 0x40;         // d = 2
  q4[2] = 0xf0;                       // value 0: 0 - 8, value 16: 15 - 8
  const std::vector<float> values = dequantize(TensorType::q4_0, q4, 32);
  CHECK(values[0] == -16.0f);
  CHECK(values[16] == 14.0f);
  CHECK(values[1] == 0.0f);
  CHECK(values[31] == 0.0f);

  std::vector<uint8_t> q8(34, 0);
  q8[0] = 0x00, q8[1] = 0x38;  // d = 0.5
  q8[2] = 0x80, q8[33] = 0x7f;
  const std::vector<float> bytes = dequantize(TensorType::q8_0, q8, 32);
  CHECK(bytes[0] == -64.0f);
  CHECK(bytes[31] == 63.5f);
  CHECK(bytes[1] == 0.0f);
}

TEST_CASE("f16 values: zeros, subnormals, the largest, infinities and not-a-number") {
  const std::vector<uint8_t> halves = {0x00, 0x00, 0x00, 0x80, 0x01, 0x00, 0xff, 0x83, 0x00, 0x04,
                                       0xff, 0x7b, 0x00, 0x7c, 0x00, 0xfc, 0x01, 0x7e, 0x00, 0xbc};
  const std::vector<float> values = dequantize(TensorType::f16, halves, 10);
  CHECK(values[0] == 0.0f);
  CHECK(std::signbit(values[1]));
  CHECK(values[1] == 0.0f);
  CHECK(values[2] == std::ldexp(1.0f, -24));
  CHECK(values[3] == -1023.0f * std::ldexp(1.0f, -24));
  CHECK(values[4] == std::ldexp(1.0f, -14));
  CHECK(values[5] == 65504.0f);
  CHECK(values[6] == std::numeric_limits<float>::infinity());
  CHECK(values[7] == -std::numeric_limits<float>::infinity());
  CHECK(std::isnan(values[8]));
  CHECK(values[9] == -1.0f);
}

TEST_CASE("a row may start at any byte and is read to its last byte only") {
  for (const TypeTraits& traits : tensor_types()) {
    const TensorType type = traits.type;
    const int64_t n_cols = 2 * traits.block_values;
    const size_t size = row_bytes(type, n_cols);
    std::vector<std::byte> aligned(size, std::byte{0x11}), shifted(size + 1, std::byte{0x11});
    std::vector<float> a(static_cast<size_t>(n_cols)), b(static_cast<size_t>(n_cols));
    dequantize_row(type, aligned.data(), n_cols, a.data());
    dequantize_row(type, shifted.data() + 1, n_cols, b.data());
    CHECK(a == b);
  }
}

}  // namespace
}  // namespace headroom::dequant_test
