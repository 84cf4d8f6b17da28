// model.gguf ─► metadata and tensors. This is the first step of the data path. The file is not trusted: every byte is
// checked before it is used.
//
// Layout (GGUF 2 and 3, little endian): "GGUF" | u32 version | u64 n_tensors | u64 n_kv |
//   n_kv   x (string key | u32 type | value)          string: u64 length, bytes   array: u32 type, u64 count, values
//   n_tensors x (string name | u32 n_dims | u64 dims[] | u32 type | u64 offset) | padding to alignment | data
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/tensor.h"

namespace headroom {

/// Types of metadata values, with GGUF's numbers.
enum class GgufType : uint32_t {
  u8 = 0,
  i8 = 1,
  u16 = 2,
  i16 = 3,
  u32 = 4,
  i32 = 5,
  f32 = 6,
  boolean = 7,
  string = 8,
  array = 9,
  u64 = 10,
  i64 = 11,
  f64 = 12
};

/// Limits that a header must respect.
struct GgufLimits {
  static constexpr uint64_t max_string_bytes = uint64_t{16} << 20;
  static constexpr uint64_t max_array_elements = uint64_t{16} << 20;
  static constexpr uint64_t max_tensors = 65536;
  static constexpr uint64_t max_keys = 65536;
  static constexpr uint64_t max_layers = 1024;
};

/// A metadata value. It refers to bytes of the file, which the typed getters decode.
struct GgufValue {
  GgufType type = GgufType::u8;
  GgufType element_type = GgufType::u8;   // arrays only
  uint64_t count = 1;                     // number of elements of an array
  std::span<const std::byte> bytes = {};  // the value; for a string without its length, for an array its elements
};

class GgufFile {
 public:
  /// Maps the file read-only and checks its header. For the first part of a split file ("-00001-of-0000N.gguf"), opens
  /// the other parts in its folder too. Throws Error with file, field, found and expected.
  static GgufFile open(const std::string& path);
  /// Like open, but for bytes in memory, which must outlive the result (for tests and fuzzing). `name` replaces the
  /// path in messages.
  static GgufFile from_bytes(std::span<const std::byte> bytes, const std::string& name);

  GgufFile(GgufFile&&) noexcept;
  GgufFile& operator=(GgufFile&&) noexcept;
  ~GgufFile();

  const std::string& path() const;
  uint32_t version() const;
  uint64_t file_bytes() const;  // of all parts

  struct Tensor {
    std::string name;
    uint32_t ggml_type = 0;     // if the type is not supported, bytes is empty
    std::vector<int64_t> dims;  // GGUF's order: the contiguous one first
    std::span<const std::byte> bytes;
  };
  const std::vector<Tensor>& tensors() const;
  const Tensor* find_tensor(std::string_view name) const;

  const std::map<std::string, GgufValue, std::less<>>& metadata() const;
  const GgufValue* find(std::string_view key) const;

  // Typed access. Returns nothing if the key is missing, and throws Error if it has another type. Integers of every
  // width are accepted if the value fits.
  std::optional<int64_t> get_int(std::string_view key) const;
  std::optional<double> get_float(std::string_view key) const;
  std::optional<bool> get_bool(std::string_view key) const;
  std::optional<std::string> get_string(std::string_view key) const;
  std::optional<std::vector<std::string>> get_strings(std::string_view key) const;
  std::optional<std::vector<float>> get_floats(std::string_view key) const;
  std::optional<std::vector<int64_t>> get_ints(std::string_view key) const;  // arrays of bool as 0 and 1

  /// Throws Error if the file on disk was truncated since it was mapped.
  void check_still_whole() const;

 private:
  struct Impl;
  explicit GgufFile(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace headroom
