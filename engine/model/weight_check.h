// A file's tensors ─► those that hold something which is not a number (NaN or an infinity): values of the float types,
// scales of the blocks of the others. Read from the file's own bits, without a backend; a whole file costs its reading.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/model/gguf.h"

namespace headroom {

struct BadTensor {
  std::string name;
  bool are_scales = false;  // of blocks; otherwise values
  int64_t n_checked = 0;
  int64_t n_bad = 0;
  int64_t first_row = 0;
  int64_t first_column = 0;  // of a scale: the first value of its block
};

/// "tensor 'output_norm.weight': 64 of 64 values are not numbers, the first in row 0, column 0"
std::string sentence(const BadTensor& tensor);

/// Nothing for a tensor of numbers, and for one of a type that is not read here.
std::optional<BadTensor> find_not_numbers(const GgufFile::Tensor& tensor);

/// The first such tensor of a file, norms and other small ones before the large ones.
std::optional<BadTensor> find_bad_tensor(const GgufFile& file);
/// All of them, in the file's order.
std::vector<BadTensor> find_bad_tensors(const GgufFile& file);

}  // namespace headroom
