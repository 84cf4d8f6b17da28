// A file's tensors ─► the tensors with values that are not numbers (NaN or an infinity). Checks all values of float
// types, and the block scales of quantised types. Works on the file's bytes without a backend; a check of the whole
// file takes as long as reading it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/model/gguf.h"

namespace headroom {

struct BadTensor {
  std::string name;
  bool are_scales = false;  // true: block scales were counted, false: values
  int64_t n_checked = 0;
  int64_t n_bad = 0;
  int64_t first_row = 0;
  int64_t first_column = 0;  // for a scale: the first column of its block
};

/// "tensor 'output_norm.weight': 64 of 64 values are not numbers, the first in row 0, column 0"
std::string sentence(const BadTensor& tensor);

/// Returns nothing if all are numbers, or if the tensor's type is not supported.
std::optional<BadTensor> find_not_numbers(const GgufFile::Tensor& tensor);

/// The first bad tensor of a file, searched from the smallest tensor to the largest.
std::optional<BadTensor> find_bad_tensor(const GgufFile& file);
/// All bad tensors, in the file's order.
std::vector<BadTensor> find_bad_tensors(const GgufFile& file);

}  // namespace headroom
