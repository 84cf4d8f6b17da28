// Finds vocabulary files and their expected ids in HEADROOM_VOCABS or the user's cache folder, which
// tests/fetch_vocabs.sh fills.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

#include "engine/base/platform/platform.h"
#include "engine/model/model_file.h"

namespace headroom::test {

/// The path of ggml-vocab-NAME.gguf; empty if the file does not exist.
inline std::optional<std::string> find_vocab(const std::string& name) {
  const char* folder = std::getenv("HEADROOM_VOCABS");
  const std::filesystem::path path =
      std::filesystem::path(folder != nullptr ? folder : cache_folder() + "/vocabs") / ("ggml-vocab-" + name + ".gguf");
  if (!std::filesystem::exists(path)) return std::nullopt;
  return path.string();
}

inline Vocab load_vocab(const std::string& path) {
  return read_vocab(GgufFile::open(path));
}

}  // namespace headroom::test
