// The bytes of one GGUF file ─► its header, with every number checked against the limits and the file's size. GgufFile
// uses it and joins the parts of split files. Knows no models.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/model/gguf.h"

namespace headroom {

struct GgufHeader {
  uint32_t version = 0;
  std::map<std::string, GgufValue, std::less<>> metadata;
  std::vector<GgufFile::Tensor> tensors;
};

/// The spans of the result point into `bytes`. Throws Error with `file`, field, found and expected. Memory is allocated
/// only for data that is in the file, never by a number that the file claims.
GgufHeader read_gguf_header(std::span<const std::byte> bytes, const std::string& file);

/// Calls visit(text) for each string of an array value, in order. Returns false if the bytes end too early. Bounds are
/// checked again, because a mapped file can change after its header was checked.
template <typename Visit>
bool visit_strings(const GgufValue& value, const Visit& visit) {
  size_t at = 0;
  for (uint64_t i = 0; i < value.count; ++i) {
    uint64_t length = 0;
    if (value.bytes.size() - at < sizeof(length)) return false;
    std::memcpy(&length, value.bytes.data() + at, sizeof(length));
    at += sizeof(length);
    if (value.bytes.size() - at < length) return false;
    visit(std::string_view(reinterpret_cast<const char*>(value.bytes.data() + at), static_cast<size_t>(length)));
    at += static_cast<size_t>(length);
  }
  return true;
}

/// gguf_type_name: "u32", "string", … gguf_type_bytes: size of one value; 0 for string and array.
std::string_view gguf_type_name(GgufType type);
size_t gguf_type_bytes(GgufType type);

}  // namespace headroom
