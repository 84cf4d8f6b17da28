// What C++ and GLSL agree on: push constants of each shader, and the state of a decode step. Included by both, so it
// holds nothing but structs of 32-bit members, which both lay out alike.
// Offsets and strides of matrices count floats (f32), as in struct Matrix.
#ifdef __cplusplus
#pragma once
#include <cstdint>
namespace headroom::vulkan {
using uint = uint32_t;
#endif

// The first words of the step buffer. Written by the host before a step is submitted, so that a recorded step serves
// every position.
struct StepState {
  uint position;
  uint tag;  // of the token: position and class
  uint token_id;
  uint log_before;
};

struct AddConstants {
  uint n_rows;
  uint n_cols;
  uint x_offset;
  uint x_stride;
  uint y_offset;
  uint y_stride;
};

struct GateConstants {
  uint n_rows;
  uint n_cols;
  uint gate_offset;
  uint gate_stride;
  uint up_offset;
  uint up_stride;
  uint activation;  // 0 silu, 1 gelu
};

struct RmsNormConstants {
  uint n_rows;
  uint n_cols;
  uint x_offset;
  uint x_stride;
  uint out_offset;
  uint out_stride;
  float eps;
};

struct RopeConstants {
  uint n_rows;
  uint n_heads;
  uint head_dim;
  uint x_offset;
  uint x_stride;
  uint n_rot;
  uint is_neighbours;  // pairs (2i, 2i + 1); else halves (i, i + n_rot / 2)
  uint is_step;        // the position is the step's
  uint position0;
};

struct StoreKvConstants {
  uint n_rows;
  uint row_values;
  uint k_offset;
  uint k_stride;
  uint v_offset;
  uint v_stride;
  uint first_row;
  uint capacity_rows;
};

// Rows of a matrix to where texels can be read: whole texels of four, zeros behind the last value.
struct PackConstants {
  uint n_rows;
  uint n_cols;
  uint x_offset;
  uint x_stride;
};

// A weight lies in streams: unit u of block b (32 values) of row r is number
// (b * n_units + u) * unit_stride + r * unit_row_stride, and so is a word of the other stream (weight.h).
struct EmbedConstants {
  uint n_rows;
  uint n_cols;
  uint n_blocks;
  uint unit_stride;
  uint unit_row_stride;
  uint word_row_stride;
  uint first_row;  // of the weight's part
  uint part_rows;
  uint out_offset;
  uint out_stride;
  uint is_step;  // the token is the step's
  float scale;
};

struct MatmulConstants {
  uint n_in;
  uint n_out;     // rows of the weight's part
  uint n_tokens;  // rows of x
  uint x_offset;  // texels (row a lane) or floats
  uint x_stride;
  uint y_offset;
  uint y_stride;
  uint unit_stride;
  uint unit_row_stride;
  uint word_row_stride;
  uint bias_first;  // first value of the bias for this part
  uint flags;       // matmul_has_bias, matmul_accumulates
};
#ifdef __cplusplus
inline constexpr uint matmul_has_bias = 1, matmul_accumulates = 2;
#else
const uint matmul_has_bias = 1, matmul_accumulates = 2;
#endif

#ifdef __cplusplus
}  // namespace headroom::vulkan
#endif
