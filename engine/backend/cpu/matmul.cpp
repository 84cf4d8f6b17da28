// The matrix product of the CPU backend: brings x into the form that the kernels take, cuts the products into chunks of
// weight rows and shares them out among the threads.
#include "engine/backend/cpu/matmul.h"

#include <algorithm>
#include <cassert>

#include "engine/backend/cpu/matmul_kernels.h"
#include "engine/backend/cpu/thread_pool.h"
#include "engine/base/platform/platform.h"

namespace headroom {
namespace {

// A chunk of weights a thread takes at a time: some microseconds, so that a late thread costs no more than that.
constexpr int64_t gemv_chunk_bytes = 32 << 10;
// Where there are few weight rows for the threads, x is cut as well, but not finer than this: each cut unpacks anew.
constexpr int32_t least_rows_of_a_cut = 96;

const MatmulKernels& kernels_of(CpuLevel level) {
  const MatmulKernels* kernels = nullptr;
  switch (level) {
    case CpuLevel::portable:
      kernels = matmul_kernels_portable();
      break;
    case CpuLevel::avx2:
      kernels = matmul_kernels_avx2();
      break;
    case CpuLevel::avx512:
      kernels = matmul_kernels_avx512();
      break;
    case CpuLevel::avx512vnni:
      kernels = matmul_kernels_avx512vnni();
      break;
  }
  assert(kernels != nullptr);
  return *kernels;
}

int64_t divide_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}
size_t round_up_to_line(size_t bytes) {
  return (bytes + 63) / 64 * 64;
}

/// What the kernels need of one product, for weight rows `begin` to `end`.
MatmulJob make_job(const MatmulInput& input, const MatmulProduct& product, int64_t begin, int64_t end) {
  const int64_t weight_row_bytes = static_cast<int64_t>(row_bytes(product.type, input.n_in));
  MatmulJob job{};
  job.type = product.type;
  job.weight = reinterpret_cast<const uint8_t*>(product.weight) + begin * weight_row_bytes;
  job.weight_row_bytes = weight_row_bytes;
  job.n_weight_rows = static_cast<int32_t>(end - begin);
  job.n_in = input.n_in;
  job.n_rows = input.n_rows;
  job.x = input.x;
  job.x_stride = input.stride;
  job.y = product.y + begin;
  job.y_stride = product.y_stride;
  job.bias = product.bias != nullptr ? product.bias + begin : nullptr;
  job.accumulate = product.accumulate;
  return job;
}

/// Calls use(product, chunk of the product, thread) for every chunk of every product, on all threads.
template <typename CountChunks, typename Use>
void for_each_chunk(ThreadPool& pool, std::span<const MatmulProduct> products, CountChunks count_chunks, Use use) {
  int64_t n_chunks = 0;
  for (const MatmulProduct& product : products) n_chunks += count_chunks(product);
  pool.parallel_for(n_chunks, 1, [&](int64_t begin, int64_t end, int thread) {
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      int64_t in_product = chunk;
      size_t p = 0;
      for (; in_product >= count_chunks(products[p]); ++p) in_product -= count_chunks(products[p]);
      use(products[p], in_product, thread);
    }
  });
}

void multiply_by_gemv(ThreadPool& pool, MatmulWorkspace& workspace, const MatmulKernels& kernels,
                      const MatmulInput& input, std::span<const MatmulProduct> products, bool any_quantised) {
  std::byte* x_quantised = nullptr;
  const size_t x_row_bytes = kernels.row_bytes(input.n_in);
  if (any_quantised) {
    x_quantised = workspace.reserve(x_row_bytes * static_cast<size_t>(input.n_rows));
    // A row takes about a microsecond: less than waking a thread for it.
    for (int32_t r = 0; r < input.n_rows; ++r) {
      kernels.quantise_row(input.x + r * input.stride, input.n_in, x_quantised + static_cast<size_t>(r) * x_row_bytes);
    }
  }
  int64_t total_bytes = 0;
  for (const MatmulProduct& product : products) {
    total_bytes += product.n_out * static_cast<int64_t>(row_bytes(product.type, input.n_in));
  }
  const int64_t chunk_bytes = std::min(gemv_chunk_bytes, total_bytes / (4 * pool.n_threads()) + 1);
  auto rows_of_chunk = [&](const MatmulProduct& product) {
    return divide_up(chunk_bytes, static_cast<int64_t>(row_bytes(product.type, input.n_in)));
  };
  for_each_chunk(
      pool, products, [&](const MatmulProduct& product) { return divide_up(product.n_out, rows_of_chunk(product)); },
      [&](const MatmulProduct& product, int64_t chunk, int) {
        const int64_t begin = chunk * rows_of_chunk(product);
        MatmulJob job =
            make_job(input, product, begin, std::min<int64_t>(begin + rows_of_chunk(product), product.n_out));
        job.x_quantised = x_quantised;
        job.x_quantised_stride_bytes = static_cast<int64_t>(x_row_bytes);
        kernels.gemv(job);
      });
}

void multiply_by_gemm(ThreadPool& pool, MatmulWorkspace& workspace, const MatmulKernels& kernels,
                      const MatmulInput& input, std::span<const MatmulProduct> products, bool any_quantised) {
  const int32_t n_tiles = static_cast<int32_t>(divide_up(input.n_rows, kernels.tile_rows));
  const size_t tile_bytes = any_quantised ? round_up_to_line(kernels.tile_bytes(input.n_in)) : 0;
  const size_t x_bytes = tile_bytes * static_cast<size_t>(n_tiles);
  const size_t scratch_bytes = round_up_to_line(kernels.scratch_bytes);
  std::byte* memory = workspace.reserve(x_bytes + scratch_bytes * static_cast<size_t>(pool.n_threads()));
  if (any_quantised) {
    pool.parallel_for(n_tiles, 2, [&](int64_t begin, int64_t end, int) {
      for (int64_t tile = begin; tile < end; ++tile) {
        const TileRows rows = tile_rows_of(static_cast<int32_t>(tile), n_tiles, input.n_rows);
        kernels.quantise_tile(input.x + rows.first * input.stride, input.stride, rows.count, input.n_in,
                              memory + static_cast<size_t>(tile) * tile_bytes);
      }
    });
  }
  int64_t n_row_chunks = 0;
  for (const MatmulProduct& product : products) n_row_chunks += divide_up(product.n_out, most_chunk_rows);
  const int64_t n_wanted_cuts = divide_up(4 * pool.n_threads(), n_row_chunks);
  const int64_t n_cuts = std::max<int64_t>(1, std::min<int64_t>(n_wanted_cuts, input.n_rows / least_rows_of_a_cut));
  for_each_chunk(
      pool, products, [&](const MatmulProduct& product) { return n_cuts * divide_up(product.n_out, most_chunk_rows); },
      [&](const MatmulProduct& product, int64_t chunk, int thread) {
        const int64_t begin = chunk / n_cuts * most_chunk_rows, cut = chunk % n_cuts;
        MatmulJob job = make_job(input, product, begin, std::min<int64_t>(begin + most_chunk_rows, product.n_out));
        job.x_quantised = memory;
        job.x_quantised_stride_bytes = static_cast<int64_t>(tile_bytes);
        job.n_tiles = n_tiles;
        job.first_tile = static_cast<int32_t>(cut * n_tiles / n_cuts);
        job.end_tile = static_cast<int32_t>((cut + 1) * n_tiles / n_cuts);
        kernels.gemm(job, memory + x_bytes + scratch_bytes * static_cast<size_t>(thread));
      });
}

}  // namespace

std::byte* MatmulWorkspace::reserve(size_t bytes) {
  if (bytes <= size_bytes_) return memory_;
  release();
  memory_ = map_memory(bytes);
  size_bytes_ = bytes;
  return memory_;
}

void MatmulWorkspace::release() {
  if (memory_ != nullptr) unmap_memory(memory_, size_bytes_);
  memory_ = nullptr;
  size_bytes_ = 0;
}

void matmul(ThreadPool& pool, MatmulWorkspace& workspace, CpuLevel level, const MatmulInput& input,
            std::span<const MatmulProduct> products) {
  assert(input.n_rows >= 0 && input.n_in > 0 && input.stride >= input.n_in);
  if (input.n_rows == 0 || products.empty()) return;
  bool any_quantised = false;
  for (const MatmulProduct& product : products) {
    assert(product.y_stride >= product.n_out && input.n_in % type_traits(product.type).block_values == 0);
    any_quantised = any_quantised || type_traits(product.type).is_quantised();
  }
  const auto multiply = input.n_rows < least_gemm_rows ? multiply_by_gemv : multiply_by_gemm;
  multiply(pool, workspace, kernels_of(level), input, products, any_quantised);
}

}  // namespace headroom
