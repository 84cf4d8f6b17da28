// Finds real models for tests. See model_paths.h.
#include "tests/support/model_paths.h"

#include <cstdlib>
#include <filesystem>

#include "engine/base/platform/platform.h"

namespace headroom::test {

std::optional<std::string> find_model(const std::string& file_name) {
  const char* folder = std::getenv("HEADROOM_MODELS");
  const std::filesystem::path path =
      std::filesystem::path(folder != nullptr ? folder : cache_folder() + "/models") / file_name;
  if (!std::filesystem::exists(path)) return std::nullopt;
  return path.string();
}

}  // namespace headroom::test
