// Blocks of 32 weights as engine/backend/vulkan/weight.cpp lays them out, to floats; quantised types also
// to bytes with scales and offsets. The including file needs the defines of shaders/list.cmake for the type, and
// UNIT(i), WORD(i) that read number i of a plane.
#ifndef UNIT_STRIDE
#define UNIT_STRIDE c.unit_stride
#endif

#ifndef SCALES_NONE
#define IS_QUANTIZED
#endif

#if BITS < 8  // the low nibbles fill a unit, and each higher bit fills a word
#define N_UNITS 1
#define N_WORDS (BITS - 3)
#else
#define N_UNITS (BITS / 4)
#ifdef IS_QUANTIZED
#define N_WORDS 1
#else
#define N_WORDS 0
#endif
#endif

#ifdef SCALES_SIGNED_BYTES  // each half of a block has its own
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
#if defined(SCALES_SCALE)
  block.scale[0] = unpackHalf2x16(block.word[0]).x;
#if BITS < 8  // q is not signed
  block.offset[0] = -(1 << (BITS - 1)) * block.scale[0];
#else
  block.offset[0] = 0;
#endif
#elif defined(SCALES_SCALE_AND_MIN)
  const vec2 d_and_m = unpackHalf2x16(block.word[0]);
  block.scale[0] = d_and_m.x;
  block.offset[0] = d_and_m.y;
#elif defined(SCALES_PACKED)
  // An even block holds d for both, an odd one dmin.
  const uint other = WORD(((b ^ 1u) * N_WORDS) * UNIT_STRIDE + word_row);
  const bool is_odd = (b & 1u) != 0;
  const float d = unpackHalf2x16(is_odd ? other : block.word[0]).y;
  const float dmin = unpackHalf2x16(is_odd ? block.word[0] : other).y;
  block.scale[0] = d * float(block.word[0] & 63u);
  block.offset[0] = -dmin * float(block.word[0] >> 8 & 63u);
#elif defined(SCALES_SIGNED_BYTES)
  const float d = unpackHalf2x16(block.word[0]).y;
  const int packed = int(block.word[0]);
  block.scale[0] = d * float(packed << 24 >> 24);
  block.scale[1] = d * float(packed << 16 >> 24);
  block.offset[0] = -(1 << (BITS - 1)) * block.scale[0];
  block.offset[1] = -(1 << (BITS - 1)) * block.scale[1];
#endif
  return block;
}

#ifdef IS_QUANTIZED
// q of values 4 i … 4 i + 3 of a block, one byte each; signed if q has 8 bits. i: 0 … 7, see below.
uint block_bytes(Block block, uint i) {
#if BITS == 8
  return block.unit[i / 4][i % 4];
#else
  const uint low = block.unit[0][i % 4] >> (i / 4 * 4) & 0x0f0f0f0fu;
#if BITS == 5
  // The factor also copies the four bits 7, 14 and 21 places higher: bit k is then at 8 k.
  const uint fifth = (block.word[1] >> 4 * i & 15u) * 0x00204081u & 0x01010101u;
  return low | fifth << 4;
#elif BITS == 6
  // Spreads four pairs of bits: first two per half of the word, then one per byte.
  const uint pairs = block.word[1 + i / 4] >> (i % 4 * 8) & 255u;
  const uint halves = (pairs | pairs << 12) & 0x000f000fu;
  return low | ((halves | halves << 6) & 0x03030303u) << 4;
#else
  return low;
#endif
#endif
}
#endif

// Values 4 i … 4 i + 3 of a block. i: 0 … 7, a compile-time constant.
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
#if BITS == 8
  const int word = int(bytes);
  const vec4 q = vec4(word << 24 >> 24, word << 16 >> 24, word << 8 >> 24, word >> 24);
#else
  const vec4 q = vec4(bytes & 255u, bytes >> 8 & 255u, bytes >> 16 & 255u, bytes >> 24);
#endif
  return q * block.scale[s] + block.offset[s];
#endif
}
