// What the AVX2 and the AVX-512 operations of the matrix product's kernels share: quantising 32 values of x.
// Included into one .cpp only; everything has internal linkage.
#pragma once

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12's own AVX-512 intrinsics start from a register that they leave undefined on purpose.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#include <cstdint>

#include "engine/backend/cpu/matmul_kernels.h"

// Arrays of registers stay in registers only where the loops over them are unrolled.
#if defined(__clang__)
#define HEADROOM_UNROLL _Pragma("unroll")
#else
#define HEADROOM_UNROLL _Pragma("GCC unroll 16")
#endif

namespace headroom {
namespace {

HEADROOM_INLINE __m128i load128(const void* p) {
  return _mm_loadu_si128(static_cast<const __m128i*>(p));
}
HEADROOM_INLINE __m256i load256(const void* p) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}
HEADROOM_INLINE void store256(void* p, __m256i a) {
  _mm256_storeu_si256(static_cast<__m256i*>(p), a);
}

HEADROOM_INLINE float half_x86(const uint8_t* p) {
  return _mm_cvtss_f32(_mm_cvtph_ps(_mm_loadu_si16(p)));
}
HEADROOM_INLINE float bfloat_x86(const uint8_t* p) {
  return _mm_cvtss_f32(_mm_castsi128_ps(_mm_slli_epi32(_mm_loadu_si16(p), 16)));
}
HEADROOM_INLINE float float_of_x86(int bits) {
  return _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(bits)));
}

/// 32 integers from -128 to 127 as bytes, and minus the sums of four.
HEADROOM_INLINE __m256i store_bytes_of_ints(const __m256i (&i)[4], int8_t* bytes) {
  // Packing works within 128-bit lanes; the permutation puts the groups of four back in order.
  const __m256i packed = _mm256_packs_epi16(_mm256_packs_epi32(i[0], i[1]), _mm256_packs_epi32(i[2], i[3]));
  const __m256i in_order = _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  store256(bytes, in_order);
  return _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_set1_epi8(1), in_order), _mm256_set1_epi16(-1));
}

/// See matmul_simd_portable-inl.h.
HEADROOM_INLINE float quantise32_x86(const float* x, int8_t* high, int8_t* low, int32_t* neg_sums) {
  const __m256i magnitude_bits = _mm256_set1_epi32(0x7fffffff);
  const __m256 v0 = _mm256_loadu_ps(x), v1 = _mm256_loadu_ps(x + 8);
  const __m256 v2 = _mm256_loadu_ps(x + 16), v3 = _mm256_loadu_ps(x + 24);
  // As integers, so that a NaN is the largest.
  const __m256i m01 = _mm256_max_epi32(_mm256_and_si256(_mm256_castps_si256(v0), magnitude_bits),
                                       _mm256_and_si256(_mm256_castps_si256(v1), magnitude_bits));
  const __m256i m23 = _mm256_max_epi32(_mm256_and_si256(_mm256_castps_si256(v2), magnitude_bits),
                                       _mm256_and_si256(_mm256_castps_si256(v3), magnitude_bits));
  const __m256i m = _mm256_max_epi32(m01, m23);
  __m128i h = _mm_max_epi32(_mm256_castsi256_si128(m), _mm256_extracti128_si256(m, 1));
  h = _mm_max_epi32(h, _mm_shuffle_epi32(h, 0x4e));
  h = _mm_max_epi32(h, _mm_shuffle_epi32(h, 0xb1));
  const int largest_bits = _mm_cvtsi128_si32(h);
  const float largest = float_of_x86(largest_bits);
  if (largest_bits >= 0x7f800000 || largest < 1e-30f) {
    store256(high, _mm256_setzero_si256());
    store256(low, _mm256_setzero_si256());
    store256(neg_sums, _mm256_setzero_si256());
    return largest_bits >= 0x7f800000 ? float_of_x86(0x7fc00000) : 0.0f;
  }
  const __m256 inverse = _mm256_set1_ps(32512.0f / largest);
  const __m256 values[4] = {v0, v1, v2, v3};
  __m256i highs[4], lows[4];
  HEADROOM_UNROLL
  for (int i = 0; i < 4; ++i) {
    const __m256i q = _mm256_cvtps_epi32(_mm256_mul_ps(values[i], inverse));
    highs[i] = _mm256_srai_epi32(_mm256_add_epi32(q, _mm256_set1_epi32(128)), 8);
    lows[i] = _mm256_max_epi32(_mm256_sub_epi32(q, _mm256_slli_epi32(highs[i], 8)), _mm256_set1_epi32(-127));
  }
  const __m256i neg_high = store_bytes_of_ints(highs, high), neg_low = store_bytes_of_ints(lows, low);
  store256(neg_sums, _mm256_add_epi32(_mm256_slli_epi32(neg_high, 8), neg_low));
  return largest / 32512.0f;
}

}  // namespace
}  // namespace headroom
