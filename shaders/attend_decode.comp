// One token's attention over a split of a KV head's slots, for all query heads that share the head, or a part of them
// if they are many. Writes a state (max, sum, sum of probabilities * V) per query head, and the probabilities, which
// merge_decode makes final. The last split of a head holds the token itself: its K and V are rounded to the page's
// type, stored in the page, and attended to.
// A work group is one subgroup. K: one lane per slot. V: one lane per unit of the row, and several slots at once if
// there are enough lanes.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_ballot : require

#include "engine/backend/device/kernel_params.h"

#include "shaders/half.glsl"
#include "shaders/pages.glsl"
#ifdef CACHE_Q8
#include "shaders/quantize.glsl"
#endif

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint N_LANES = 8;
layout(constant_id = 6) const uint GROUP = 1;
// 1 for software drivers: values that all lanes need come from a register of one lane, not from memory.
layout(constant_id = 7) const uint LANE_VARIANT = 1;
const bool IS_LANE = LANE_VARIANT != 0;
layout(push_constant) uniform Constants { AttendDecodeConstants c; };
layout(binding = 0) readonly buffer Step { StepState step_state; };
layout(binding = 1) readonly buffer Heads { StepHead heads[]; };
layout(binding = 2) readonly buffer PageTable { uvec2 pages[]; };
layout(binding = 3) uniform textureBuffer q;  // texels of one value
layout(binding = 4) readonly buffer K { float k[]; };
layout(binding = 5) readonly buffer V { float v[]; };
layout(binding = 6) writeonly buffer Probabilities { float probabilities[]; };  // (split, query head, split_capacity)
layout(binding = 7) writeonly buffer States { float states[]; };  // (split, query head): max, sum, out (HEAD_DIM)

#include "shaders/split.glsl"

const uint SLOTS_AT_ONCE = 2;  // per lane; they share a load of q
const uint Q_REGISTERS = (UNIT_VALUES + N_LANES - 1) / N_LANES;
const uint V_SLOTS = ROW_UNITS < N_LANES ? N_LANES / ROW_UNITS : 1;  // at once
const uint V_LANES = ROW_UNITS < N_LANES ? ROW_UNITS : N_LANES;      // per slot
const uint V_ROUNDS = (ROW_UNITS + V_LANES - 1) / V_LANES;

const uint Q_TEXELS = ROW_UNITS * UNIT_VALUES / 4;  // of four values, zeros behind the last

shared vec4 queries[GROUP * Q_TEXELS * (1 - LANE_VARIANT) + LANE_VARIANT];  // used without LANE_VARIANT
shared float weights[GROUP * split_capacity];  // scores, then probabilities
shared float sums[N_LANES * UNIT_VALUES];
shared uint new_row[SLOT_WORDS];

// Per lane: sum of probability * V for one unit of the row, for each query head.
float mixed[GROUP * UNIT_VALUES];

void sync() {
  subgroupMemoryBarrierShared();
  subgroupBarrier();
}

// --- the step's token ---

#ifdef CACHE_Q8
/// Value i of K followed by V.
float new_value(uint kv_head, uint i) {
  const uint at = kv_head * HEAD_DIM + i % HEAD_DIM;
  return i < HEAD_DIM ? k[c.k_offset + at] : v[c.v_offset + at];
}

/// One lane per block of K or V. Loops are not unrolled: this runs once per head, and unrolling makes compilation slow.
void round_new_row(uint kv_head) {
  for (uint block = gl_SubgroupInvocationID; block < 2 * N_BLOCKS; block += N_LANES) {
    float largest = 0;
    [[dont_unroll]] for (uint i = 0; i < BLOCK_VALUES; ++i)
      largest = max(largest, abs(new_value(kv_head, block * BLOCK_VALUES + i)));
    const uint scale = block_scale(largest);
    new_row[2 * ROW_WORDS + block] = scale;
    uint word = 0;
    [[dont_unroll]] for (uint i = 0; i < BLOCK_VALUES; ++i) {
      const int value = quantized(new_value(kv_head, block * BLOCK_VALUES + i), scale_value(scale));
      word = bitfieldInsert(word, uint(value), int(i % 4) * 8, 8);
      if (i % 4 == 3) new_row[(block * BLOCK_VALUES + i) / 4] = word;
    }
  }
}

float new_scale(uint part, uint unit) {
  return scale_value(new_row[2 * ROW_WORDS + part * N_BLOCKS + unit / 2]);
}
#else
void round_new_row(uint kv_head) {
  for (uint word = gl_SubgroupInvocationID; word < ROW_WORDS; word += N_LANES) {
    const uint from_k = c.k_offset + kv_head * HEAD_DIM + 2 * word, from_v = c.v_offset + kv_head * HEAD_DIM + 2 * word;
    new_row[word] = pack_halves(k[from_k], k[from_k + 1]);
    new_row[ROW_WORDS + word] = pack_halves(v[from_v], v[from_v + 1]);
  }
}

float new_scale(uint part, uint unit) {
  return 1;
}
#endif

/// part: 0 K, 1 V
uvec4 new_unit(uint part, uint unit) {
  uvec4 words = uvec4(0);
  [[unroll]] for (uint i = 0; i < 4; ++i)
    if (4 * unit + i < ROW_WORDS) words[i] = new_row[part * ROW_WORDS + 4 * unit + i];
  return words;
}

void score_new_row(uint q_begin, uint t) {
  [[dont_unroll]] for (uint g = 0; g < GROUP; ++g) {
    float sum = 0;
    for (uint unit = gl_SubgroupInvocationID; unit < ROW_UNITS; unit += N_LANES) {
      const uvec4 words = new_unit(0, unit);
      float part = 0;
      [[unroll]] for (uint i = 0; i < UNIT_VALUES; ++i)
        if (HAS_WHOLE_UNITS || unit * UNIT_VALUES + i < HEAD_DIM)
          part += unit_value(words, i) * texelFetch(q, int(q_begin + g * HEAD_DIM + unit * UNIT_VALUES + i)).x;
      sum += part * new_scale(0, unit);
    }
    sum = subgroupAdd(sum);
    if (subgroupElect()) weights[g * split_capacity + t] = sum * c.scale;
  }
}

void store_new_row(uvec2 page, uint slot) {
  for (uint word = gl_SubgroupInvocationID; word < ROW_WORDS; word += N_LANES) {
    PageWords(page).at[slot * ROW_WORDS + word] = new_row[word];
    PageWords(page).at[V_BEGIN + slot * ROW_WORDS + word] = new_row[ROW_WORDS + word];
  }
#ifdef CACHE_Q8
  for (uint block = gl_SubgroupInvocationID; block < N_BLOCKS; block += N_LANES) {
    store_scale(page, 0, slot, block, new_row[2 * ROW_WORDS + block]);
    store_scale(page, V_BEGIN, slot, block, new_row[2 * ROW_WORDS + N_BLOCKS + block]);
  }
#endif
  if (subgroupElect()) PageWords(page).at[TAGS_BEGIN + slot] = step_state.tag;
}

// --- the slots that are held ---

void load_queries(uint q_begin) {
  for (uint i = gl_SubgroupInvocationID; i < GROUP * Q_TEXELS; i += N_LANES) {
    const uint first = i % Q_TEXELS * 4;
    vec4 values = vec4(0);
    [[unroll]] for (uint k = 0; k < 4; ++k)
      if (first + k < HEAD_DIM) values[k] = texelFetch(q, int(q_begin + i / Q_TEXELS * HEAD_DIM + first + k)).x;
    queries[i] = values;
  }
}

void score_slots(uint q_begin, uint first_page, uint n) {
  const uint lane = gl_SubgroupInvocationID;
  for (uint base = 0; base < n; base += SLOTS_AT_ONCE * N_LANES) {
    uvec2 page[SLOTS_AT_ONCE];
    uint slot[SLOTS_AT_ONCE];
    float scores[GROUP * SLOTS_AT_ONCE];
    [[unroll]] for (uint j = 0; j < SLOTS_AT_ONCE; ++j) {
      const uint t = min(base + j * N_LANES + lane, n - 1);
      slot[j] = t % PAGE_TOKENS;
      if (j > 0 && SLOTS_AT_ONCE * N_LANES <= PAGE_TOKENS)
        page[j] = page[0];
      else
        page[j] = pages[first_page + t / PAGE_TOKENS];
      [[unroll]] for (uint g = 0; g < GROUP; ++g) scores[g * SLOTS_AT_ONCE + j] = 0;
    }
    for (uint unit = 0; unit < ROW_UNITS; ++unit) {
      uvec4 words[SLOTS_AT_ONCE];
      float scales[SLOTS_AT_ONCE];
      [[unroll]] for (uint j = 0; j < SLOTS_AT_ONCE; ++j) {
        words[j] = load_unit(page[j], 0, slot[j], unit);
#ifdef CACHE_Q8
        scales[j] = scale_value(load_scale(page[j], 0, slot[j], unit / 2));
#endif
      }
      [[unroll]] for (uint g = 0; g < GROUP; ++g) {
        const uint q_first = q_begin + g * HEAD_DIM + unit * UNIT_VALUES;
        float query[Q_REGISTERS];
        if (IS_LANE) {
          [[unroll]] for (uint r = 0; r < Q_REGISTERS; ++r) query[r] = texelFetch(q, int(q_first + r * N_LANES + lane)).x;
        }
        float parts[SLOTS_AT_ONCE];
        [[unroll]] for (uint j = 0; j < SLOTS_AT_ONCE; ++j) parts[j] = 0;
        [[unroll]] for (uint i = 0; i < UNIT_VALUES; i += 4) {
          vec4 values = vec4(0);
          if (IS_LANE) {
            [[unroll]] for (uint b = 0; b < 4; ++b)
              if (HAS_WHOLE_UNITS || unit * UNIT_VALUES + i + b < HEAD_DIM)
                values[b] = subgroupBroadcast(query[(i + b) / N_LANES], (i + b) % N_LANES);
          } else {
            values = queries[g * Q_TEXELS + (unit * UNIT_VALUES + i) / 4];
          }
          [[unroll]] for (uint j = 0; j < SLOTS_AT_ONCE; ++j)
            [[unroll]] for (uint b = 0; b < 4; ++b) parts[j] += values[b] * unit_value(words[j], i + b);
        }
        [[unroll]] for (uint j = 0; j < SLOTS_AT_ONCE; ++j)
#ifdef CACHE_Q8
          scores[g * SLOTS_AT_ONCE + j] += parts[j] * scales[j];
#else
          scores[g * SLOTS_AT_ONCE + j] += parts[j];
#endif
      }
    }
    [[unroll]] for (uint j = 0; j < SLOTS_AT_ONCE; ++j) {
      const uint t = base + j * N_LANES + lane;
      if (t < n) {
        [[unroll]] for (uint g = 0; g < GROUP; ++g)
          weights[g * split_capacity + t] = scores[g * SLOTS_AT_ONCE + j] * c.scale;
      }
    }
  }
}

float weight_scale(uvec2 page, uint slot, uint unit) {
#ifdef CACHE_Q8
  return scale_value(load_scale(page, V_BEGIN, slot, unit / 2));
#else
  return 1;
#endif
}

/// Adds probability * V of all held slots, one lane per unit of the row.
void mix_slots(uint first_page, uint n, uint round) {
  const uint lane = gl_SubgroupInvocationID;
  const uint unit = lane % V_LANES + round * V_LANES;
  const bool is_used = lane < V_SLOTS * V_LANES && unit < ROW_UNITS;
  if (!is_used) return;
  const uint n_loads = 4;  // in flight at once
  for (uint base = lane / V_LANES; base < n; base += n_loads * V_SLOTS) {
    uvec4 words[n_loads];
    float scales[n_loads];
    [[unroll]] for (uint j = 0; j < n_loads; ++j) {
      const uint t = min(base + j * V_SLOTS, n - 1);
      const uvec2 page = pages[first_page + t / PAGE_TOKENS];
      words[j] = load_unit(page, V_BEGIN, t % PAGE_TOKENS, unit);
      scales[j] = base + j * V_SLOTS < n ? weight_scale(page, t % PAGE_TOKENS, unit) : 0;
    }
    [[unroll]] for (uint j = 0; j < n_loads; ++j) {
      float values[UNIT_VALUES];
      [[unroll]] for (uint i = 0; i < UNIT_VALUES; ++i) values[i] = unit_value(words[j], i);
      [[unroll]] for (uint g = 0; g < GROUP; ++g) {
        const float weight = weights[g * split_capacity + min(base + j * V_SLOTS, n - 1)] * scales[j];
        [[unroll]] for (uint i = 0; i < UNIT_VALUES; ++i) mixed[g * UNIT_VALUES + i] += weight * values[i];
      }
    }
  }
}

/// Does what mix_slots does if a row needs all lanes: slots one by one, with probabilities from registers.
void mix_slots_by_page(uint first_page, uint n, uint round) {
  const uint lane = gl_SubgroupInvocationID;
  const uint unit = min(lane + round * V_LANES, ROW_UNITS - 1);
  const uint at_once = min(N_LANES, PAGE_TOKENS);
  for (uint base = 0; base < n; base += at_once) {
    const uvec2 page = pages[first_page + base / PAGE_TOKENS];
    float lane_weights[GROUP];
    [[unroll]] for (uint g = 0; g < GROUP; ++g)
      lane_weights[g] = weights[g * split_capacity + min(base + lane, split_capacity - 1)];
    const uint n_slots = min(at_once, n - base);
    for (uint i = 0; i < n_slots; ++i) {
      const uint slot = (base + i) % PAGE_TOKENS;
      const uvec4 words = load_unit(page, V_BEGIN, slot, unit);
      const float scale = weight_scale(page, slot, unit);
      float values[UNIT_VALUES];
      [[unroll]] for (uint j = 0; j < UNIT_VALUES; ++j) values[j] = unit_value(words, j);
      [[unroll]] for (uint g = 0; g < GROUP; ++g) {
        const float weight = subgroupBroadcast(lane_weights[g], i) * scale;
        [[unroll]] for (uint j = 0; j < UNIT_VALUES; ++j) mixed[g * UNIT_VALUES + j] += weight * values[j];
      }
    }
  }
}

void main() {
  const uint lane = gl_SubgroupInvocationID;
  const Split split = find_split(gl_WorkGroupID.x);
  const uint first_page = heads[c.head_begin + split.head].first_page + split.first_slot / PAGE_TOKENS;
  const uint n = split.n_slots, n_held = n - split.is_last;
  const uint q_begin = c.q_offset + (split.head * c.n_query_heads + c.first_query_head) * HEAD_DIM;
  if (split.is_last != 0) {
    round_new_row(split.head);
    sync();
    score_new_row(q_begin, n_held);
  }
  if (!IS_LANE) {
    load_queries(q_begin);
    sync();
  }
  score_slots(q_begin, first_page, n_held);
  sync();

  const uint first_state = gl_WorkGroupID.x * c.n_query_heads + c.first_query_head;
  [[dont_unroll]] for (uint g = 0; g < GROUP; ++g) {
    float largest = -3e38, sum = 0;
    for (uint t = lane; t < n; t += N_LANES) largest = max(largest, weights[g * split_capacity + t]);
    largest = subgroupMax(largest);
    for (uint t = lane; t < n; t += N_LANES) {
      const float probability = exp2(weights[g * split_capacity + t] - largest);
      weights[g * split_capacity + t] = probability;
      probabilities[(first_state + g) * split_capacity + t] = probability;
      sum += probability;
    }
    sum = subgroupAdd(sum);
    if (subgroupElect()) {
      states[(first_state + g) * (HEAD_DIM + 2)] = largest;
      states[(first_state + g) * (HEAD_DIM + 2) + 1] = sum;
    }
  }
  sync();

  for (uint round = 0; round < V_ROUNDS; ++round) {
    [[unroll]] for (uint i = 0; i < GROUP * UNIT_VALUES; ++i) mixed[i] = 0;
    if (IS_LANE && V_SLOTS == 1)
      mix_slots_by_page(first_page, n_held, round);
    else
      mix_slots(first_page, n_held, round);
    const uint unit = lane % V_LANES + round * V_LANES;
    if (split.is_last != 0 && lane < V_LANES && unit < ROW_UNITS) {
      const uvec4 words = new_unit(1, unit);
      const float scale = new_scale(1, unit);
      [[unroll]] for (uint g = 0; g < GROUP; ++g) {
        const float weight = weights[g * split_capacity + n_held] * scale;
        [[unroll]] for (uint i = 0; i < UNIT_VALUES; ++i) mixed[g * UNIT_VALUES + i] += weight * unit_value(words, i);
      }
    }
    [[unroll]] for (uint g = 0; g < GROUP; ++g) {
      if (V_SLOTS > 1) {
        sync();
        [[unroll]] for (uint i = 0; i < UNIT_VALUES; ++i) sums[lane * UNIT_VALUES + i] = mixed[g * UNIT_VALUES + i];
        sync();
        if (lane < V_LANES) {
          [[unroll]] for (uint i = 0; i < UNIT_VALUES; ++i) {
            float sum = 0;
            for (uint s = 0; s < V_SLOTS; ++s) sum += sums[(s * V_LANES + lane) * UNIT_VALUES + i];
            mixed[g * UNIT_VALUES + i] = sum;
          }
        }
      }
      if (lane < V_LANES && unit < ROW_UNITS) {
        const uint first = (first_state + g) * (HEAD_DIM + 2) + 2 + unit * UNIT_VALUES;
        [[unroll]] for (uint i = 0; i < UNIT_VALUES; ++i)
          if (HAS_WHOLE_UNITS || unit * UNIT_VALUES + i < HEAD_DIM) states[first + i] = mixed[g * UNIT_VALUES + i];
      }
    }
  }
  if (split.is_last != 0 && c.first_query_head == 0)
    store_new_row(pages[first_page + n_held / PAGE_TOKENS], n_held % PAGE_TOKENS);
}
