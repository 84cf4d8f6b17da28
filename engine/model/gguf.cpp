// A path ─► one GgufFile with all parts of a split file, and typed access to its metadata. Uses the header reader; the
// code that interprets the metadata as a model uses it. Knows no model.
#include "engine/model/gguf.h"

#include <cstdio>
#include <cstring>
#include <unordered_map>

#include "engine/base/platform/platform.h"
#include "engine/model/gguf_header.h"
#include "engine/model/refusal.h"

namespace headroom {
namespace {

// Limits for one array that is copied from the file: four times the largest real vocabularies.
constexpr uint64_t max_copied_strings = uint64_t{1} << 20;
constexpr uint64_t max_copied_string_bytes = uint64_t{32} << 20;

std::string type_text(const GgufValue& value) {
  if (value.type != GgufType::array) return "type " + std::string(gguf_type_name(value.type));
  return "an array of " + std::string(gguf_type_name(value.element_type));
}

template <typename T>
T read_at(std::span<const std::byte> bytes, size_t index) {
  T value;
  std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
  return value;
}

// Element `index` of an array of integers or bools. Nothing for other types, or if the value does not fit into i64.
std::optional<int64_t> read_integer(GgufType type, std::span<const std::byte> bytes, size_t index) {
  switch (type) {
    case GgufType::u8:
    case GgufType::boolean:
      return read_at<uint8_t>(bytes, index);
    case GgufType::i8:
      return read_at<int8_t>(bytes, index);
    case GgufType::u16:
      return read_at<uint16_t>(bytes, index);
    case GgufType::i16:
      return read_at<int16_t>(bytes, index);
    case GgufType::u32:
      return read_at<uint32_t>(bytes, index);
    case GgufType::i32:
      return read_at<int32_t>(bytes, index);
    case GgufType::i64:
      return read_at<int64_t>(bytes, index);
    case GgufType::u64: {
      const auto value = read_at<uint64_t>(bytes, index);
      if (value > static_cast<uint64_t>(INT64_MAX)) return std::nullopt;
      return static_cast<int64_t>(value);
    }
    default:
      return std::nullopt;
  }
}

// The end of a part's file name: "-00002-of-00005.gguf".
std::string split_suffix(int64_t part, int64_t n_parts) {
  char suffix[64];
  std::snprintf(suffix, sizeof(suffix), "-%05lld-of-%05lld.gguf", static_cast<long long>(part),
                static_cast<long long>(n_parts));
  return suffix;
}

}  // namespace

struct GgufFile::Impl {
  std::string path;
  uint32_t version = 0;
  uint64_t file_bytes = 0;
  std::vector<MappedFile> parts;  // empty if the bytes are in memory
  std::map<std::string, GgufValue, std::less<>> metadata;
  std::vector<Tensor> tensors;
  std::unordered_map<std::string_view, size_t> tensor_index;  // keys point into `tensors`, which no longer changes

  std::optional<int64_t> split_number(const GgufHeader& header, const std::string& file, std::string_view key) const {
    const auto found = header.metadata.find(key);
    if (found == header.metadata.end()) return std::nullopt;
    const auto value = found->second.type == GgufType::boolean
                           ? std::nullopt
                           : read_integer(found->second.type, found->second.bytes, 0);
    if (!value || *value < 0) refuse(file, key_field(key), type_text(found->second), "an integer of 0 or more");
    return value;
  }

  void index_tensors() {
    tensor_index.reserve(tensors.size());
    for (size_t i = 0; i < tensors.size(); ++i) {
      if (!tensor_index.emplace(tensors[i].name, i).second)
        refuse(path, "tensor " + quoted(tensors[i].name), "it in two parts", "every tensor once");
    }
  }

  void open_other_parts(int64_t n_parts, std::string_view stem);
};

// Opens parts 2 to n_parts. They may contain only tensors: metadata that could change the model must be in part 1.
void GgufFile::Impl::open_other_parts(int64_t n_parts, std::string_view stem) {
  for (int64_t part = 2; part <= n_parts; ++part) {
    parts.push_back(MappedFile::open(std::string(stem) + split_suffix(part, n_parts)));
    const std::string& file = parts.back().path();
    GgufHeader header = read_gguf_header(parts.back().bytes(), file);
    const auto number = split_number(header, file, "split.no"), count = split_number(header, file, "split.count");
    if (number != part - 1)
      refuse(file, key_field("split.no"), number ? std::to_string(*number) : "none", std::to_string(part - 1));
    if (count != n_parts)
      refuse(file, key_field("split.count"), count ? std::to_string(*count) : "none", std::to_string(n_parts));
    for (const auto& [key, value] : header.metadata) {
      if (key.compare(0, 6, "split.") != 0 && key.compare(0, 8, "general.") != 0)
        refuse(file, key_field(key), "it in part " + std::to_string(part), "model metadata in part 1 only");
    }
    if (tensors.size() + header.tensors.size() > GgufLimits::max_tensors)
      refuse(file, "tensor count", "more than " + std::to_string(GgufLimits::max_tensors) + " in all parts", "fewer");
    for (Tensor& tensor : header.tensors) tensors.push_back(std::move(tensor));
    file_bytes += parts.back().bytes().size();
  }
}

GgufFile GgufFile::open(const std::string& path) {
  auto impl = std::make_unique<Impl>();
  impl->path = path;
  impl->parts.push_back(MappedFile::open(path));
  const auto bytes = impl->parts.front().bytes();
  GgufHeader header = read_gguf_header(bytes, path);
  const int64_t n_parts = impl->split_number(header, path, "split.count").value_or(1);
  const int64_t part = impl->split_number(header, path, "split.no").value_or(0) + 1;
  const auto n_split_tensors = impl->split_number(header, path, "split.tensors.count");
  impl->version = header.version;
  impl->file_bytes = bytes.size();
  impl->metadata = std::move(header.metadata);
  impl->tensors = std::move(header.tensors);
  if (n_parts > 1) {
    if (n_parts > 65535 || part > n_parts)
      refuse(path, key_field("split.count"),
             std::to_string(n_parts) + " parts with this as number " + std::to_string(part),
             "at most 65535 parts and a number among them");
    const std::string suffix = split_suffix(part, n_parts);
    if (path.size() < suffix.size() || path.compare(path.size() - suffix.size(), suffix.size(), suffix) != 0)
      refuse(path, "file name", "one that does not end in '" + suffix + "'",
             "the name of part " + std::to_string(part) + " of " + std::to_string(n_parts));
    const std::string stem = path.substr(0, path.size() - suffix.size());
    if (part != 1)
      refuse(path, key_field("split.no"), "part " + std::to_string(part) + " of " + std::to_string(n_parts),
             "the first part, " + stem + split_suffix(1, n_parts));
    impl->open_other_parts(n_parts, stem);
    if (n_split_tensors && static_cast<uint64_t>(*n_split_tensors) != impl->tensors.size())
      refuse(path, key_field("split.tensors.count"), std::to_string(impl->tensors.size()) + " tensors in all parts",
             std::to_string(*n_split_tensors));
  }
  impl->index_tensors();
  GgufFile file(std::move(impl));
  file.check_still_whole();
  return file;
}

GgufFile GgufFile::from_bytes(std::span<const std::byte> bytes, const std::string& name) {
  auto impl = std::make_unique<Impl>();
  impl->path = name;
  GgufHeader header = read_gguf_header(bytes, name);
  if (impl->split_number(header, name, "split.count").value_or(1) > 1)
    refuse(name, key_field("split.count"), "a part of a split file",
           "a whole one, since there is no folder to look in");
  impl->version = header.version;
  impl->file_bytes = bytes.size();
  impl->metadata = std::move(header.metadata);
  impl->tensors = std::move(header.tensors);
  impl->index_tensors();
  return GgufFile(std::move(impl));
}

GgufFile::GgufFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
GgufFile::GgufFile(GgufFile&&) noexcept = default;
GgufFile& GgufFile::operator=(GgufFile&&) noexcept = default;
GgufFile::~GgufFile() = default;

const std::string& GgufFile::path() const {
  return impl_->path;
}
uint32_t GgufFile::version() const {
  return impl_->version;
}
uint64_t GgufFile::file_bytes() const {
  return impl_->file_bytes;
}
const std::vector<GgufFile::Tensor>& GgufFile::tensors() const {
  return impl_->tensors;
}
const std::map<std::string, GgufValue, std::less<>>& GgufFile::metadata() const {
  return impl_->metadata;
}

const GgufFile::Tensor* GgufFile::find_tensor(std::string_view name) const {
  const auto found = impl_->tensor_index.find(name);
  return found == impl_->tensor_index.end() ? nullptr : &impl_->tensors[found->second];
}

const GgufValue* GgufFile::find(std::string_view key) const {
  const auto found = impl_->metadata.find(key);
  return found == impl_->metadata.end() ? nullptr : &found->second;
}

std::optional<int64_t> GgufFile::get_int(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  std::optional<int64_t> integer;
  if (value->type != GgufType::boolean) integer = read_integer(value->type, value->bytes, 0);
  if (!integer && value->type == GgufType::u64)
    refuse(path(), key_field(key), std::to_string(read_at<uint64_t>(value->bytes, 0)), "an integer below 2^63");
  if (!integer) refuse(path(), key_field(key), type_text(*value), "an integer");
  return integer;
}

std::optional<double> GgufFile::get_float(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->type == GgufType::f32) return read_at<float>(value->bytes, 0);
  if (value->type == GgufType::f64) return read_at<double>(value->bytes, 0);
  refuse(path(), key_field(key), type_text(*value), "type f32 or f64");
}

std::optional<bool> GgufFile::get_bool(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->type != GgufType::boolean) refuse(path(), key_field(key), type_text(*value), "type bool");
  return std::to_integer<int>(value->bytes[0]) != 0;
}

std::optional<std::string> GgufFile::get_string(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->type != GgufType::string) refuse(path(), key_field(key), type_text(*value), "type string");
  return std::string(reinterpret_cast<const char*>(value->bytes.data()), value->bytes.size());
}

std::optional<std::vector<std::string>> GgufFile::get_strings(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->type != GgufType::array || value->element_type != GgufType::string)
    refuse(path(), key_field(key), type_text(*value), "an array of string");
  if (value->count > max_copied_strings)
    refuse(path(), key_field(key), std::to_string(value->count) + " strings",
           "at most " + std::to_string(max_copied_strings));
  const uint64_t text_bytes = value->bytes.size() - value->count * sizeof(uint64_t);
  if (text_bytes > max_copied_string_bytes)
    refuse(path(), key_field(key), std::to_string(text_bytes) + " bytes of text",
           "at most " + std::to_string(max_copied_string_bytes));
  std::vector<std::string> strings;
  strings.reserve(static_cast<size_t>(value->count));
  if (!visit_strings(*value, [&](std::string_view text) { strings.emplace_back(text); }))
    refuse(path(), key_field(key), "fewer strings than before (the file was changed)", "the file as it was opened");
  return strings;
}

std::optional<std::vector<float>> GgufFile::get_floats(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->type != GgufType::array || value->element_type != GgufType::f32)
    refuse(path(), key_field(key), type_text(*value), "an array of f32");
  std::vector<float> floats(static_cast<size_t>(value->count));
  if (!floats.empty()) std::memcpy(floats.data(), value->bytes.data(), value->bytes.size());
  return floats;
}

std::optional<std::vector<int64_t>> GgufFile::get_ints(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  const bool integers = value->type == GgufType::array && value->element_type != GgufType::f32 &&
                        value->element_type != GgufType::f64 && value->element_type != GgufType::string;
  if (!integers) refuse(path(), key_field(key), type_text(*value), "an array of integers");
  std::vector<int64_t> ints;
  ints.reserve(static_cast<size_t>(value->count));
  for (size_t i = 0; i < value->count; ++i) {
    const std::optional<int64_t> integer = read_integer(value->element_type, value->bytes, i);
    const bool is_wrong_bool = value->element_type == GgufType::boolean && integer > 1;
    if (!integer || is_wrong_bool)
      refuse(path(), key_field(key), "a wrong value at index " + std::to_string(i),
             is_wrong_bool ? "0 or 1" : "integers below 2^63");
    ints.push_back(*integer);
  }
  return ints;
}

void GgufFile::check_still_whole() const {
  for (const MappedFile& part : impl_->parts) {
    if (part.damaged())
      throw Error(ErrorKind::io, part.path() + ": found the file shorter than when it was opened, expected " +
                                     std::to_string(part.bytes().size()) + " bytes: it was changed while in use");
  }
}

}  // namespace headroom
