// Reads keys of a GGUF file under its architecture's name ("llama.block_count") and checks their limits.
// read_model_config uses it. It knows which values are valid, not what they mean.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/model/gguf.h"

namespace headroom {

class ModelKeys {
 public:
  ModelKeys(const GgufFile& file, std::string architecture_name)
      : file_(file), prefix_(std::move(architecture_name) + ".") {}

  const GgufFile& file() const { return file_; }
  const std::string& path() const { return file_.path(); }
  std::string key(std::string_view suffix) const { return prefix_ + std::string(suffix); }
  std::string field(std::string_view suffix) const;
  bool has(std::string_view suffix) const { return file_.find(key(suffix)) != nullptr; }

  /// An integer from `least` to `most`. Throws Error if it is missing or out of range.
  int32_t required(std::string_view suffix, int64_t least, int64_t most) const;
  int32_t optional(std::string_view suffix, int64_t least, int64_t most, int64_t otherwise) const;
  /// Like required (or optional, if `otherwise` is set), but the file may have an array with one number per layer.
  /// Throws Error unless all are equal.
  int32_t uniform(std::string_view suffix, int64_t least, int64_t most, std::optional<int64_t> otherwise,
                  int32_t n_layers) const;
  /// A finite number above 0; nothing if the key is missing or 0, which means "default" in GGUF.
  std::optional<float> positive(std::string_view suffix) const;

  /// Throws Error for every key under the architecture's name that could change the mathematics and is not supported.
  /// Known keys are accepted if they have the value that changes nothing; unknown keys are always refused.
  void refuse_what_is_not_honoured() const;

 private:
  int32_t checked(std::string_view suffix, int64_t value, int64_t least, int64_t most) const;

  const GgufFile& file_;
  std::string prefix_;
};

}  // namespace headroom
