// The vector operations of the matrix product's kernels in plain C++: "registers" of four 32-bit lanes. Defines the
// meaning of each operation; the AVX files do the same with wider ones.
// Included into one .cpp only; everything has internal linkage.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "engine/backend/cpu/matmul_kernels.h"

#define HEADROOM_UNROLL  // nothing here is a register that a loop could keep

namespace headroom {
namespace {

struct Simd {
  static constexpr int lanes = 4;       // 32-bit values in a register
  static constexpr int blocks = 1;      // 32-value blocks in a step: 4 lanes each
  static constexpr int panel_vecs = 1;  // registers of weight rows in a panel
  static constexpr int tile_rows = 4;
  static constexpr bool has_dot4 = true;  // a product of unsigned and signed bytes that cannot saturate
  static constexpr int signed_offset_bits = 7;

  struct Bytes {
    uint8_t v[16];
  };
  struct Ints {
    int32_t v[4];
  };
  struct Floats {
    float v[4];
  };
  struct Table16 {
    float v[16];
  };

  // Memory.
  static HEADROOM_INLINE Bytes load_bytes(const void* p) {
    Bytes r;
    std::memcpy(r.v, p, sizeof r.v);
    return r;
  }
  static HEADROOM_INLINE void store_bytes(void* p, Bytes a) { std::memcpy(p, a.v, sizeof a.v); }
  static HEADROOM_INLINE Ints load_ints(const void* p) {
    Ints r;
    std::memcpy(r.v, p, sizeof r.v);
    return r;
  }
  static HEADROOM_INLINE Floats load_f32(const void* p) {
    Floats r;
    std::memcpy(r.v, p, sizeof r.v);
    return r;
  }
  static HEADROOM_INLINE Floats load_f16(const uint8_t* p) {
    return {{half(p), half(p + 2), half(p + 4), half(p + 6)}};
  }
  static HEADROOM_INLINE Floats load_bf16(const uint8_t* p) {
    Floats r;
    for (int i = 0; i < 4; ++i) r.v[i] = bfloat(p + 2 * i);
    return r;
  }
  static HEADROOM_INLINE void store_f32(float* p, Floats a) { std::memcpy(p, a.v, sizeof a.v); }
  /// The first n lanes, 1 <= n; lanes behind them are zero and not touched in memory.
  static HEADROOM_INLINE Floats load_first(const float* p, int n) {
    Floats r = {{0, 0, 0, 0}};
    for (int i = 0; i < 4 && i < n; ++i) r.v[i] = p[i];
    return r;
  }
  static HEADROOM_INLINE void store_first(float* p, int n, Floats a) {
    for (int i = 0; i < 4 && i < n; ++i) p[i] = a.v[i];
  }
  static HEADROOM_INLINE void prefetch(const void* p) { __builtin_prefetch(p); }
  static HEADROOM_INLINE float half(const uint8_t* p) {
    uint16_t bits;
    std::memcpy(&bits, p, sizeof bits);
    const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
    const uint32_t magnitude = bits & 0x7fffu;
    if (magnitude < 0x0400u) return static_cast<float>(magnitude) * (sign != 0 ? -0x1p-24f : 0x1p-24f);
    const uint32_t exponent_shift = magnitude >= 0x7c00u ? 0x70000000u : 0x38000000u;
    return float_of((sign | (magnitude << 13)) + exponent_shift);
  }
  static HEADROOM_INLINE float bfloat(const uint8_t* p) {
    uint16_t bits;
    std::memcpy(&bits, p, sizeof bits);
    return float_of(static_cast<uint32_t>(bits) << 16);
  }

  // Weights: the 16 bytes at p + offset(b) for each block b of the step, or the 4 bytes there in all its lanes.
  template <typename Offset>
  static HEADROOM_INLINE Bytes gather16(const uint8_t* p, Offset offset) {
    return load_bytes(p + offset(0));
  }
  template <typename Offset>
  static HEADROOM_INLINE Bytes gather4(const uint8_t* p, Offset offset) {
    Bytes r;
    for (int i = 0; i < 4; ++i) std::memcpy(r.v + 4 * i, p + offset(0), 4);
    return r;
  }
  /// The f16 value at p + offset(b), in all lanes of block b.
  template <typename Offset>
  static HEADROOM_INLINE Floats scales(const uint8_t* p, Offset offset) {
    return set1(half(p + offset(0)));
  }
  /// Two f16 values, one behind the other.
  template <typename Offset>
  static HEADROOM_INLINE void scales_and_mins(const uint8_t* p, Offset offset, Floats& d, Floats& m) {
    d = set1(half(p + offset(0)));
    m = set1(half(p + offset(0) + 2));
  }
  /// 16 unsigned bytes as floats, the first eight times a, the others times b.
  static HEADROOM_INLINE Table16 table16(const uint8_t* p, float a, float b) {
    Table16 r;
    for (int i = 0; i < 16; ++i) r.v[i] = static_cast<float>(p[i]) * (i < 8 ? a : b);
    return r;
  }
  static HEADROOM_INLINE Table16 table16_signed(const uint8_t* p, float a) {
    Table16 r;
    for (int i = 0; i < 16; ++i) r.v[i] = static_cast<float>(static_cast<int8_t>(p[i])) * a;
    return r;
  }
  /// Element first + stride * b in all lanes of block b. Reads one half of the table only.
  static HEADROOM_INLINE Floats spread(const Table16& table, int first, int /*stride*/) { return set1(table.v[first]); }

  // Bytes.
  static HEADROOM_INLINE Bytes and_bytes(Bytes a, uint8_t mask) {
    for (uint8_t& byte : a.v) byte &= mask;
    return a;
  }
  static HEADROOM_INLINE Bytes or_bytes(Bytes a, Bytes b) {
    for (int i = 0; i < 16; ++i) a.v[i] = static_cast<uint8_t>(a.v[i] | b.v[i]);
    return a;
  }
  /// The high four bits of each byte.
  static HEADROOM_INLINE Bytes high_nibbles(Bytes a) {
    for (uint8_t& byte : a.v) byte = static_cast<uint8_t>(byte >> 4);
    return a;
  }
  /// (a >> shift(b)) & mask for each byte of block b.
  template <typename Shift>
  static HEADROOM_INLINE Bytes shift_and(Bytes a, Shift shift, uint8_t mask) {
    for (uint8_t& byte : a.v) byte = static_cast<uint8_t>(byte >> shift(0) & mask);
    return a;
  }
  /// Bytes below 16 to the upper half.
  static HEADROOM_INLINE Bytes to_high_nibbles(Bytes a) {
    for (uint8_t& byte : a.v) byte = static_cast<uint8_t>(byte << 4);
    return a;
  }
  /// 16 in byte j of a block where bit 16 * half + j of its 32 bits (as gather4 gives them) is set, else 0.
  template <int half>
  static HEADROOM_INLINE Bytes fifth_bits(Bytes bits) {
    Bytes r;
    for (int j = 0; j < 16; ++j) r.v[j] = static_cast<uint8_t>((bits.v[2 * half + j / 8] >> (j % 8) & 1) << 4);
    return r;
  }
  /// Signed bytes as the integer products take them: w + 2^signed_offset_bits, or as they are where that is 0.
  static HEADROOM_INLINE Bytes signed_weights(Bytes a) {
    for (uint8_t& byte : a.v) byte ^= 0x80u;
    return a;
  }

  // Integer products.
  static HEADROOM_INLINE Ints zero_ints() { return {{0, 0, 0, 0}}; }
  static HEADROOM_INLINE Ints add(Ints a, Ints b) {
    for (int i = 0; i < 4; ++i) a.v[i] += b.v[i];
    return a;
  }
  template <int bits>
  static HEADROOM_INLINE Ints shift_left(Ints a) {
    for (int32_t& value : a.v) value *= 1 << bits;
    return a;
  }
  static HEADROOM_INLINE Ints broadcast_int(const void* p) {
    int32_t value;
    std::memcpy(&value, p, sizeof value);
    return {{value, value, value, value}};
  }
  static HEADROOM_INLINE Bytes broadcast4(const void* p) {
    Bytes r;
    for (int i = 0; i < 4; ++i) std::memcpy(r.v + 4 * i, p, 4);
    return r;
  }
  /// sum + the dot product of the four unsigned bytes of w and the four signed ones of x, lane by lane.
  static HEADROOM_INLINE Ints dot4(Ints sum, Bytes w, Bytes x) {
    for (int i = 0; i < 4; ++i) {
      for (int j = 4 * i; j < 4 * i + 4; ++j) sum.v[i] += w.v[j] * static_cast<int8_t>(x.v[j]);
    }
    return sum;
  }

  // Floats.
  static HEADROOM_INLINE Floats zero() { return {{0, 0, 0, 0}}; }
  static HEADROOM_INLINE Floats set1(float a) { return {{a, a, a, a}}; }
  static HEADROOM_INLINE Floats to_floats(Ints a) {
    Floats r;
    for (int i = 0; i < 4; ++i) r.v[i] = static_cast<float>(a.v[i]);
    return r;
  }
  static HEADROOM_INLINE Floats add(Floats a, Floats b) {
    for (int i = 0; i < 4; ++i) a.v[i] += b.v[i];
    return a;
  }
  static HEADROOM_INLINE Floats mul(Floats a, Floats b) {
    for (int i = 0; i < 4; ++i) a.v[i] *= b.v[i];
    return a;
  }
  static HEADROOM_INLINE Floats fma(Floats a, Floats b, Floats c) {
    for (int i = 0; i < 4; ++i) c.v[i] += a.v[i] * b.v[i];
    return c;
  }
  static HEADROOM_INLINE float sum(Floats a) { return (a.v[0] + a.v[2]) + (a.v[1] + a.v[3]); }

  /// Rows of lanes to columns: lane i of row j becomes lane j of row i.
  static HEADROOM_INLINE void transpose(Bytes rows[lanes]) {
    uint32_t in[4][4], out[4][4];
    std::memcpy(in, rows, sizeof in);
    for (int i = 0; i < 4; ++i) {
      for (int j = 0; j < 4; ++j) out[i][j] = in[j][i];
    }
    std::memcpy(rows, out, sizeof out);
  }
  static HEADROOM_INLINE void transpose(Floats rows[lanes]) {
    float in[4][4];
    std::memcpy(in, rows, sizeof in);
    for (int i = 0; i < 4; ++i) {
      for (int j = 0; j < 4; ++j) rows[i].v[j] = in[j][i];
    }
  }

  /// 32 values to 16 bits: x is about d * q with q = 256 * high + low, rounded to nearest; high and low in -127 … 127.
  /// neg_sums: minus the sums of four neighbouring q. Where a value is not finite, q is 0 and d is not a number.
  /// Returns d.
  static HEADROOM_INLINE float quantise32(const float* x, int8_t* high, int8_t* low, int32_t* neg_sums) {
    uint32_t largest_bits = 0;  // as integers, so that a NaN is the largest
    for (int i = 0; i < 32; ++i) {
      uint32_t bits;
      std::memcpy(&bits, x + i, sizeof bits);
      bits &= 0x7fffffffu;
      if (bits > largest_bits) largest_bits = bits;
    }
    const float largest = float_of(largest_bits);
    std::memset(high, 0, 32);
    std::memset(low, 0, 32);
    std::memset(neg_sums, 0, 8 * sizeof *neg_sums);
    if (largest_bits >= 0x7f800000u) return float_of(0x7fc00000u);
    if (largest < 1e-30f) return 0;
    const float inverse = 32512.0f / largest;
    for (int i = 0; i < 32; ++i) {
      const int32_t q = static_cast<int32_t>(std::lrint(x[i] * inverse));
      const int32_t rounded = (q + 128) >> 8;
      // A byte of -128 has no counterpart of the other sign, which some instruction sets need.
      const int32_t rest = q - 256 * rounded < -127 ? -127 : q - 256 * rounded;
      high[i] = static_cast<int8_t>(rounded);
      low[i] = static_cast<int8_t>(rest);
      neg_sums[i / 4] -= 256 * rounded + rest;
    }
    return largest / 32512.0f;
  }

 private:
  static HEADROOM_INLINE float float_of(uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }
};

}  // namespace
}  // namespace headroom
