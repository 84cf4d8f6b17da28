// Finds real models for tests in HEADROOM_MODELS or the user's cache folder. A test without its model prints a warning.
#pragma once

#include <optional>
#include <string>

namespace headroom::test {

inline constexpr const char* smollm2_file = "SmolLM2-135M-Instruct.Q4_1.gguf";
inline constexpr const char* qwen2_file = "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf";
inline constexpr const char* gemma3_file = "gemma-3-270m-q4_k_m.gguf";

/// Path of the model file; empty if it does not exist.
std::optional<std::string> find_model(const std::string& file_name);

}  // namespace headroom::test
