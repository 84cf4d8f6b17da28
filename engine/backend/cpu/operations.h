// The vectorised, threaded operations of the CPU backend, one file each. They compute on pointers and strides in host
// memory; what they mean is said once, in backend.h.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/backend/cpu/host_memory.h"
#include "engine/backend/cpu/thread_pool.h"

namespace headroom {

/// Softmax works in powers of two: the factor goes into the queries.
inline constexpr float log2_e = 1.44269504088896340736f;

/// Chunk of rows that gives a thread enough to do to be worth waking, at most all rows.
constexpr int64_t row_chunk(int64_t n_cols) {
  return 1 + 16384 / (n_cols + 1);
}

void embed(ThreadPool& pool, const TensorView& table, std::span<const TokenId> ids, float scale, const Matrix& out);

void rms_norm(ThreadPool& pool, const Matrix& x, const float* gain, float eps, const Matrix& out);

/// Cosines and sines for a range of positions, kept from call to call: Q and K of all layers use the same.
class RopeTables {
 public:
  struct Table {
    std::vector<float> frequencies;  // (n_rot / 2)
    int32_t position0 = 0;
    int32_t n_positions = 0;
    std::vector<float> cos_sin;  // (n_positions, n_rot): n_rot / 2 cosines, then n_rot / 2 sines

    const float* row(int32_t position) const {
      return cos_sin.data() + static_cast<size_t>(position - position0) * 2 * frequencies.size();
    }
  };
  const Table& find(std::span<const float> frequencies, int32_t position0, int32_t n_positions);

 private:
  std::vector<Table> tables_;  // one for each set of frequencies that was seen lately
};

void rope(ThreadPool& pool, RopeTables& tables, const Matrix& x, int32_t head_dim, int32_t position0, RopeStyle style,
          std::span<const float> frequencies);

void add(ThreadPool& pool, const Matrix& x, const Matrix& y);

void gated_activation(ThreadPool& pool, Activation activation, const Matrix& gate, const Matrix& up);

void store_kv(ThreadPool& pool, const Matrix& k, const Matrix& v, const KvScratch& kv, int32_t first_row);

/// head_dim values, f32 or f16, to 8 bits.
void quantize_row(const float* from, int32_t head_dim, CacheRow to);
void quantize_row(const uint16_t* from, int32_t head_dim, CacheRow to);

/// scratch: one for each thread of the pool.
void attend_prefill(ThreadPool& pool, std::span<Scratch> scratch, const AttendPrefill& args, const Slabs& slabs);

/// scratch: one for each thread of the pool.
void add_query_moments(ThreadPool& pool, std::span<Scratch> scratch, const Matrix& q, int32_t head_dim,
                       const QueryMoments& moments);

/// scratch: one for each thread of the pool.
void expected_attention(ThreadPool& pool, std::span<Scratch> scratch, const ExpectedAttention& args,
                        const Slabs& slabs);

/// What one layer's decode attention works on.
struct AttendDecode {
  std::span<const HeadView> heads;  // (n_kv_heads), the new token included
  int32_t group = 0;                // query heads of a KV head
  float scale = 0;
  const float* q = nullptr;  // (n_kv_heads * group, head_dim)
  float* out = nullptr;      // (n_kv_heads * group, head_dim)
};

struct DecodeScratch {
  std::vector<PageView> pages;
  Scratch floats;
};

/// clock: counts its two stages; bytes: of the first
void attend_decode(ThreadPool& pool, StageClock& clock, double bytes, DecodeScratch& scratch, const AttendDecode& args,
                   const Slabs& slabs);

/// What threads that only read a large buffer reach, in 1e9 bytes per second.
double measure_read_gb_per_s(ThreadPool& pool);

/// Slots that a head's rule lets go, in the order in which they leave, each numbered as the head stands when its turn
/// comes (slots before it have left and the last slot has taken each one's place).
void select_evictions(HeadView head, const KeepRule& rule, const Slabs& slabs, std::vector<int32_t>& slots);

}  // namespace headroom
