// GGUF's formats as the matrix product's kernels see them: a weight is d * u + m with u a byte, d and m floats shared
// by 32 values (16 in Q6_K). Each format unpacks a unit of a row into steps of Simd::blocks blocks of 32 values.
// Included into one .cpp only, after one of the matmul_simd files; everything has internal linkage.
#pragma once

#include <cstdint>
#include <cstring>

namespace headroom {
namespace {

/// Some blocks of 32 values, block b in the four lanes 4 b … 4 b + 3.
struct Step {
  Simd::Bytes q[2];   // the first 16 values of each block, and the last 16
  Simd::Floats d[2];  // their scales; d[1] only where a format has two a block
  Simd::Floats m;     // only where a format has minima
};

// A unit is what unpack() takes: Simd::blocks small blocks, or one block of 256 values. Its callback gets the steps in
// order. `pick` maps a block of the step to the block to read, so that the end of a row can repeat its last block
// (x is zero there) and nothing behind the row is read.
struct EveryBlock {
  HEADROOM_INLINE int operator()(int b) const { return b; }
};
struct UpToBlock {
  int last;
  HEADROOM_INLINE int operator()(int b) const { return b < last ? b : last; }
};

/// bits: of u. offset_bits: the format's value is u - 2^offset_bits (0: u itself), which the kernels subtract as
/// integers. n_scales: of a block.
template <int bits_, int offset_bits_, bool has_mins_, int n_scales_>
struct Shape {
  static constexpr int bits = bits_, offset_bits = offset_bits_, n_scales = n_scales_;
  static constexpr bool has_mins = has_mins_;
  using Ops = Simd;  // for what only some instruction sets have
};

template <int bytes, typename Pick>
struct BlockOffset {
  Pick pick;
  HEADROOM_INLINE int operator()(int b) const { return bytes * pick(b); }
};

/// 16 bytes: value j in the low half of byte j, value j + 16 in the high half.
template <typename Offset>
HEADROOM_INLINE void unpack_nibbles(const uint8_t* p, Offset offset, Step& step) {
  const Simd::Bytes bytes = Simd::gather16(p, offset);
  step.q[0] = Simd::and_bytes(bytes, 15);
  step.q[1] = Simd::high_nibbles(bytes);
}

template <typename Offset>
HEADROOM_INLINE void add_fifth_bits(const uint8_t* p, Offset offset, Step& step) {
  const Simd::Bytes bits = Simd::gather4(p, offset);
  step.q[0] = Simd::or_bytes(step.q[0], Simd::fifth_bits<0>(bits));
  step.q[1] = Simd::or_bytes(step.q[1], Simd::fifth_bits<1>(bits));
}

struct Q4_0 : Shape<4, 3, false, 1> {
  static constexpr int block_values = 32, block_bytes = 18;
  template <typename Pick, typename Use>
  static HEADROOM_INLINE void unpack(const uint8_t* p, Pick pick, Use use) {
    const BlockOffset<block_bytes, Pick> offset{pick};
    Step step;
    unpack_nibbles(p + 2, offset, step);
    step.d[0] = Simd::scales(p, offset);
    use(0, step);
  }
};

struct Q4_1 : Shape<4, 0, true, 1> {
  static constexpr int block_values = 32, block_bytes = 20;
  template <typename Pick, typename Use>
  static HEADROOM_INLINE void unpack(const uint8_t* p, Pick pick, Use use) {
    const BlockOffset<block_bytes, Pick> offset{pick};
    Step step;
    unpack_nibbles(p + 4, offset, step);
    Simd::scales_and_mins(p, offset, step.d[0], step.m);
    use(0, step);
  }
};

struct Q5_0 : Shape<5, 4, false, 1> {
  static constexpr int block_values = 32, block_bytes = 22;
  template <typename Pick, typename Use>
  static HEADROOM_INLINE void unpack(const uint8_t* p, Pick pick, Use use) {
    const BlockOffset<block_bytes, Pick> offset{pick};
    Step step;
    unpack_nibbles(p + 6, offset, step);
    add_fifth_bits(p + 2, offset, step);
    step.d[0] = Simd::scales(p, offset);
    use(0, step);
  }
};

struct Q5_1 : Shape<5, 0, true, 1> {
  static constexpr int block_values = 32, block_bytes = 24;
  template <typename Pick, typename Use>
  static HEADROOM_INLINE void unpack(const uint8_t* p, Pick pick, Use use) {
    const BlockOffset<block_bytes, Pick> offset{pick};
    Step step;
    unpack_nibbles(p + 8, offset, step);
    add_fifth_bits(p + 4, offset, step);
    Simd::scales_and_mins(p, offset, step.d[0], step.m);
    use(0, step);
  }
};

struct Q8_0 : Shape<8, Simd::signed_offset_bits, false, 1> {
  static constexpr int block_values = 32, block_bytes = 34;
  template <typename Pick, typename Use>
  static HEADROOM_INLINE void unpack(const uint8_t* p, Pick pick, Use use) {
    const BlockOffset<block_bytes, Pick> offset{pick};
    Step step;
    for (int h = 0; h < 2; ++h) {
      step.q[h] = Simd::signed_weights(Simd::gather16(p + 2 + 16 * h, offset));
    }
    step.d[0] = Simd::scales(p, offset);
    use(0, step);
  }
};

/// Scales and minima of the eight groups of a Q4_K or Q5_K block as floats: d * scale, then -dmin * min. They are six
/// bits each: of groups 0 to 3 in the low bits of eight bytes, of groups 4 to 7 in four more and those bytes' top bits.
HEADROOM_INLINE Simd::Table16 unpack_scales(const uint8_t* block) {
  uint32_t s, m, rest;
  std::memcpy(&s, block + 4, 4);
  std::memcpy(&m, block + 8, 4);
  std::memcpy(&rest, block + 12, 4);
  const uint32_t bytes[4] = {s & 0x3f3f3f3fu, (rest & 0x0f0f0f0fu) | (s >> 6 & 0x03030303u) << 4,  //
                             m & 0x3f3f3f3fu, (rest >> 4 & 0x0f0f0f0fu) | (m >> 6 & 0x03030303u) << 4};
  uint8_t all[16];
  std::memcpy(all, bytes, 16);
  return Simd::table16(all, Simd::half(block), -Simd::half(block + 2));
}

/// Groups 2 i and 2 i + 1 share 32 bytes: one in the low halves, one in the high halves.
HEADROOM_INLINE Simd::Bytes unpack_k_nibbles(const uint8_t* p, int first_group, int h) {
  return Simd::shift_and(
      Simd::gather16(p, [=](int b) HEADROOM_LAMBDA { return 32 * ((first_group + b) / 2) + 16 * h; }),
      [=](int b) HEADROOM_LAMBDA { return 4 * ((first_group + b) % 2); }, 15);
}

struct Q4_K : Shape<4, 0, true, 1> {
  static constexpr int block_values = 256, block_bytes = 144;
  template <typename Pick, typename Use>
  static HEADROOM_INLINE void unpack(const uint8_t* p, Pick, Use use) {
    const Simd::Table16 scales = unpack_scales(p);
    HEADROOM_UNROLL
    for (int group = 0; group < 8; group += Simd::blocks) {
      Step step;
      for (int h = 0; h < 2; ++h) step.q[h] = unpack_k_nibbles(p + 16, group, h);
      step.d[0] = Simd::spread(scales, group, 1);
      step.m = Simd::spread(scales, 8 + group, 1);
      use(group / Simd::blocks, step);
    }
  }
};

struct Q5_K : Shape<5, 0, true, 1> {
  static constexpr int block_values = 256, block_bytes = 176;
  template <typename Pick, typename Use>
  static HEADROOM_INLINE void unpack(const uint8_t* p, Pick, Use use) {
    const Simd::Table16 scales = unpack_scales(p);
    HEADROOM_UNROLL
    for (int group = 0; group < 8; group += Simd::blocks) {
      Step step;
      for (int h = 0; h < 2; ++h) {
        // Bit g of byte j is the fifth bit of value j of group g.
        const Simd::Bytes high = Simd::gather16(p + 16 + 16 * h, [](int) HEADROOM_LAMBDA { return 0; });
        const Simd::Bytes bits = Simd::shift_and(
            high, [=](int b) HEADROOM_LAMBDA { return group + b; }, 1);
        step.q[h] = Simd::or_bytes(unpack_k_nibbles(p + 48, group, h), Simd::to_high_nibbles(bits));
      }
      step.d[0] = Simd::spread(scales, group, 1);
      step.m = Simd::spread(scales, 8 + group, 1);
      use(group / Simd::blocks, step);
    }
  }
};

struct Q6_K : Shape<6, 5, false, 2> {
  static constexpr int block_values = 256, block_bytes = 210;
  template <typename Pick, typename Use>
  static HEADROOM_INLINE void unpack(const uint8_t* p, Pick, Use use) {
    const Simd::Table16 scales = Simd::table16_signed(p + 192, Simd::half(p + 208));
    HEADROOM_UNROLL
    for (int group = 0; group < 8; group += Simd::blocks) {
      Step step;
      for (int h = 0; h < 2; ++h) {
        // Of each 128 values: groups 0 and 1 in the low halves of 64 bytes, 2 and 3 in the high halves; the upper two
        // bits of value j of all four groups in byte j.
        const Simd::Bytes low = Simd::shift_and(
            Simd::gather16(p + 16 * h,
                           [=](int b) HEADROOM_LAMBDA { return 64 * ((group + b) / 4) + 32 * ((group + b) % 2); }),
            [=](int b) HEADROOM_LAMBDA { return 4 * ((group + b) % 4 / 2); }, 15);
        const Simd::Bytes high = Simd::shift_and(
            Simd::gather16(p + 128 + 16 * h, [=](int b) HEADROOM_LAMBDA { return 32 * ((group + b) / 4); }),
            [=](int b) HEADROOM_LAMBDA { return 2 * ((group + b) % 4); }, 3);
        step.q[h] = Simd::or_bytes(low, Simd::to_high_nibbles(high));
        step.d[h] = Simd::spread(scales, 2 * group + h, 2);
      }
      use(group / Simd::blocks, step);
    }
  }
};

// Float weights.
struct F32 {
  static constexpr int value_bytes = 4;
  static HEADROOM_INLINE Simd::Floats load(const uint8_t* p) { return Simd::load_f32(p); }
  static HEADROOM_INLINE float load_one(const uint8_t* p) {
    float value;
    std::memcpy(&value, p, sizeof value);
    return value;
  }
};
struct F16 {
  static constexpr int value_bytes = 2;
  static HEADROOM_INLINE Simd::Floats load(const uint8_t* p) { return Simd::load_f16(p); }
  static HEADROOM_INLINE float load_one(const uint8_t* p) { return Simd::half(p); }
};
struct BF16 {
  static constexpr int value_bytes = 2;
  static HEADROOM_INLINE Simd::Floats load(const uint8_t* p) { return Simd::load_bf16(p); }
  static HEADROOM_INLINE float load_one(const uint8_t* p) { return Simd::bfloat(p); }
};

}  // namespace
}  // namespace headroom
