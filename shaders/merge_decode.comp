// The states of a KV head's splits ─► the attention's output; each split's work group computes a share of it. Also adds
// the final probabilities to the slots' scores. A work group is one subgroup.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require

#include "engine/backend/device/kernel_params.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint N_LANES = 8;
layout(constant_id = 1) const uint HEAD_DIM = 64;
layout(constant_id = 2) const uint SCORES_BEGIN = 0;  // words
layout(constant_id = 3) const uint N_HEADS = 1;       // in the query group
layout(push_constant) uniform Constants { MergeDecodeConstants c; };
layout(binding = 0) readonly buffer Heads { StepHead heads[]; };
layout(binding = 1) readonly buffer PageTable { uvec2 pages[]; };
layout(binding = 2) readonly buffer Probabilities { vec4 probabilities[]; };
layout(binding = 3) readonly buffer States { float states[]; };
layout(binding = 4) writeonly buffer Out { float result[]; };

layout(buffer_reference, std430, buffer_reference_align = 16) buffer PageScores { vec4 at[]; };

#include "shaders/split.glsl"

const uint PAGE_TOKENS = 16, STATE_VALUES = HEAD_DIM + 2;

shared float largest[N_HEADS], total[N_HEADS];

void main() {
  const uint lane = gl_SubgroupInvocationID, w = gl_WorkGroupID.x;
  const Split split = find_split(w);
  const StepHead head = heads[c.head_begin + split.head];
  for (uint g = lane; g < N_HEADS; g += N_LANES) {
    float m = -3e38, sum = 0;
    for (uint i = head.first_split; i < head.first_split + head.n_splits; ++i)
      m = max(m, states[(i * N_HEADS + g) * STATE_VALUES]);
    for (uint i = head.first_split; i < head.first_split + head.n_splits; ++i) {
      const uint at = (i * N_HEADS + g) * STATE_VALUES;
      sum += exp2(states[at] - m) * states[at + 1];
    }
    largest[g] = m;
    total[g] = sum;
  }
  subgroupMemoryBarrierShared();
  subgroupBarrier();

  // This work group's share of the output.
  const uint n_values = N_HEADS * HEAD_DIM;
  const uint share = ((n_values + head.n_splits - 1) / head.n_splits + N_LANES - 1) / N_LANES * N_LANES;
  const uint begin = (w - head.first_split) * share, end = min(begin + share, n_values);
  for (uint value = begin + lane; value < end; value += N_LANES) {
    const uint g = value / HEAD_DIM, d = value % HEAD_DIM;
    float sum = 0;
    for (uint i = head.first_split; i < head.first_split + head.n_splits; ++i) {
      const uint at = (i * N_HEADS + g) * STATE_VALUES;
      sum += exp2(states[at] - largest[g]) * states[at + 2 + d];
    }
    result[c.out_offset + split.head * n_values + value] = sum / total[g];
  }

  float factors[N_HEADS];
  for (uint g = 0; g < N_HEADS; ++g)
    factors[g] = exp2(states[(w * N_HEADS + g) * STATE_VALUES] - largest[g]) / total[g];
  const uint first_page = head.first_page + split.first_slot / PAGE_TOKENS;
  // Four slots per lane. Scores behind the last slot have no meaning, so they may be overwritten.
  for (uint t = 4 * lane; t < split.n_slots; t += 4 * N_LANES) {
    vec4 sum = vec4(0);
    for (uint g = 0; g < N_HEADS; ++g) sum += factors[g] * probabilities[((w * N_HEADS + g) * split_capacity + t) / 4];
    PageScores scores = PageScores(pages[first_page + t / PAGE_TOKENS]);
    const uint at = (SCORES_BEGIN + t % PAGE_TOKENS) / 4;
    vec4 before = scores.at[at];
    // The score of the step's token starts at 0.
    [[unroll]] for (uint i = 0; i < 4; ++i)
      if (split.is_last != 0 && t + i >= split.n_slots - 1) before[i] = 0;
    scores.at[at] = before + sum;
  }
}
