// The vector operations of the matrix product's kernels with AVX2, FMA and F16C: eight 32-bit lanes.
// What each operation means is said in matmul_simd_portable-inl.h.
// Included into one .cpp only; everything has internal linkage.
#pragma once

#include "engine/backend/cpu/matmul_simd_x86-inl.h"

namespace headroom {
namespace {

struct Simd {
  static constexpr int lanes = 8;
  static constexpr int blocks = 2;
  static constexpr int panel_vecs = 1;
  static constexpr int tile_rows = 4;
  // There is only the product of byte pairs that saturates at 16 bits: mul_pairs and widen.
  static constexpr bool has_dot4 = false;
  static constexpr int signed_offset_bits = 0;  // w + 128 would saturate; mul_pairs_signed moves signs from w to x

  using Bytes = __m256i;
  using Ints = __m256i;
  using Shorts = __m256i;
  using Floats = __m256;
  struct Table16 {
    __m256 low, high;
  };

  // Memory.
  static HEADROOM_INLINE Bytes load_bytes(const void* p) { return load256(p); }
  static HEADROOM_INLINE void store_bytes(void* p, Bytes a) { store256(p, a); }
  static HEADROOM_INLINE Ints load_ints(const void* p) { return load256(p); }
  static HEADROOM_INLINE Floats load_f32(const void* p) { return _mm256_loadu_ps(static_cast<const float*>(p)); }
  static HEADROOM_INLINE Floats load_f16(const uint8_t* p) { return _mm256_cvtph_ps(load128(p)); }
  static HEADROOM_INLINE Floats load_bf16(const uint8_t* p) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load128(p)), 16));
  }
  static HEADROOM_INLINE void store_f32(float* p, Floats a) { _mm256_storeu_ps(p, a); }
  static HEADROOM_INLINE Floats load_first(const float* p, int n) {
    return n >= lanes ? load_f32(p) : _mm256_maskload_ps(p, first_lanes(n));
  }
  static HEADROOM_INLINE void store_first(float* p, int n, Floats a) {
    if (n >= lanes) {
      store_f32(p, a);
    } else {
      _mm256_maskstore_ps(p, first_lanes(n), a);
    }
  }
  static HEADROOM_INLINE void prefetch(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0); }
  static HEADROOM_INLINE float half(const uint8_t* p) { return half_x86(p); }
  static HEADROOM_INLINE float bfloat(const uint8_t* p) { return bfloat_x86(p); }

  // Weights.
  template <typename Offset>
  static HEADROOM_INLINE Bytes gather16(const uint8_t* p, Offset offset) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(load128(p + offset(0))), load128(p + offset(1)), 1);
  }
  template <typename Offset>
  static HEADROOM_INLINE Bytes gather4(const uint8_t* p, Offset offset) {
    const __m128i block0 = _mm_shuffle_epi32(_mm_loadu_si32(p + offset(0)), 0);
    const __m128i block1 = _mm_shuffle_epi32(_mm_loadu_si32(p + offset(1)), 0);
    return _mm256_inserti128_si256(_mm256_castsi128_si256(block0), block1, 1);
  }
  template <typename Offset>
  static HEADROOM_INLINE Floats scales(const uint8_t* p, Offset offset) {
    const __m128i halves = _mm_unpacklo_epi16(_mm_loadu_si16(p + offset(0)), _mm_loadu_si16(p + offset(1)));
    return spread8(_mm256_castps128_ps256(_mm_cvtph_ps(halves)), 0, 1);
  }
  template <typename Offset>
  static HEADROOM_INLINE void scales_and_mins(const uint8_t* p, Offset offset, Floats& d, Floats& m) {
    const __m128i halves = _mm_unpacklo_epi32(_mm_loadu_si32(p + offset(0)), _mm_loadu_si32(p + offset(1)));
    const __m256 floats = _mm256_castps128_ps256(_mm_cvtph_ps(halves));  // d0 m0 d1 m1
    d = spread8(floats, 0, 2);
    m = spread8(floats, 1, 3);
  }
  static HEADROOM_INLINE Table16 table16(const uint8_t* p, float a, float b) {
    const __m128i bytes = load128(p);
    return {_mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)), _mm256_set1_ps(a)),
            _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8))), _mm256_set1_ps(b))};
  }
  static HEADROOM_INLINE Table16 table16_signed(const uint8_t* p, float a) {
    const __m128i bytes = load128(p);
    return {_mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)), _mm256_set1_ps(a)),
            _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8))), _mm256_set1_ps(a))};
  }
  static HEADROOM_INLINE Floats spread(const Table16& table, int first, int stride) {
    return spread8(first < 8 ? table.low : table.high, first % 8, first % 8 + stride);
  }

  // Bytes.
  static HEADROOM_INLINE Bytes and_bytes(Bytes a, uint8_t mask) { return _mm256_and_si256(a, bytes_of(mask)); }
  static HEADROOM_INLINE Bytes or_bytes(Bytes a, Bytes b) { return _mm256_or_si256(a, b); }
  static HEADROOM_INLINE Bytes high_nibbles(Bytes a) { return and_bytes(_mm256_srli_epi16(a, 4), 15); }
  template <typename Shift>
  static HEADROOM_INLINE Bytes shift_and(Bytes a, Shift shift, uint8_t mask) {
    const int s0 = shift(0), s1 = shift(1);
    return and_bytes(_mm256_srlv_epi32(a, _mm256_setr_epi32(s0, s0, s0, s0, s1, s1, s1, s1)), mask);
  }
  static HEADROOM_INLINE Bytes to_high_nibbles(Bytes a) { return _mm256_slli_epi16(a, 4); }
  template <int half>
  static HEADROOM_INLINE Bytes fifth_bits(Bytes bits) {
    const __m256i which = _mm256_broadcastsi128_si256(_mm_setr_epi8(
        2 * half, 2 * half, 2 * half, 2 * half, 2 * half, 2 * half, 2 * half, 2 * half, 2 * half + 1, 2 * half + 1,
        2 * half + 1, 2 * half + 1, 2 * half + 1, 2 * half + 1, 2 * half + 1, 2 * half + 1));
    const __m256i one_bit = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201ull));
    const __m256i selected = _mm256_and_si256(_mm256_shuffle_epi8(bits, which), one_bit);
    return _mm256_and_si256(_mm256_cmpeq_epi8(selected, one_bit), bytes_of(16));
  }
  static HEADROOM_INLINE Bytes signed_weights(Bytes a) { return a; }

  // Integer products.
  static HEADROOM_INLINE Ints zero_ints() { return _mm256_setzero_si256(); }
  static HEADROOM_INLINE Ints add(Ints a, Ints b) { return _mm256_add_epi32(a, b); }
  template <int bits>
  static HEADROOM_INLINE Ints shift_left(Ints a) {
    return _mm256_slli_epi32(a, bits);
  }
  static HEADROOM_INLINE Ints broadcast_int(const void* p) { return _mm256_broadcastd_epi32(_mm_loadu_si32(p)); }
  static HEADROOM_INLINE Bytes broadcast4(const void* p) { return broadcast_int(p); }
  /// Products of neighbouring bytes of w (unsigned) and x (signed), summed in pairs; the caller minds the 16 bits.
  static HEADROOM_INLINE Shorts mul_pairs(Bytes w, Bytes x) { return _mm256_maddubs_epi16(w, x); }
  /// The same for signed w; -128 is fine in w, not in x.
  static HEADROOM_INLINE Shorts mul_pairs_signed(Bytes w, Bytes x) {
    return _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
  }
  static HEADROOM_INLINE Shorts add_shorts(Shorts a, Shorts b) { return _mm256_add_epi16(a, b); }
  /// sum + the two shorts of each lane.
  static HEADROOM_INLINE Ints widen(Ints sum, Shorts a) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(a, _mm256_set1_epi16(1)));
  }

  // Floats.
  static HEADROOM_INLINE Floats zero() { return _mm256_setzero_ps(); }
  static HEADROOM_INLINE Floats set1(float a) { return _mm256_set1_ps(a); }
  static HEADROOM_INLINE Floats to_floats(Ints a) { return _mm256_cvtepi32_ps(a); }
  static HEADROOM_INLINE Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
  static HEADROOM_INLINE Floats mul(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
  static HEADROOM_INLINE Floats fma(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
  static HEADROOM_INLINE float sum(Floats a) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
  }

  static HEADROOM_INLINE void transpose(Bytes rows[lanes]) {
    __m256i a[8], b[8];
    for (int i = 0; i < 8; i += 2) {
      a[i] = _mm256_unpacklo_epi32(rows[i], rows[i + 1]);
      a[i + 1] = _mm256_unpackhi_epi32(rows[i], rows[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
      b[i] = _mm256_unpacklo_epi64(a[i], a[i + 2]);
      b[i + 1] = _mm256_unpackhi_epi64(a[i], a[i + 2]);
      b[i + 2] = _mm256_unpacklo_epi64(a[i + 1], a[i + 3]);
      b[i + 3] = _mm256_unpackhi_epi64(a[i + 1], a[i + 3]);
    }
    for (int i = 0; i < 4; ++i) {
      rows[i] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x20);
      rows[i + 4] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x31);
    }
  }
  static HEADROOM_INLINE void transpose(Floats rows[lanes]) {
    Bytes bytes[lanes];
    for (int i = 0; i < lanes; ++i) bytes[i] = _mm256_castps_si256(rows[i]);
    transpose(bytes);
    for (int i = 0; i < lanes; ++i) rows[i] = _mm256_castsi256_ps(bytes[i]);
  }

  static HEADROOM_INLINE float quantise32(const float* x, int8_t* high, int8_t* low, int32_t* neg_sums) {
    return quantise32_x86(x, high, low, neg_sums);
  }

 private:
  static HEADROOM_INLINE __m256i bytes_of(uint8_t value) { return _mm256_set1_epi8(static_cast<char>(value)); }
  static HEADROOM_INLINE __m256i first_lanes(int n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  static HEADROOM_INLINE Floats spread8(__m256 a, int first, int second) {
    return _mm256_permutevar8x32_ps(a, _mm256_setr_epi32(first, first, first, first, second, second, second, second));
  }
};

}  // namespace
}  // namespace headroom
