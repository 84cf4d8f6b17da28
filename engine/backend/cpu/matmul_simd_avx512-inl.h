// The vector operations of the matrix product's kernels with AVX-512 (F, BW, DQ, VL), with VNNI where the file that
// includes this is compiled for it: sixteen 32-bit lanes.
// What each operation means is said in matmul_simd_portable-inl.h.
// Included into one .cpp only; everything has internal linkage.
#pragma once

#include "engine/backend/cpu/matmul_simd_x86-inl.h"

namespace headroom {
namespace {

struct Simd {
  static constexpr int lanes = 16;
  static constexpr int blocks = 4;
  static constexpr int panel_vecs = 2;
#if defined(__AVX512VNNI__)
  static constexpr int tile_rows = 6;  // 2 * 6 integer and 2 * 6 float sums in 32 registers
  static constexpr bool has_dot4 = true;
  static constexpr int signed_offset_bits = 7;
#else
  static constexpr int tile_rows = 4;  // 16-bit sums beside them
  static constexpr bool has_dot4 = false;
  static constexpr int signed_offset_bits = 0;
#endif

  using Bytes = __m512i;
  using Ints = __m512i;
  using Shorts = __m512i;
  using Floats = __m512;
  using Table16 = __m512;

  // Memory.
  static HEADROOM_INLINE Bytes load_bytes(const void* p) {
    return _mm512_loadu_si512(p);
  }
  static HEADROOM_INLINE void store_bytes(void* p, Bytes a) {
    _mm512_storeu_si512(p, a);
  }
  static HEADROOM_INLINE Ints load_ints(const void* p) {
    return _mm512_loadu_si512(p);
  }
  static HEADROOM_INLINE Floats load_f32(const void* p) {
    return _mm512_loadu_ps(p);
  }
  static HEADROOM_INLINE Floats load_f16(const uint8_t* p) {
    return _mm512_cvtph_ps(load256(p));
  }
  static HEADROOM_INLINE Floats load_bf16(const uint8_t* p) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(load256(p)), 16));
  }
  static HEADROOM_INLINE void store_f32(float* p, Floats a) {
    _mm512_storeu_ps(p, a);
  }
  static HEADROOM_INLINE Floats load_first(const float* p, int n) {
    return _mm512_maskz_loadu_ps(first_lanes(n), p);
  }
  static HEADROOM_INLINE void store_first(float* p, int n, Floats a) {
    _mm512_mask_storeu_ps(p, first_lanes(n), a);
  }
  static HEADROOM_INLINE void prefetch(const void* p) {
    _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0);
  }
  static HEADROOM_INLINE float half(const uint8_t* p) {
    return half_x86(p);
  }
  static HEADROOM_INLINE float bfloat(const uint8_t* p) {
    return bfloat_x86(p);
  }

  // Weights.
  template <typename Offset>
  static HEADROOM_INLINE Bytes gather16(const uint8_t* p, Offset offset) {
    // An insert from memory costs no shuffle.
    __m512i r = _mm512_castsi128_si512(load128(p + offset(0)));
    r = _mm512_inserti32x4(r, load128(p + offset(1)), 1);
    r = _mm512_inserti32x4(r, load128(p + offset(2)), 2);
    return _mm512_inserti32x4(r, load128(p + offset(3)), 3);
  }
  template <typename Offset>
  static HEADROOM_INLINE Bytes gather4(const uint8_t* p, Offset offset) {
    __m512i r = _mm512_broadcastd_epi32(_mm_loadu_si32(p + offset(0)));
    r = _mm512_mask_broadcastd_epi32(r, 0x00f0, _mm_loadu_si32(p + offset(1)));
    r = _mm512_mask_broadcastd_epi32(r, 0x0f00, _mm_loadu_si32(p + offset(2)));
    return _mm512_mask_broadcastd_epi32(r, 0xf000, _mm_loadu_si32(p + offset(3)));
  }
  template <typename Offset>
  static HEADROOM_INLINE Floats scales(const uint8_t* p, Offset offset) {
    // The low half of each lane is the scale; what is above it, of the values, goes away in the conversion's spread.
    const __m256 floats = _mm256_cvtph_ps(gather_pairs(p, offset));
    return spread4(floats, 0);
  }
  template <typename Offset>
  static HEADROOM_INLINE void scales_and_mins(const uint8_t* p, Offset offset, Floats& d, Floats& m) {
    const __m256 floats = _mm256_cvtph_ps(gather_pairs(p, offset));  // d0 m0 d1 m1 d2 m2 d3 m3
    d = spread4(floats, 0);
    m = spread4(floats, 1);
  }
  static HEADROOM_INLINE Table16 table16(const uint8_t* p, float a, float b) {
    const __m512 factors = _mm512_mask_mov_ps(_mm512_set1_ps(a), 0xff00, _mm512_set1_ps(b));
    return _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(load128(p))), factors);
  }
  static HEADROOM_INLINE Table16 table16_signed(const uint8_t* p, float a) {
    return _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(load128(p))), _mm512_set1_ps(a));
  }
  static HEADROOM_INLINE Floats spread(Table16 table, int first, int stride) {
    return _mm512_permutexvar_ps(lanes_of_blocks(first, first + stride, first + 2 * stride, first + 3 * stride), table);
  }

  // Bytes.
  static HEADROOM_INLINE Bytes and_bytes(Bytes a, uint8_t mask) {
    return _mm512_and_si512(a, bytes_of(mask));
  }
  static HEADROOM_INLINE Bytes or_bytes(Bytes a, Bytes b) {
    return _mm512_or_si512(a, b);
  }
  static HEADROOM_INLINE Bytes high_nibbles(Bytes a) {
    return and_bytes(_mm512_srli_epi16(a, 4), 15);
  }
  template <typename Shift>
  static HEADROOM_INLINE Bytes shift_and(Bytes a, Shift shift, uint8_t mask) {
    return and_bytes(_mm512_srlv_epi32(a, lanes_of_blocks(shift(0), shift(1), shift(2), shift(3))), mask);
  }
  static HEADROOM_INLINE Bytes to_high_nibbles(Bytes a) {
    return _mm512_slli_epi16(a, 4);
  }
  template <int half>
  static HEADROOM_INLINE Bytes fifth_bits(Bytes bits) {
    constexpr long long byte0 = 0x0101010101010101ll * (2 * half), byte1 = 0x0101010101010101ll * (2 * half + 1);
    const __m512i which = _mm512_set_epi64(byte1, byte0, byte1, byte0, byte1, byte0, byte1, byte0);
    const __m512i one_bit = _mm512_set1_epi64(static_cast<long long>(0x8040201008040201ull));
    const __mmask64 is_set = _mm512_test_epi8_mask(_mm512_shuffle_epi8(bits, which), one_bit);
    return _mm512_maskz_mov_epi8(is_set, bytes_of(16));
  }
  static HEADROOM_INLINE Bytes signed_weights(Bytes a) {
    return has_dot4 ? _mm512_xor_si512(a, bytes_of(0x80)) : a;
  }

  // Integer products.
  static HEADROOM_INLINE Ints zero_ints() {
    return _mm512_setzero_si512();
  }
  static HEADROOM_INLINE Ints add(Ints a, Ints b) {
    return _mm512_add_epi32(a, b);
  }
  template <int bits>
  static HEADROOM_INLINE Ints shift_left(Ints a) {
    return _mm512_slli_epi32(a, bits);
  }
  static HEADROOM_INLINE Ints broadcast_int(const void* p) {
    return _mm512_broadcastd_epi32(_mm_loadu_si32(p));
  }
  static HEADROOM_INLINE Bytes broadcast4(const void* p) {
    return broadcast_int(p);
  }
#if defined(__AVX512VNNI__)
  static HEADROOM_INLINE Ints dot4(Ints sum, Bytes w, Bytes x) {
    return _mm512_dpbusd_epi32(sum, w, x);
  }
#else
  // See matmul_simd_avx2-inl.h.
  static HEADROOM_INLINE Shorts mul_pairs(Bytes w, Bytes x) {
    return _mm512_maddubs_epi16(w, x);
  }
  static HEADROOM_INLINE Shorts mul_pairs_signed(Bytes w, Bytes x) {
    const __m512i signed_x = _mm512_mask_sub_epi8(x, _mm512_movepi8_mask(w), _mm512_setzero_si512(), x);
    return _mm512_maddubs_epi16(_mm512_abs_epi8(w), signed_x);
  }
  static HEADROOM_INLINE Shorts add_shorts(Shorts a, Shorts b) {
    return _mm512_add_epi16(a, b);
  }
  static HEADROOM_INLINE Ints widen(Ints sum, Shorts a) {
    return _mm512_add_epi32(sum, _mm512_madd_epi16(a, _mm512_set1_epi16(1)));
  }
#endif

  // Floats.
  static HEADROOM_INLINE Floats zero() {
    return _mm512_setzero_ps();
  }
  static HEADROOM_INLINE Floats set1(float a) {
    return _mm512_set1_ps(a);
  }
  static HEADROOM_INLINE Floats to_floats(Ints a) {
    return _mm512_cvtepi32_ps(a);
  }
  static HEADROOM_INLINE Floats add(Floats a, Floats b) {
    return _mm512_add_ps(a, b);
  }
  static HEADROOM_INLINE Floats mul(Floats a, Floats b) {
    return _mm512_mul_ps(a, b);
  }
  static HEADROOM_INLINE Floats fma(Floats a, Floats b, Floats c) {
    return _mm512_fmadd_ps(a, b, c);
  }
  static HEADROOM_INLINE float sum(Floats a) {
    return _mm512_reduce_add_ps(a);
  }

  static HEADROOM_INLINE void transpose(Bytes rows[lanes]) {
    __m512i a[16], b[16];
    for (int i = 0; i < 16; i += 2) {
      a[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
      a[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
      b[i] = _mm512_unpacklo_epi64(a[i], a[i + 2]);
      b[i + 1] = _mm512_unpackhi_epi64(a[i], a[i + 2]);
      b[i + 2] = _mm512_unpacklo_epi64(a[i + 1], a[i + 3]);
      b[i + 3] = _mm512_unpackhi_epi64(a[i + 1], a[i + 3]);
    }
    // Now b[4 r + c] holds column 4 k + c of rows 4 r … 4 r + 3 in its 128-bit part k.
    for (int c = 0; c < 4; ++c) {
      const __m512i low01 = _mm512_shuffle_i32x4(b[c], b[4 + c], 0x44),
                    low23 = _mm512_shuffle_i32x4(b[8 + c], b[12 + c], 0x44);
      const __m512i high01 = _mm512_shuffle_i32x4(b[c], b[4 + c], 0xee),
                    high23 = _mm512_shuffle_i32x4(b[8 + c], b[12 + c], 0xee);
      rows[c] = _mm512_shuffle_i32x4(low01, low23, 0x88);
      rows[4 + c] = _mm512_shuffle_i32x4(low01, low23, 0xdd);
      rows[8 + c] = _mm512_shuffle_i32x4(high01, high23, 0x88);
      rows[12 + c] = _mm512_shuffle_i32x4(high01, high23, 0xdd);
    }
  }
  static HEADROOM_INLINE void transpose(Floats rows[lanes]) {
    Bytes bytes[lanes];
    for (int i = 0; i < lanes; ++i) bytes[i] = _mm512_castps_si512(rows[i]);
    transpose(bytes);
    for (int i = 0; i < lanes; ++i) rows[i] = _mm512_castsi512_ps(bytes[i]);
  }

  static HEADROOM_INLINE float quantise32(const float* x, int8_t* high, int8_t* low, int32_t* neg_sums) {
    return quantise32_x86(x, high, low, neg_sums);
  }

 private:
  static HEADROOM_INLINE __m512i bytes_of(uint8_t value) {
    return _mm512_set1_epi8(static_cast<char>(value));
  }
  static HEADROOM_INLINE __mmask16 first_lanes(int n) {
    return n >= lanes ? static_cast<__mmask16>(0xffff) : static_cast<__mmask16>((1u << n) - 1u);
  }
  /// One value for the four lanes of each block.
  static HEADROOM_INLINE __m512i lanes_of_blocks(int b0, int b1, int b2, int b3) {
    return _mm512_setr_epi32(b0, b0, b0, b0, b1, b1, b1, b1, b2, b2, b2, b2, b3, b3, b3, b3);
  }
  /// The four bytes at p + offset(b), one block behind the other.
  template <typename Offset>
  static HEADROOM_INLINE __m128i gather_pairs(const uint8_t* p, Offset offset) {
    __m128i r = _mm_loadu_si32(p + offset(0));
    r = _mm_mask_broadcastd_epi32(r, 2, _mm_loadu_si32(p + offset(1)));
    r = _mm_mask_broadcastd_epi32(r, 4, _mm_loadu_si32(p + offset(2)));
    return _mm_mask_broadcastd_epi32(r, 8, _mm_loadu_si32(p + offset(3)));
  }
  static HEADROOM_INLINE Floats spread4(__m256 pairs, int first) {
    return _mm512_permutexvar_ps(lanes_of_blocks(first, first + 2, first + 4, first + 6),
                                 _mm512_castps256_ps512(pairs));
  }
};

}  // namespace
}  // namespace headroom
