// ggml's and llama.cpp's numbers ─► the names that people know from file names. Used in messages about a file's types,
// including unsupported types.
#pragma once

#include <cstdint>
#include <string>

namespace headroom {

/// The name of a tensor's type: "Q4_K", "IQ3_XXS"; "number 77" if it has no known name.
std::string tensor_type_name(uint32_t ggml_type);

/// The "expected" part of a message that refuses a matrix: the supported types, and which file a user can get instead.
std::string expected_matrix_types();

/// The name for a value of general.file_type: "Q4_K_M"; empty if it has no known name.
std::string file_type_name(uint64_t file_type);

}  // namespace headroom
