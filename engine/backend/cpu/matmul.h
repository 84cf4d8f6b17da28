// The matrix product of the CPU backend: activations times one or more weight matrices, straight from the file's
// bytes. x is quantised to 16 bits once and shared by all quantised weights; float weights take x as it is.
// Knows pointers and strides, no buffers and no models.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "engine/backend/cpu/cpu_features.h"
#include "engine/base/tensor.h"

namespace headroom {

class ThreadPool;

/// The left side of the products.
struct MatmulInput {
  const float* x = nullptr;  // (n_rows, n_in), row-major
  int64_t stride = 0;        // floats from row to row, >= n_in
  int32_t n_rows = 0;
  int32_t n_in = 0;
};

/// y = x * weight^T (+ bias) (+ y before). y may not overlap x or another product's y.
struct MatmulProduct {
  TensorType type = TensorType::f32;
  const std::byte* weight = nullptr;  // (n_out, n_in), rows of row_bytes(type, n_in) bytes, no alignment needed
  int32_t n_out = 0;
  const float* bias = nullptr;  // (n_out); may be null
  float* y = nullptr;           // (n_rows, n_out), row-major
  int64_t y_stride = 0;         // floats from row to row, >= n_out
  bool accumulate = false;      // add to what y holds
};

/// Scratch that is reused from call to call: x in 16 bits, and each thread's panel of unpacked weights.
class MatmulWorkspace {
 public:
  MatmulWorkspace() = default;
  ~MatmulWorkspace() { release(); }
  MatmulWorkspace(const MatmulWorkspace&) = delete;
  MatmulWorkspace& operator=(const MatmulWorkspace&) = delete;

  /// At least this many bytes, 64-byte aligned, contents undefined. Throws Error(out_of_memory).
  std::byte* reserve(size_t bytes);
  /// Gives the memory back to the system; the next call takes it anew. Worth doing after a prefill.
  void release();
  size_t size_bytes() const { return size_bytes_; }

 private:
  std::byte* memory_ = nullptr;
  size_t size_bytes_ = 0;
};

/// All products of one x. Results do not depend on the number of threads. Quantised weights see x rounded to 16 bits
/// with one scale for each 32 values (zero where all are below 1e-30); a NaN or an infinity in x makes its row's
/// results NaN. Throws Error(out_of_memory) before anything is written.
void matmul(ThreadPool& pool, MatmulWorkspace& workspace, CpuLevel level, const MatmulInput& input,
            std::span<const MatmulProduct> products);

}  // namespace headroom
