// Every call to the driver may fail. The result must be an Error with a message and no leaked object, and a backend
// that only lacked memory must continue to work.
#include "tests/vulkan/faults.h"

#include <cmath>

#include "engine/backend/vulkan/vulkan_backend.h"
#include "tests/vulkan/rig.h"

namespace headroom::vulkan::test::faults_test {
namespace {

/// Allocations, an upload, products, work between them, a slab, a download: all values are whole numbers.
std::vector<float> use(Backend& backend) {
  constexpr int32_t n_in = 40, n_out = 33, n_rows = 6;
  std::vector<float> weights(n_in * n_out), input(n_in * n_rows), output(n_out * n_rows);
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<float>(i % 7) - 3;
  for (size_t i = 0; i < input.size(); ++i) input[i] = static_cast<float>(i % 11) - 5;
  const auto weight = backend.load_weight({.name = "weight",
                                           .type = TensorType::f32,
                                           .n_cols = n_in,
                                           .n_rows = n_out,
                                           .data = std::as_bytes(std::span(weights))});
  const auto x = backend.allocate(input.size() * 4), y = backend.allocate(output.size() * 4);
  backend.upload(*x, 0, std::as_bytes(std::span(input)));
  const Matrix x_matrix{x.get(), 0, n_rows, n_in, n_in}, y_matrix{y.get(), 0, n_rows, n_out, n_out};
  backend.fill_zero(y_matrix);
  {
    // Freed while it may still be in use.
    const auto copy = backend.allocate(input.size() * 4);
    backend.upload(*copy, 0, std::as_bytes(std::span(input)));
    backend.add(x_matrix, {copy.get(), 0, n_rows, n_in, n_in});
  }
  const MatmulTerm term{.weight = weight.get(), .y = y_matrix, .accumulate = true};
  backend.matmul(x_matrix, {&term, 1});
  backend.set_page_layout({64});
  backend.add_slab(0);
  backend.remove_slab(0);
  backend.matmul(x_matrix, {&term, 1});
  backend.download(*y, 0, std::as_writable_bytes(std::span(output)));
  return output;
}

std::vector<float> expected() {
  std::vector<float> output;
  for (size_t r = 0; r < 6; ++r)
    for (size_t o = 0; o < 33; ++o) {
      float sum = 0;
      for (size_t i = 0; i < 40; ++i)
        sum += 4 * (static_cast<float>((o * 40 + i) % 7) - 3) * (static_cast<float>((r * 40 + i) % 11) - 5);
      output.push_back(sum);
    }
  return output;
}

/// Runs one step of one layer with a cache gathered from 20 rows. Returns the attention output and the scores.
std::vector<float> step(Backend& backend) {
  constexpr int32_t head_dim = 64, n_rows = 20, n_kv_heads = 2, row_values = n_kv_heads * head_dim;
  std::vector<float> values(n_rows * row_values), out(2 * row_values);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 13) / 8 - 0.75f;
  const auto x = backend.allocate(values.size() * 4), y = backend.allocate(out.size() * 4);
  const auto scratch = backend.allocate(values.size() * 4);
  backend.upload(*x, 0, std::as_bytes(std::span(values)));
  const KvScratch kv{scratch.get(), n_rows, row_values};
  const Matrix rows{x.get(), 0, n_rows, row_values, row_values};
  backend.store_kv(rows, rows, kv, 0);

  /// Like a session, it always removes the slabs.
  struct Slab {
    explicit Slab(Backend& of) : backend(of) {
      backend.set_page_layout({head_dim});
      backend.add_slab(0);
    }
    ~Slab() { backend.remove_slab(0); }
    Backend& backend;
  };
  const Slab slab(backend);
  const std::vector<PageId> pages[] = {{4, 9}, {3, 7}};
  std::vector<SlotSource> sources;
  for (int32_t i = 0; i < n_rows; ++i)
    sources.push_back({.kind = SlotSource::Kind::scratch, .index = i, .tag = make_tag(i, TokenClass::plain)});
  std::vector<HeadView> heads;
  for (const int32_t h : {0, 1}) {
    backend.gather_slots({.kv_head = h, .from = {}, .kv = kv, .log_rows = {}, .slots = sources, .pages = pages[h]});
    heads.push_back({pages[h], n_rows});
  }
  const std::vector<KeepRule> rules(2, KeepRule{.policy = {Policy::local}, .local_from = 5});
  const Matrix q{x.get(), 0, 1, 2 * row_values, 2 * row_values},
      attended{y.get(), 0, 1, 2 * row_values, 2 * row_values};
  const auto program = backend.make_step(
      [&] {
        backend.attend_decode(0, q, rows.rows(1, 1), rows.rows(2, 1), 0.125f, attended);
        backend.evict(0);
      },
      {});
  backend.prepare_step(*program,
                       {.position = n_rows, .n_kv_heads = n_kv_heads, .heads = heads, .rules = rules, .log_before = 3});
  const StepReport report = backend.run_step({});
  backend.download(*y, 0, std::as_writable_bytes(std::span(out)));
  for (const Eviction& eviction : report.evictions) out.push_back(static_cast<float>(eviction.position));
  for (const uint16_t unit : report.rows) out.push_back(static_cast<float>(unit));
  std::vector<float> scores(10);
  backend.read_scores({pages[1], 10}, scores);
  out.insert(out.end(), scores.begin(), scores.end());
  return out;
}

using Script = std::vector<float> (*)(Backend& backend);

void check_nothing_lives() {
  for (const auto& [kind, n] : Faults::instance().living) {
    INFO(kind);
    CHECK(n == 0);
  }
}

/// Makes call number n fail. False: there were fewer calls.
bool fail_at(VulkanVariant variant, VkResult result, int n, Script script, const std::vector<float>& right) {
  Faults& faults = Faults::instance();
  const TableHook wrap = Faults::hook();
  const TableHook hook = [&](VolkDeviceTable& table) {
    wrap(table);
    faults.failing = n;
    faults.result = result;
  };
  const bool is_memory = result != VK_ERROR_DEVICE_LOST;
  std::unique_ptr<Backend> backend;
  std::string message;
  try {
    backend = make_vulkan_backend({.variant = variant, .hook = hook});
    const std::vector<float> found = script(*backend);
    CHECK(found == right);
  } catch (const Error& error) {
    message = error.what();
    CHECK(error.kind() == (is_memory ? ErrorKind::out_of_memory : ErrorKind::device));
  }
  if (faults.failed.empty()) {
    CHECK(message.empty());
    CHECK(n > 40);
    backend.reset();
    check_nothing_lives();
    return false;
  }
  CAPTURE(n, result_name(result), faults.failed, message);
  // Stage times are optional; every other failure is reported.
  if (faults.failed != "vkGetQueryPoolResults") CHECK_THAT(message, Catch::StartsWith("the Vulkan device "));
  if (backend != nullptr && is_memory) {
    try {
      const std::vector<float> found = script(*backend);
      CHECK(found == right);
    } catch (const Error& error) {
      FAIL_CHECK("the backend did not go on: " << error.what());
    }
  }
  backend.reset();
  check_nothing_lives();
  return true;
}

}  // namespace

TEST_CASE("every object is destroyed where nothing fails") {
  if (!has_device()) return;
  for (const VulkanVariant variant : {VulkanVariant::lane, VulkanVariant::subgroup}) {
    {
      const auto backend = make_vulkan_backend({.variant = variant, .hook = Faults::hook()});
      CHECK(use(*backend) == expected());
      CHECK(use(*backend) == expected());
      CHECK(Faults::instance().living["buffer"] > 0);
      CHECK(Faults::instance().living["pipeline"] > 0);
    }
    check_nothing_lives();
  }
}

TEST_CASE("any call may fail once for lack of the host's memory") {
  if (!has_device()) return;
  for (int n = 0; fail_at(VulkanVariant::lane, VK_ERROR_OUT_OF_HOST_MEMORY, n, use, expected()); ++n) {
  }
}

TEST_CASE("any call may fail once for lack of the device's memory") {
  if (!has_device()) return;
  for (int n = 0; fail_at(VulkanVariant::subgroup, VK_ERROR_OUT_OF_DEVICE_MEMORY, n, use, expected()); ++n) {
  }
}

TEST_CASE("any call may find the device lost") {
  if (!has_device()) return;
  for (int n = 0; fail_at(VulkanVariant::lane, VK_ERROR_DEVICE_LOST, n, use, expected()); ++n) {
  }
}

TEST_CASE("any call of a step may fail once") {
  if (!has_device()) return;
  for (const VkResult result : {VK_ERROR_OUT_OF_DEVICE_MEMORY, VK_ERROR_DEVICE_LOST}) {
    const std::vector<float> right = step(*make_vulkan_backend({.variant = VulkanVariant::subgroup}));
    CHECK(right.size() > 2 * 128 + 10 + 2 * 5);
    for (int n = 0; fail_at(VulkanVariant::subgroup, result, n, step, right); ++n) {
    }
  }
}

}  // namespace headroom::vulkan::test::faults_test
