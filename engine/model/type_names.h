// ggml's and llama.cpp's numbers ─► the names that people know from file names. For whatever tells a user of a file's
// types, those that nothing here computes with too.
#pragma once

#include <cstdint>
#include <string>

namespace headroom {

/// Of a tensor: "Q4_K", "IQ3_XXS"; "number 77" for one without a known name.
std::string tensor_type_name(uint32_t ggml_type);

/// What a refusal of a matrix expects: the types that are read, and what a user can look for.
std::string expected_matrix_types();

/// Of a whole file, as general.file_type numbers it: "Q4_K_M"; empty for one without a known name.
std::string file_type_name(uint64_t file_type);

}  // namespace headroom
