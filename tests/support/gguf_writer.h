// Metadata and tensors ─► the bytes of a GGUF file, for tests. It writes whatever the test asks for, invalid files too.
// Knows nothing of models.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

namespace headroom::test {

using Bytes = std::vector<std::byte>;

/// Appends a number (little endian), or a string as GGUF writes it: u64 length, bytes.
template <typename T>
void append(Bytes& bytes, T value) {
  static_assert(std::is_arithmetic_v<T>);
  const size_t at = bytes.size();
  bytes.resize(at + sizeof(T));
  std::memcpy(bytes.data() + at, &value, sizeof(T));
}
void append_string(Bytes& bytes, const std::string& text);

/// GGUF's number for a C++ type.
template <typename T>
constexpr uint32_t gguf_type_of() {
  if constexpr (std::is_same_v<T, bool>)
    return 7;
  else if constexpr (std::is_same_v<T, float>)
    return 6;
  else if constexpr (std::is_same_v<T, double>)
    return 12;
  else if constexpr (std::is_same_v<T, uint8_t>)
    return 0;
  else if constexpr (std::is_same_v<T, int8_t>)
    return 1;
  else if constexpr (std::is_same_v<T, uint16_t>)
    return 2;
  else if constexpr (std::is_same_v<T, int16_t>)
    return 3;
  else if constexpr (std::is_same_v<T, uint32_t>)
    return 4;
  else if constexpr (std::is_same_v<T, int32_t>)
    return 5;
  else if constexpr (std::is_same_v<T, uint64_t>)
    return 10;
  else {
    static_assert(std::is_same_v<T, int64_t>);
    return 11;
  }
}

class GgufWriter {
 public:
  uint32_t version = 3;
  uint64_t alignment = 32;  // if it is not 32, set "general.alignment" too

  struct Key {
    std::string name;
    uint32_t type;
    Bytes value;  // as in the file
  };
  struct Tensor {
    std::string name;
    std::vector<uint64_t> dims;  // GGUF's order: the contiguous one first
    uint32_t type;
    Bytes data;
  };
  std::vector<Key> keys;
  std::vector<Tensor> tensors;

  /// Replaces a key of the same name. The C++ type decides the GGUF type.
  template <typename T>
  GgufWriter& set(const std::string& name, T value) {
    Bytes bytes;
    append(bytes, value);
    return set_raw(name, gguf_type_of<T>(), std::move(bytes));
  }
  GgufWriter& set(const std::string& name, const std::string& text);
  GgufWriter& set(const std::string& name, const char* text) { return set(name, std::string(text)); }
  template <typename T>
  GgufWriter& set(const std::string& name, const std::vector<T>& values) {
    Bytes bytes;
    append(bytes, gguf_type_of<T>());
    append(bytes, uint64_t{values.size()});
    for (const T value : values) append(bytes, value);
    return set_raw(name, 9, std::move(bytes));
  }
  GgufWriter& set(const std::string& name, const std::vector<std::string>& texts);
  GgufWriter& set_raw(const std::string& name, uint32_t type, Bytes value);
  GgufWriter& remove(const std::string& name);

  /// Replaces a tensor of the same name. The values are written as F32.
  GgufWriter& set_tensor(const std::string& name, std::vector<uint64_t> dims, const std::vector<float>& values);
  GgufWriter& set_tensor_raw(const std::string& name, std::vector<uint64_t> dims, uint32_t type, Bytes data);
  GgufWriter& remove_tensor(const std::string& name);
  Tensor& tensor(const std::string& name);

  Bytes bytes() const;
  void write(const std::string& path) const;
};

/// A path in the system's temporary folder that no other test of any process uses.
std::string temporary_path(const std::string& name);
void write_file(const std::string& path, const Bytes& bytes);

}  // namespace headroom::test
