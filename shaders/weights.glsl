// Blocks of 32 weights as engine/backend/vulkan/weight.cpp lays them out, to floats; of quantised types also to bytes
// with scales and offsets. Before it is included: one of FORMAT_F32 …, and UNIT(i), WORD(i) that read number i of a
// plane.
#ifndef UNIT_STRIDE
#define UNIT_STRIDE c.unit_stride
#endif

#if defined(FORMAT_F32)
#define N_UNITS 8
#define N_WORDS 0
#elif defined(FORMAT_F16) || defined(FORMAT_BF16)
#define N_UNITS 4
#define N_WORDS 0
#elif defined(FORMAT_Q8_0)
#define N_UNITS 2
#define N_WORDS 1
#elif defined(FORMAT_Q4_0) || defined(FORMAT_Q4_1) || defined(FORMAT_Q4_K)
#define N_UNITS 1
#define N_WORDS 1
#elif defined(FORMAT_Q6_K)
#define N_UNITS 1
#define N_WORDS 3
#else  // q5_0, q5_1, q5_k
#define N_UNITS 1
#define N_WORDS 2
#endif

#if !defined(FORMAT_F32) && !defined(FORMAT_F16) && !defined(FORMAT_BF16)
#define IS_QUANTIZED
#endif
#ifdef FORMAT_Q6_K  // each half of a block has its own
#define N_SCALES 2
#else
#define N_SCALES 1
#endif

struct Block {
  uvec4 unit[N_UNITS];
  uint word[N_WORDS + 1];
#ifdef IS_QUANTIZED
  // value = q * scale + offset
  float scale[N_SCALES];
  float offset[N_SCALES];
#endif
};

// unit_row, word_row: where the row begins in each plane.
Block load_block(uint unit_row, uint word_row, uint b) {
  Block block;
  [[unroll]] for (uint u = 0; u < N_UNITS; ++u) block.unit[u] = UNIT((b * N_UNITS + u) * UNIT_STRIDE + unit_row);
  [[unroll]] for (uint w = 0; w < N_WORDS; ++w) block.word[w] = WORD((b * N_WORDS + w) * UNIT_STRIDE + word_row);
#if defined(FORMAT_Q4_0) || defined(FORMAT_Q5_0) || defined(FORMAT_Q8_0)
  block.scale[0] = unpackHalf2x16(block.word[0]).x;
#endif
#if defined(FORMAT_Q4_0)
  block.offset[0] = -8 * block.scale[0];
#elif defined(FORMAT_Q5_0)
  block.offset[0] = -16 * block.scale[0];
#elif defined(FORMAT_Q8_0)
  block.offset[0] = 0;
#elif defined(FORMAT_Q4_1) || defined(FORMAT_Q5_1)
  const vec2 d_and_m = unpackHalf2x16(block.word[0]);
  block.scale[0] = d_and_m.x;
  block.offset[0] = d_and_m.y;
#elif defined(FORMAT_Q4_K) || defined(FORMAT_Q5_K)
  // An even block holds d for both, an odd one dmin.
  const uint other = WORD(((b ^ 1u) * N_WORDS) * UNIT_STRIDE + word_row);
  const bool is_odd = (b & 1u) != 0;
  const float d = unpackHalf2x16(is_odd ? other : block.word[0]).y;
  const float dmin = unpackHalf2x16(is_odd ? block.word[0] : other).y;
  block.scale[0] = d * float(block.word[0] & 63u);
  block.offset[0] = -dmin * float(block.word[0] >> 8 & 63u);
#elif defined(FORMAT_Q6_K)
  const float d = unpackHalf2x16(block.word[0]).y;
  const int packed = int(block.word[0]);
  block.scale[0] = d * float(packed << 24 >> 24);
  block.scale[1] = d * float(packed << 16 >> 24);
  block.offset[0] = -32 * block.scale[0];
  block.offset[1] = -32 * block.scale[1];
#endif
  return block;
}

#ifdef IS_QUANTIZED
// q of values 4 i … 4 i + 3 of a block, a byte each: signed in q8_0, else of 6 bits at most; i as below.
uint block_bytes(Block block, uint i) {
#if defined(FORMAT_Q8_0)
  return block.unit[i / 4][i % 4];
#else
  const uint low = block.unit[0][i % 4] >> (i / 4 * 4) & 0x0f0f0f0fu;
#if defined(FORMAT_Q5_0) || defined(FORMAT_Q5_1) || defined(FORMAT_Q5_K)
  // The factor copies the four bits to seven, fourteen and twenty-one places on: bit k then stands at 8 k.
  const uint fifth = (block.word[1] >> 4 * i & 15u) * 0x00204081u & 0x01010101u;
  return low | fifth << 4;
#elif defined(FORMAT_Q6_K)
  // Four pairs of bits, first two to each half of the word, then one to each byte.
  const uint pairs = block.word[1 + i / 4] >> (i % 4 * 8) & 255u;
  const uint halves = (pairs | pairs << 12) & 0x000f000fu;
  return low | ((halves | halves << 6) & 0x03030303u) << 4;
#else
  return low;
#endif
#endif
}
#endif

// Values 4 i … 4 i + 3 of a block; i: 0 … 7, known when the shader is compiled.
vec4 block_values(Block block, uint i) {
#if defined(FORMAT_F32)
  return uintBitsToFloat(block.unit[i]);
#elif defined(FORMAT_F16)
  const uvec4 unit = block.unit[i / 2];
  return i % 2 == 0 ? vec4(unpackHalf2x16(unit.x), unpackHalf2x16(unit.y))
                    : vec4(unpackHalf2x16(unit.z), unpackHalf2x16(unit.w));
#elif defined(FORMAT_BF16)
  const uvec4 unit = block.unit[i / 2];
  const uvec2 pair = i % 2 == 0 ? unit.xy : unit.zw;
  return uintBitsToFloat(uvec4(pair.x << 16, pair.x & 0xffff0000u, pair.y << 16, pair.y & 0xffff0000u));
#else
  const uint bytes = block_bytes(block, i), s = i * N_SCALES / 8;
#ifdef FORMAT_Q8_0
  const int word = int(bytes);
  const vec4 q = vec4(word << 24 >> 24, word << 16 >> 24, word << 8 >> 24, word >> 24);
#else
  const vec4 q = vec4(bytes & 255u, bytes >> 8 & 255u, bytes >> 16 & 255u, bytes >> 24);
#endif
  return q * block.scale[s] + block.offset[s];
#endif
}
