// Numbers of types ─► names. See type_names.h.
#include "engine/model/type_names.h"

#include <algorithm>
#include <iterator>
#include <string_view>

#include "engine/base/tensor.h"

namespace headroom {
namespace {

struct NumberedName {
  uint64_t number;
  std::string_view name;
};

// Unsupported types. ggml has removed 4, 5, 31 to 33 and 36 to 38, but old files have them.
constexpr NumberedName other_tensor_types[] = {
    {4, "Q4_2"},     {5, "Q4_3"},        {9, "Q8_1"},        {10, "Q2_K"},       {11, "Q3_K"},     {15, "Q8_K"},
    {16, "IQ2_XXS"}, {17, "IQ2_XS"},     {18, "IQ3_XXS"},    {19, "IQ1_S"},      {20, "IQ4_NL"},   {21, "IQ3_S"},
    {22, "IQ2_S"},   {23, "IQ4_XS"},     {24, "I8"},         {25, "I16"},        {26, "I32"},      {27, "I64"},
    {28, "F64"},     {29, "IQ1_M"},      {31, "Q4_0_4_4"},   {32, "Q4_0_4_8"},   {33, "Q4_0_8_8"}, {34, "TQ1_0"},
    {35, "TQ2_0"},   {36, "IQ4_NL_4_4"}, {37, "IQ4_NL_4_8"}, {38, "IQ4_NL_8_8"}, {39, "MXFP4"},    {40, "NVFP4"},
    {41, "Q1_0"}};

constexpr NumberedName file_types[] = {
    {0, "F32"},     {1, "F16"},      {2, "Q4_0"},    {3, "Q4_1"},      {4, "Q4_1, some F16"}, {5, "Q4_2"},
    {6, "Q4_3"},    {7, "Q8_0"},     {8, "Q5_0"},    {9, "Q5_1"},      {10, "Q2_K"},          {11, "Q3_K_S"},
    {12, "Q3_K_M"}, {13, "Q3_K_L"},  {14, "Q4_K_S"}, {15, "Q4_K_M"},   {16, "Q5_K_S"},        {17, "Q5_K_M"},
    {18, "Q6_K"},   {19, "IQ2_XXS"}, {20, "IQ2_XS"}, {21, "Q2_K_S"},   {22, "IQ3_XS"},        {23, "IQ3_XXS"},
    {24, "IQ1_S"},  {25, "IQ4_NL"},  {26, "IQ3_S"},  {27, "IQ3_M"},    {28, "IQ2_S"},         {29, "IQ2_M"},
    {30, "IQ4_XS"}, {31, "IQ1_M"},   {32, "BF16"},   {33, "Q4_0_4_4"}, {34, "Q4_0_4_8"},      {35, "Q4_0_8_8"},
    {36, "TQ1_0"},  {37, "TQ2_0"},   {38, "MXFP4"},  {39, "NVFP4"}};

template <size_t n>
std::string_view find_name(const NumberedName (&names)[n], uint64_t number) {
  const auto* found = std::find_if(names, names + n, [&](const NumberedName& entry) { return entry.number == number; });
  return found == names + n ? std::string_view() : found->name;
}

}  // namespace

std::string tensor_type_name(uint32_t ggml_type) {
  if (const TypeTraits* traits = find_type_traits(ggml_type)) return std::string(traits->name);
  const std::string_view name = find_name(other_tensor_types, ggml_type);
  return name.empty() ? "number " + std::to_string(ggml_type) : std::string(name);
}

std::string expected_matrix_types() {
  return tensor_type_list() + "; a Q4_K_M or Q8_0 of the same model runs";
}

std::string file_type_name(uint64_t file_type) {
  // This bit means that the file's maker did not set the type and llama.cpp guessed it.
  constexpr uint64_t guessed = 1024;
  return std::string(find_name(file_types, file_type & ~guessed));
}

}  // namespace headroom
