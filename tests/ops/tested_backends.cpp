// The list of backends to test, and their instances. See tested_backends.h.
#define CATCH_CONFIG_EXTERNAL_INTERFACES
#include "tests/ops/tested_backends.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <map>
#include <memory>
#include <set>
#include <sstream>

#include "engine/backend/registry.h"
#include "engine/base/error.h"

namespace headroom::test {
namespace {

std::map<std::string, std::unique_ptr<Backend>>& instances() {
  static std::map<std::string, std::unique_ptr<Backend>> all;
  return all;
}

/// names: separated by commas. Returns those that this machine has; HEADROOM_TEST_BACKENDS overrides the names.
std::vector<TestedBackend> backends_of(const char* names) {
  static std::set<std::string> missing;
  const char* variable = std::getenv("HEADROOM_TEST_BACKENDS");
  std::istringstream text(variable != nullptr ? variable : names);
  std::vector<TestedBackend> found;
  for (std::string name; std::getline(text, name, ',');) {
    if (missing.contains(name)) continue;
    try {
      found.push_back({name, &shared_backend(name)});
    } catch (const Error& error) {
      if (!name.starts_with("vulkan") || error.kind() != ErrorKind::unsupported) throw;
      WARN("operations are not tested on " << name << ": " << error.what());
      missing.insert(name);
    }
  }
  return found;
}

/// Backends are made for a run and destroyed before the process ends: a driver's threads outlive no static object.
struct InstanceKeeper : Catch::TestEventListenerBase {
  using TestEventListenerBase::TestEventListenerBase;

  // Without worker threads, the software driver's tiny dispatches cost a thirtieth.
  void testRunStarting(const Catch::TestRunInfo&) override { setenv("LP_NUM_THREADS", "0", 0); }
  // A failed case may leave work half done, such as a step that was begun, which would make others fail.
  void testCaseEnded(const Catch::TestCaseStats& stats) override {
    if (!stats.totals.assertions.allPassed()) instances().clear();
  }
  void testRunEnded(const Catch::TestRunStats&) override { instances().clear(); }
};
CATCH_REGISTER_LISTENER(InstanceKeeper)

}  // namespace

Backend& shared_backend(const std::string& name) {
  std::unique_ptr<Backend>& backend = instances()[name];
  if (backend == nullptr) backend = make_backend({.name = name, .n_threads = 2});
  return *backend;
}

std::vector<TestedBackend> tested_backends() {
  return backends_of("cpu,vulkan-lane,vulkan-subgroup");
}

std::vector<TestedBackend> product_backends() {
  return backends_of("cpu,vulkan-lane,vulkan-subgroup,vulkan-dot");
}

std::vector<TestedBackend> all_backends() {
  std::vector<TestedBackend> all = tested_backends();
  if (std::getenv("HEADROOM_TEST_BACKENDS") == nullptr)
    for (const TestedBackend& backend : backends_of("vulkan-own-memory")) all.push_back(backend);
  all.push_back({"cpu-reference", &shared_backend("cpu-reference")});
  return all;
}

}  // namespace headroom::test
