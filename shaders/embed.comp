// Rows of the table of tokens, times a scale: one thread per block of 32 values.
#version 460
#extension GL_GOOGLE_include_directive : require

#include "engine/backend/device/kernel_params.h"

#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 8) in;
layout(push_constant) uniform Constants { EmbedConstants c; };
layout(binding = 0) readonly buffer Units { uvec4 units[]; };
layout(binding = 1) readonly buffer Words { uint plane_words[]; };
layout(binding = 2) readonly buffer Ids { uint ids[]; };
layout(binding = 3) readonly buffer Step { StepState step_state; };
layout(binding = 4) writeonly buffer Out { float result[]; };

#define UNIT(i) units[i]
#define WORD(i) plane_words[i]
#include "shaders/weights.glsl"

void main() {
  const uint b = gl_GlobalInvocationID.x, row = gl_WorkGroupID.y;
  if (b >= c.n_blocks) return;
  const uint id = c.is_step != 0 ? step_state.token_id : ids[row];
  if (id < c.first_row || id >= c.first_row + c.part_rows) return;  // the row is in another part
  const uint r = id - c.first_row;
  const Block block = load_block(r * c.unit_row_stride, r * c.word_row_stride, b);
  [[unroll]] for (uint i = 0; i < 8; ++i) {
    const vec4 values = block_values(block, i) * c.scale;
    [[unroll]] for (uint k = 0; k < 4; ++k) {
      const uint column = b * 32 + 4 * i + k;
      if (column < c.n_cols) result[c.out_offset + row * c.out_stride + column] = values[k];
    }
  }
}
