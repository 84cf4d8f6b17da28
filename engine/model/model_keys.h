// Keys of a GGUF file under its architecture's name ("llama.block_count"), read with their limits. Under
// read_model_config; it knows which numbers are sane, not what they mean.
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

  /// An integer from `least` to `most`; refused where it is missing or outside.
  int32_t required(std::string_view suffix, int64_t least, int64_t most) const;
  int32_t optional(std::string_view suffix, int64_t least, int64_t most, int64_t otherwise) const;
  /// The same where the file may hold one number a layer instead: refused unless all are equal.
  int32_t uniform(std::string_view suffix, int64_t least, int64_t most, std::optional<int64_t> otherwise,
                  int32_t n_layers) const;
  /// A finite number above 0; nothing where the key is missing or 0, which stands for "as usual" in GGUF.
  std::optional<float> positive(std::string_view suffix) const;

  /// Refuses every key under the architecture's name that could change the mathematics and is not honoured: known
  /// ones unless they hold the value that changes nothing, unknown ones always.
  void refuse_what_is_not_honoured() const;

 private:
  int32_t checked(std::string_view suffix, int64_t value, int64_t least, int64_t most) const;

  const GgufFile& file_;
  std::string prefix_;
};

}  // namespace headroom
