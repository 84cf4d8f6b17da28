// matmul: products of the rows of x with weights of every type, with bias, added to existing values, and several at
// once.
#include <limits>

#include "engine/backend/cpu/dequantize.h"
#include "tests/ops/backend_fixture.h"
#include "tests/ops/random_weights.h"

namespace headroom::test::matmul_test {
namespace {

bool is_float(TensorType type) {
  return type_traits(type).block_values == 1;
}

/// A weight with its bytes and a bias, on any backend.
struct TestWeight {
  TestWeight(TensorType type, int32_t n_out, int32_t n_in, Random& random)
      : bytes(random_weights(type, n_out, n_in, random)),
        view{.name = "weight", .type = type, .n_cols = n_in, .n_rows = n_out, .data = bytes},
        bias(random_values(random, 1, n_out)) {}
  TestWeight(const Values& values, Values all_bias)
      : bytes(std::as_bytes(std::span(values.data)).begin(), std::as_bytes(std::span(values.data)).end()),
        view{
            .name = "weight", .type = TensorType::f32, .n_cols = values.n_cols, .n_rows = values.n_rows, .data = bytes},
        bias(std::move(all_bias)) {}
  TestWeight(const TestWeight&) = delete;

  std::vector<std::byte> bytes;
  TensorView view;
  Values bias;
};

/// Four products with one weight in one call: plain, with bias, added to existing values, both.
class FourProducts {
 public:
  FourProducts(Backend& backend, const TestWeight& weight)
      : backend_(backend), weight_(backend.load_weight(weight.view)), bias_(backend, weight.bias) {}

  std::vector<Values> run(const Values& x, const Values& y_before, Place place = {}) const {
    const DeviceMatrix input(backend_, x, place);
    std::vector<std::unique_ptr<DeviceMatrix>> outputs;
    std::vector<MatmulTerm> terms;
    for (const int i : {0, 1, 2, 3}) {
      outputs.push_back(std::make_unique<DeviceMatrix>(backend_, y_before, i == 2 ? aligned : Place{}));
      const DeviceWeight& bias = bias_;
      terms.push_back(
          {.weight = weight_.get(), .bias = i % 2 == 1 ? &bias : nullptr, .y = *outputs.back(), .accumulate = i >= 2});
    }
    backend_.matmul(input, terms);
    std::vector<Values> results;
    for (const auto& output : outputs) results.push_back(output->read());
    CHECK(input.read().data == x.data);
    return results;
  }

 private:
  Backend& backend_;
  std::unique_ptr<DeviceWeight> weight_;
  FloatWeight bias_;
};

Values first_rows(const Values& values, int32_t n_rows) {
  const int64_t n = int64_t{n_rows} * values.n_cols;
  return {n_rows, values.n_cols, {values.data.begin(), values.data.begin() + n}};
}

/// Some backends round x to 16 bits per block if the weight is quantised.
bool rounds_x(const std::string& name, TensorType type) {
  return (name == "cpu" || name == "vulkan-dot") && !is_float(type);
}

void check_product(const std::string& name, TensorType type, const Values& found, const Values& expected) {
  CHECK(nmse(found, expected) <= (is_float(type) ? max_float_nmse : max_coarse_nmse));
  // A single value may be what remains of a sum after cancellation.
  if (rounds_x(name, type))
    CHECK(relative_error(found, expected) < 1e-2);
  else if (found.data.size() > 1)
    CHECK(relative_error(found, expected) < 2e-5);
}

/// Sum of magnitudes per result: the scale of the error that another order of the sum may cause.
std::vector<Values> magnitudes(const TestWeight& weight, Values x, Values y_before) {
  const auto without_signs = [](Values& values) {
    for (float& value : values.data) value = std::abs(value);
  };
  const auto n_in = static_cast<int32_t>(weight.view.n_cols), n_out = static_cast<int32_t>(weight.view.n_rows);
  Values values = zeros(n_out, n_in), bias = weight.bias;
  for (int32_t row = 0; row < n_out; ++row)
    dequantize_row(weight.view.type, weight.bytes.data() + static_cast<size_t>(row) * row_bytes(weight.view.type, n_in),
                   n_in, values.data.data() + static_cast<size_t>(row) * static_cast<size_t>(n_in));
  for (Values* each : {&values, &bias, &x, &y_before}) without_signs(*each);
  return FourProducts(shared_backend("cpu-reference"), TestWeight(values, bias)).run(x, y_before);
}

/// Largest difference relative to the sum of magnitudes.
double error_of_sums(const Values& found, const Values& expected, const Values& sums) {
  double largest = 0;
  for (size_t i = 0; i < found.data.size(); ++i)
    largest = std::max(largest, std::abs(double{found.data[i]} - expected.data[i]) / (double{sums.data[i]} + 1e-30));
  return largest;
}

void check_against_reference(TensorType type, int32_t n_out, int32_t n_in, const std::vector<int32_t>& rows,
                             Random& random) {
  const TestWeight weight(type, n_out, n_in, random);
  const int32_t most_rows = *std::max_element(rows.begin(), rows.end());
  const Values x = random_values(random, most_rows, n_in), y_before = random_values(random, most_rows, n_out, 0.1f);
  const std::vector<Values> expected = FourProducts(shared_backend("cpu-reference"), weight).run(x, y_before);
  const std::vector<Values> sums = magnitudes(weight, x, y_before);
  for (const auto& [name, backend] : product_backends()) {
    const FourProducts products(*backend, weight);
    for (const int32_t n_rows : rows)
      for (const Place place : {Place{}, aligned}) {
        const std::vector<Values> found = products.run(first_rows(x, n_rows), first_rows(y_before, n_rows), place);
        for (size_t i = 0; i < found.size(); ++i) {
          CAPTURE(name, type_traits(type).name, n_out, n_in, n_rows, place.first, i);
          const Values wanted = first_rows(expected[i], n_rows);
          check_product(name, type, found[i], wanted);
          if (!rounds_x(name, type)) CHECK(error_of_sums(found[i], wanted, first_rows(sums[i], n_rows)) < 1e-6);
        }
      }
  }
}

}  // namespace

TEST_CASE("a product by hand: (1 2 3) with rows (1 0 -1), (0.5 0.5 0.5), plus 10") {
  for (const auto& [name, backend] : all_backends()) {
    INFO(name);
    const FloatWeight weight(*backend, {2, 3, {1, 0, -1, 0.5f, 0.5f, 0.5f}}), bias(*backend, {1, 2, {10, 10}});
    const DeviceWeight &weights = weight, &biases = bias;
    const DeviceMatrix x(*backend, {1, 3, {1, 2, 3}}), y(*backend, {1, 2, {100, 200}});
    const MatmulTerm term{.weight = &weights, .bias = &biases, .y = y, .accumulate = true};
    backend->matmul(x, {&term, 1});
    CHECK(y.read().data == std::vector<float>{108, 213});
  }
}

TEST_CASE("products agree with the reference for every type of weight and awkward sizes") {
  Random random(1);
  for (const TensorType type : all_tensor_types)
    for (const int32_t n_out : {1, 3, 31, 33, 257}) {
      const std::vector<int32_t> rows{1, 2, 3, 4, 5, 8, 9, 64, 65};
      const auto block = static_cast<int32_t>(type_traits(type).block_values);
      if (block == 256) check_against_reference(type, n_out, n_out == 33 ? 768 : 256, rows, random);
      if (block == 32) check_against_reference(type, n_out, n_out == 33 ? 32 : 160, rows, random);
      if (block == 1) check_against_reference(type, n_out, n_out == 33 ? 64 : n_out == 31 ? 1 : 45, rows, random);
    }
}

TEST_CASE("products with long rows and with many rows of x agree with the reference") {
  Random random(2);
  for (const TensorType type : {TensorType::f16, TensorType::q4_1, TensorType::q6_k}) {
    check_against_reference(type, 5, 2304, {1, 3, 17}, random);
    check_against_reference(type, 65, 256, {130, 200}, random);
  }
}

TEST_CASE("products with quantised weights are as exact as 16 bits of x are") {
  Random random(6);
  for (const TensorType type : all_tensor_types) {
    if (is_float(type)) continue;
    const TestWeight weight(type, 64, 256, random);
    for (const int32_t n_rows : {1, 64}) {
      const Values x = random_values(random, n_rows, 256), y_before = zeros(n_rows, 64);
      const Values expected = FourProducts(shared_backend("cpu-reference"), weight).run(x, y_before).front();
      for (const auto& [name, backend] : product_backends()) {
        CAPTURE(name, type_traits(type).name, n_rows);
        // 8 bits would leave an error of 1e-5.
        CHECK(nmse(FourProducts(*backend, weight).run(x, y_before).front(), expected) < 1e-8);
      }
    }
  }
}

TEST_CASE("rows of x that are zero, tiny, huge or no numbers leave the others alone") {
  constexpr int32_t n_in = 256, n_out = 40;
  Random random(7);
  for (const TensorType type : {TensorType::q4_1, TensorType::q8_0, TensorType::q6_k}) {
    const TestWeight weight(type, n_out, n_in, random);
    Values x = random_values(random, 12, n_in);
    const auto row = [&](int32_t r) { return std::span(x.data).subspan(static_cast<size_t>(r * n_in), n_in); };
    for (float& value : row(1)) value = 0;
    for (float& value : row(3)) value *= 1e-33f;
    for (float& value : row(4)) value *= 1e20f;
    row(6)[37] = std::numeric_limits<float>::quiet_NaN();
    row(7)[200] = std::numeric_limits<float>::infinity();
    const auto is_number = [](int32_t r) { return r != 6 && r != 7; };
    const auto run = [&](Backend& backend, const Values& rows) {
      const auto loaded = backend.load_weight(weight.view);
      const DeviceMatrix input(backend, rows), y(backend, zeros(rows.n_rows, n_out));
      const MatmulTerm term{.weight = loaded.get(), .y = y};
      backend.matmul(input, {&term, 1});
      return y.read();
    };
    const auto row_of = [](const Values& values, int32_t r) {
      const auto begin = values.data.begin() + r * values.n_cols;
      return Values{1, values.n_cols, {begin, begin + values.n_cols}};
    };
    const Values expected = run(shared_backend("cpu-reference"), x);
    for (const auto& [name, backend] : product_backends()) {
      const Values together = run(*backend, x);
      for (int32_t r = 0; r < x.n_rows; ++r) {
        for (const Values& found : {row_of(together, r), run(*backend, row_of(x, r))}) {
          CAPTURE(name, type_traits(type).name, r);
          if (is_number(r)) CHECK(relative_error(found, row_of(expected, r)) < 1e-2);
          if (!is_number(r))
            for (const float value : found.data) CHECK_FALSE(std::isfinite(value));
        }
      }
    }
  }
}

TEST_CASE("products of different types in one call do not touch each other") {
  Random random(3);
  for (const int32_t n_rows : {1, 4, 33}) {
    const Values x = random_values(random, n_rows, 256);
    std::vector<std::unique_ptr<TestWeight>> weights;
    int32_t n_out = 7;
    for (const TensorType type : all_tensor_types)
      weights.push_back(std::make_unique<TestWeight>(type, n_out += 9, 256, random));
    const auto run = [&](Backend& backend) {
      std::vector<std::unique_ptr<DeviceWeight>> loaded;
      std::vector<std::unique_ptr<DeviceMatrix>> outputs;
      std::vector<MatmulTerm> terms;
      for (const auto& weight : weights) {
        loaded.push_back(backend.load_weight(weight->view));
        outputs.push_back(
            std::make_unique<DeviceMatrix>(backend, zeros(n_rows, static_cast<int32_t>(weight->view.n_rows))));
        terms.push_back({.weight = loaded.back().get(), .y = *outputs.back()});
      }
      const DeviceMatrix input(backend, x);
      backend.matmul(input, terms);
      std::vector<Values> results;
      for (const auto& output : outputs) results.push_back(output->read());
      return results;
    };
    const std::vector<Values> expected = run(shared_backend("cpu-reference"));
    for (const auto& [name, backend] : product_backends()) {
      const std::vector<Values> found = run(*backend);
      for (size_t i = 0; i < found.size(); ++i) {
        CAPTURE(name, n_rows, type_traits(all_tensor_types[i]).name);
        check_product(name, all_tensor_types[i], found[i], expected[i]);
      }
    }
  }
}

TEST_CASE("a product follows what was done to x and y before it") {
  Random random(4);
  const TestWeight weight(TensorType::q8_0, 40, 64, random);
  const Values x = random_values(random, 3, 64), y = random_values(random, 3, 40);
  const auto run = [&](Backend& backend) {
    const auto loaded = backend.load_weight(weight.view);
    const DeviceMatrix x1(backend, x), x2(backend, x, aligned), sum(backend, y);
    for (int i = 0; i < 5; ++i) {
      backend.add(x1, x2);
      const MatmulTerm from_x1{.weight = loaded.get(), .y = sum, .accumulate = true};
      backend.matmul(x1, {&from_x1, 1});
      backend.matmul(x2, {&from_x1, 1});
      backend.add(sum, sum);
    }
    return sum.read();
  };
  const Values expected = run(shared_backend("cpu-reference"));
  for (const auto& [name, backend] : product_backends()) {
    INFO(name);
    check_product(name, TensorType::q8_0, run(*backend), expected);
  }
}

TEST_CASE("a weight with more rows than a device binds or starts at once is served in parts") {
  // The Vulkan backend needs 128 bytes for a row of one value, and drivers bind 128 MiB: this weight has two parts.
  // The number of groups is at most 65535.
  constexpr int32_t n_out = (1 << 20) + 77;
  Random random(5);
  const Values weights = random_values(random, n_out, 1);
  const auto weight_view = [&](const Values& values) {
    return TensorView{.name = "large",
                      .type = TensorType::f32,
                      .n_cols = 1,
                      .n_rows = n_out,
                      .data = std::as_bytes(std::span(values.data))};
  };
  for (const auto& [name, backend] : tested_backends()) {
    INFO(name);
    const auto weight = backend->load_weight(weight_view(weights));
    const DeviceMatrix x(*backend, {2, 1, {2, -3}}), y(*backend, zeros(2, n_out));
    const MatmulTerm term{.weight = weight.get(), .y = y};
    backend->matmul(x, {&term, 1});
    Values expected = zeros(2, n_out);
    for (int32_t o = 0; o < n_out; ++o) {
      expected.at(0, o) = 2 * weights.at(o, 0);
      expected.at(1, o) = -3 * weights.at(o, 0);
    }
    CHECK((y.read().data == expected.data));

    const std::vector<TokenId> ids{0, (1 << 20) - 1, 1 << 20, n_out - 1, 5};
    const DeviceMatrix rows(*backend, zeros(5, 1));
    backend->embed(*weight, ids, 2, rows);
    const Values found = rows.read();
    for (int32_t i = 0; i < 5; ++i) CHECK(found.at(i, 0) == 2 * weights.at(ids[static_cast<size_t>(i)], 0));
  }
}

}  // namespace headroom::test::matmul_test
