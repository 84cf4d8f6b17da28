// Blocks of 32 weights as engine/backend/vulkan/weight.cpp lays them out, to floats. Before it is included: one of
// FORMAT_F32 …, and UNIT(i), WORD(i) that read number i of a stream.
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

struct Block {
  uvec4 unit[N_UNITS];
  uint word[N_WORDS + 1];
  // value = q * scale + offset
  float scale;
  float offset;
};

// unit_row, word_row: where the row begins in each stream.
Block load_block(uint unit_row, uint word_row, uint b) {
  Block block;
  [[unroll]] for (uint u = 0; u < N_UNITS; ++u) block.unit[u] = UNIT((b * N_UNITS + u) * UNIT_STRIDE + unit_row);
  [[unroll]] for (uint w = 0; w < N_WORDS; ++w) block.word[w] = WORD((b * N_WORDS + w) * UNIT_STRIDE + word_row);
  block.scale = 1;
  block.offset = 0;
#if defined(FORMAT_Q4_0) || defined(FORMAT_Q5_0) || defined(FORMAT_Q8_0)
  block.scale = unpackHalf2x16(block.word[0]).x;
#endif
#if defined(FORMAT_Q4_0)
  block.offset = -8 * block.scale;
#elif defined(FORMAT_Q5_0)
  block.offset = -16 * block.scale;
#elif defined(FORMAT_Q4_1) || defined(FORMAT_Q5_1)
  const vec2 d_and_m = unpackHalf2x16(block.word[0]);
  block.scale = d_and_m.x;
  block.offset = d_and_m.y;
#elif defined(FORMAT_Q4_K) || defined(FORMAT_Q5_K)
  // An even block holds d for both, an odd one dmin.
  const uint other = WORD(((b ^ 1u) * N_WORDS) * UNIT_STRIDE + word_row);
  const bool is_odd = (b & 1u) != 0;
  const float d = unpackHalf2x16(is_odd ? other : block.word[0]).y;
  const float dmin = unpackHalf2x16(is_odd ? block.word[0] : other).y;
  block.scale = d * float(block.word[0] & 63u);
  block.offset = -dmin * float(block.word[0] >> 8 & 63u);
#elif defined(FORMAT_Q6_K)
  block.scale = unpackHalf2x16(block.word[0]).y;
#endif
  return block;
}

vec4 bytes_of(uint word) {
  return vec4(word & 255u, word >> 8 & 255u, word >> 16 & 255u, word >> 24);
}
vec4 nibbles_of(uint word) {
  return vec4(word & 15u, word >> 8 & 15u, word >> 16 & 15u, word >> 24 & 15u);
}
// Bits first … first + 3 of a word, as 16 where set.
vec4 fifth_bits_of(uint word, uint first) {
  const uint bits = word >> first;
  return vec4((bits & 1u) << 4, (bits & 2u) << 3, (bits & 4u) << 2, (bits & 8u) << 1);
}

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
#elif defined(FORMAT_Q8_0)
  const int word = int(block.unit[i / 4][i % 4]);
  return vec4(word << 24 >> 24, word << 16 >> 24, word << 8 >> 24, word >> 24) * block.scale;
#else
  const uint word = block.unit[0][i % 4] >> (i / 4 * 4);
  vec4 q = nibbles_of(word);
#if defined(FORMAT_Q5_0) || defined(FORMAT_Q5_1) || defined(FORMAT_Q5_K)
  q += fifth_bits_of(block.word[1], 4 * i);
#elif defined(FORMAT_Q6_K)
  const uint high = block.word[1 + i / 4] >> (i % 4 * 8);
  q += vec4((high & 3u) << 4, (high & 12u) << 2, high & 48u, (high & 192u) >> 2) - 32.0;
  const int packed = int(block.word[0]);
  return q * (block.scale * float(i < 4 ? packed << 24 >> 24 : packed << 16 >> 24));
#endif
  return q * block.scale + block.offset;
#endif
}
