// Reads a GGUF header. The file is not trusted: every length is compared with the remaining bytes before it is used.
// Every sum and product is checked for overflow. No memory is allocated by a count that the file merely claims.
#include "engine/model/gguf_header.h"

#include <algorithm>
#include <bit>
#include <unordered_set>

#include "engine/model/refusal.h"

namespace headroom {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF is read as it lies in memory");

// These limits are not part of the format. They keep the check of a header below a second and its names small in
// memory. Real headers stay below 30 MB, real names below 100 bytes.
constexpr uint64_t max_header_bytes = uint64_t{512} << 20;
constexpr uint64_t max_all_array_strings = GgufLimits::max_array_elements;  // strings are read one by one
constexpr uint64_t max_name_bytes = 65535;
constexpr uint64_t max_all_name_bytes = uint64_t{64} << 20;
constexpr uint32_t max_dims = 4;
constexpr uint64_t max_dim = uint64_t{1} << 40;
constexpr uint64_t default_alignment = 32, min_alignment = 8, max_alignment = 65536;

std::string number(uint64_t value) {
  return std::to_string(value);
}

// Reads the bytes from front to back. Every call passes the name of its field for error messages.
class Cursor {
 public:
  Cursor(std::span<const std::byte> bytes, const std::string& file) : bytes_(bytes), file_(file) {}

  uint64_t at() const { return at_; }
  const std::string& file() const { return file_; }

  std::span<const std::byte> take(uint64_t n_bytes, const std::string& field) {
    const uint64_t n_left = bytes_.size() - at_;
    if (n_bytes > n_left)
      refuse(file_, field, number(n_left) + " bytes to the end of the file (truncated at byte " + number(at_) + ")",
             number(n_bytes) + " bytes");
    if (at_ + n_bytes > max_header_bytes)
      refuse(file_, field, "a header longer than " + number(max_header_bytes) + " bytes", "a shorter one");
    const auto taken = bytes_.subspan(static_cast<size_t>(at_), static_cast<size_t>(n_bytes));
    at_ += n_bytes;
    return taken;
  }

  template <typename T>
  T take_number(const std::string& field) {
    T value;
    std::memcpy(&value, take(sizeof(T), field).data(), sizeof(T));
    return value;
  }

  std::span<const std::byte> take_string(const std::string& field) {
    const auto length = take_number<uint64_t>(field);
    if (length > GgufLimits::max_string_bytes)
      refuse(file_, field, "a string of " + number(length) + " bytes",
             "at most " + number(GgufLimits::max_string_bytes));
    return take(length, field);
  }

  // Skips the strings of an array and returns their bytes.
  std::span<const std::byte> take_strings(uint64_t count, const std::string& field) {
    n_array_strings_ += count;
    if (n_array_strings_ > max_all_array_strings)
      refuse(file_, field, "more than " + number(max_all_array_strings) + " strings in all arrays", "fewer");
    const uint64_t begin = at_;
    for (uint64_t i = 0; i < count; ++i) take_string(field);
    return bytes_.subspan(static_cast<size_t>(begin), static_cast<size_t>(at_ - begin));
  }

  // Reads the name of a key or a tensor. The total size of all names is limited too, because they are copied.
  std::string take_name(const std::string& field) {
    const auto bytes = take_string(field);
    if (bytes.empty() || bytes.size() > max_name_bytes)
      refuse(file_, field, "a name of " + number(bytes.size()) + " bytes", "1 to " + number(max_name_bytes));
    n_name_bytes_ += bytes.size();
    if (n_name_bytes_ > max_all_name_bytes)
      refuse(file_, field, "names longer than " + number(max_all_name_bytes) + " bytes in all", "shorter ones");
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

 private:
  std::span<const std::byte> bytes_;
  const std::string& file_;
  uint64_t at_ = 0;
  uint64_t n_name_bytes_ = 0;
  uint64_t n_array_strings_ = 0;
};

GgufType take_type(Cursor& cursor, const std::string& field) {
  const auto type = cursor.take_number<uint32_t>(field);
  if (type > static_cast<uint32_t>(GgufType::f64))
    refuse(cursor.file(), field, "value type " + number(type), "a type from 0 to 12");
  return static_cast<GgufType>(type);
}

GgufValue take_array(Cursor& cursor, const std::string& field) {
  GgufValue value{.type = GgufType::array};
  value.element_type = take_type(cursor, field);
  if (value.element_type == GgufType::array)
    refuse(cursor.file(), field, "an array of arrays", "an array of numbers or strings");
  value.count = cursor.take_number<uint64_t>(field);
  if (value.count > GgufLimits::max_array_elements)
    refuse(cursor.file(), field, "an array of " + number(value.count) + " elements",
           "at most " + number(GgufLimits::max_array_elements));
  value.bytes = value.element_type == GgufType::string
                    ? cursor.take_strings(value.count, field)
                    : cursor.take(value.count * gguf_type_bytes(value.element_type), field);
  return value;
}

GgufValue take_value(Cursor& cursor, const std::string& field) {
  const GgufType type = take_type(cursor, field);
  if (type == GgufType::array) return take_array(cursor, field);
  GgufValue value{.type = type};
  value.bytes = type == GgufType::string ? cursor.take_string(field) : cursor.take(gguf_type_bytes(type), field);
  if (type == GgufType::boolean && std::to_integer<int>(value.bytes[0]) > 1)
    refuse(cursor.file(), field, "byte " + number(std::to_integer<uint64_t>(value.bytes[0])), "a bool of 0 or 1");
  return value;
}

struct Counts {
  uint64_t n_tensors = 0;
  uint64_t n_keys = 0;
};

Counts read_start(Cursor& cursor, GgufHeader& header) {
  const std::string& file = cursor.file();
  const auto magic = cursor.take(4, "magic");
  const std::string_view magic_text(reinterpret_cast<const char*>(magic.data()), magic.size());
  if (magic_text != "GGUF") refuse(file, "magic", quoted(magic_text), "'GGUF'");
  header.version = cursor.take_number<uint32_t>("version");
  if (header.version == 0x02000000 || header.version == 0x03000000)
    refuse_unsupported(file, "version", "a big-endian file", "a little-endian one");
  if (header.version != 2 && header.version != 3) refuse_unsupported(file, "version", number(header.version), "2 or 3");
  Counts counts;
  counts.n_tensors = cursor.take_number<uint64_t>("tensor count");
  if (counts.n_tensors > GgufLimits::max_tensors)
    refuse(file, "tensor count", number(counts.n_tensors), "at most " + number(GgufLimits::max_tensors));
  counts.n_keys = cursor.take_number<uint64_t>("metadata key count");
  if (counts.n_keys > GgufLimits::max_keys)
    refuse(file, "metadata key count", number(counts.n_keys), "at most " + number(GgufLimits::max_keys));
  return counts;
}

void read_metadata(Cursor& cursor, uint64_t n_keys, GgufHeader& header) {
  for (uint64_t i = 0; i < n_keys; ++i) {
    std::string name = cursor.take_name("metadata key " + number(i));
    const std::string field = "metadata key " + quoted(name);
    const GgufValue value = take_value(cursor, field);
    if (!header.metadata.emplace(std::move(name), value).second)
      refuse(cursor.file(), field, "it twice", "every key once");
  }
}

uint64_t read_alignment(const GgufHeader& header, const std::string& file) {
  const auto found = header.metadata.find("general.alignment");
  if (found == header.metadata.end()) return default_alignment;
  const std::string field = "metadata key 'general.alignment'";
  if (found->second.type != GgufType::u32)
    refuse(file, field, std::string("type ") + std::string(gguf_type_name(found->second.type)), "type u32");
  uint32_t alignment = 0;
  std::memcpy(&alignment, found->second.bytes.data(), sizeof(alignment));
  if (!std::has_single_bit(alignment) || alignment < min_alignment || alignment > max_alignment)
    refuse(file, field, number(alignment), "a power of two from 8 to 65536");
  return alignment;
}

// Bytes of a tensor's data, 0 for an unsupported type.
uint64_t tensor_bytes(const GgufFile::Tensor& tensor, const std::string& field, const std::string& file) {
  uint64_t n_values = 1;
  for (const int64_t dim : tensor.dims)
    if (__builtin_mul_overflow(n_values, static_cast<uint64_t>(dim), &n_values) || n_values > uint64_t{1} << 48)
      refuse(file, field, "a shape of more than 2^48 values", "a shape that fits the file");
  const TypeTraits* traits = find_type_traits(tensor.ggml_type);
  if (traits == nullptr) return 0;
  const auto block_values = static_cast<uint64_t>(traits->block_values);
  if (static_cast<uint64_t>(tensor.dims[0]) % block_values != 0)
    refuse(file, field, "rows of " + number(tensor.dims[0]) + " values",
           "a multiple of " + number(block_values) + " for type " + std::string(traits->name));
  return n_values / block_values * static_cast<uint64_t>(traits->block_bytes);
}

struct TensorPlace {
  uint64_t offset;
  uint64_t n_bytes;
  size_t index;
};

void read_tensor_infos(Cursor& cursor, uint64_t n_tensors, uint64_t alignment, GgufHeader& header,
                       std::vector<TensorPlace>& places) {
  const std::string& file = cursor.file();
  std::unordered_set<std::string> names;
  for (uint64_t i = 0; i < n_tensors; ++i) {
    GgufFile::Tensor tensor;
    tensor.name = cursor.take_name("tensor " + number(i));
    const std::string field = "tensor " + quoted(tensor.name);
    if (!names.insert(tensor.name).second) refuse(file, field, "it twice", "every tensor once");
    const auto n_dims = cursor.take_number<uint32_t>(field);
    if (n_dims == 0 || n_dims > max_dims)
      refuse(file, field, number(n_dims) + " dimensions", "1 to " + number(max_dims));
    for (uint32_t d = 0; d < n_dims; ++d) {
      const auto dim = cursor.take_number<uint64_t>(field);
      if (dim == 0 || dim > max_dim) refuse(file, field, "dimension " + number(d) + " of " + number(dim), "1 to 2^40");
      tensor.dims.push_back(static_cast<int64_t>(dim));
    }
    tensor.ggml_type = cursor.take_number<uint32_t>(field);
    const auto offset = cursor.take_number<uint64_t>(field);
    if (offset % alignment != 0)
      refuse(file, field, "data offset " + number(offset), "a multiple of " + number(alignment));
    places.push_back({offset, tensor_bytes(tensor, field, file), static_cast<size_t>(i)});
    header.tensors.push_back(std::move(tensor));
  }
}

void place_tensors(std::span<const std::byte> data, std::vector<TensorPlace>& places, const std::string& file,
                   GgufHeader& header) {
  std::sort(places.begin(), places.end(), [](const TensorPlace& a, const TensorPlace& b) {
    return a.offset != b.offset ? a.offset < b.offset : a.index < b.index;
  });
  for (size_t i = 0; i < places.size(); ++i) {
    const TensorPlace& place = places[i];
    GgufFile::Tensor& tensor = header.tensors[place.index];
    const std::string field = "tensor " + quoted(tensor.name);
    if (place.offset > data.size() || place.n_bytes > data.size() - place.offset)
      refuse(file, field,
             "data of " + number(place.n_bytes) + " bytes at offset " + number(place.offset) + " past the end",
             "data inside the " + number(data.size()) + " bytes that follow the header");
    // A tensor of unknown size has at least one byte.
    if (i > 0 && places[i - 1].offset + std::max<uint64_t>(1, places[i - 1].n_bytes) > place.offset)
      refuse(file, field, "data that overlaps tensor " + quoted(header.tensors[places[i - 1].index].name),
             "data of its own");
    tensor.bytes = data.subspan(static_cast<size_t>(place.offset), static_cast<size_t>(place.n_bytes));
  }
}

}  // namespace

GgufHeader read_gguf_header(std::span<const std::byte> bytes, const std::string& file) {
  GgufHeader header;
  Cursor cursor(bytes, file);
  const Counts counts = read_start(cursor, header);
  read_metadata(cursor, counts.n_keys, header);
  const uint64_t alignment = read_alignment(header, file);
  std::vector<TensorPlace> places;
  read_tensor_infos(cursor, counts.n_tensors, alignment, header, places);
  if (header.tensors.empty()) return header;
  const uint64_t data_begin = (cursor.at() + alignment - 1) / alignment * alignment;
  if (data_begin > bytes.size())
    refuse(file, "tensor data", "the end of the file at byte " + number(bytes.size()),
           "data from byte " + number(data_begin) + " on");
  place_tensors(bytes.subspan(static_cast<size_t>(data_begin)), places, file, header);
  return header;
}

std::string_view gguf_type_name(GgufType type) {
  constexpr std::string_view names[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                        "bool", "string", "array", "u64", "i64", "f64"};
  return names[static_cast<size_t>(type)];
}

size_t gguf_type_bytes(GgufType type) {
  constexpr uint8_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return sizes[static_cast<size_t>(type)];
}

}  // namespace headroom
