// Common start of the tests of sessions: the tiny model of every architecture, and random tokens.
#pragma once

#include <map>
#include <random>
#include <utility>
#include <vector>

#include "engine/run/model.h"
#include "tests/support/tiny_model.h"

namespace headroom::test {

inline const std::vector<Architecture> every_architecture = [] {
  std::vector<Architecture> all;
  for (const ArchitectureTraits& traits : headroom::architectures()) all.push_back(traits.architecture);
  return all;
}();

/// head_dim: 0 keeps the tiny model's own.
inline Model tiny(Architecture architecture, int32_t head_dim = 0) {
  static std::map<std::pair<Architecture, int32_t>, std::vector<std::byte>> files;  // models point into them
  std::vector<std::byte>& bytes = files[{architecture, head_dim}];
  TinyModelOptions options = tiny_model_options(architecture);
  if (head_dim > 0) options.head_dim = head_dim;
  if (bytes.empty()) bytes = make_tiny_model(options).bytes();
  return Model(load_model_file(GgufFile::from_bytes(bytes, "tiny.gguf")));
}

inline std::vector<TokenId> random_ids(int32_t n, int32_t n_vocab, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<TokenId> ids;
  for (int32_t i = 0; i < n; ++i) ids.push_back(static_cast<TokenId>(random() % static_cast<uint64_t>(n_vocab)));
  return ids;
}

}  // namespace headroom::test
