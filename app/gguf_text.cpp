// Reads GGUF values from bytes that the reader has already checked, at most as many as are shown.
#include "app/gguf_text.h"

#include <algorithm>
#include <cstring>

#include "app/format.h"
#include "engine/model/type_names.h"

namespace headroom {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t max_shown_bytes = 120;
constexpr uint64_t max_text_elements = 6;
constexpr uint64_t max_json_elements = 16;

template <typename T>
T read_as(std::span<const std::byte> bytes) {
  T value{};
  std::memcpy(&value, bytes.data(), std::min(sizeof(T), bytes.size()));
  return value;
}

size_t scalar_bytes(GgufType type) {
  switch (type) {
    case GgufType::u8:
    case GgufType::i8:
    case GgufType::boolean:
      return 1;
    case GgufType::u16:
    case GgufType::i16:
      return 2;
    case GgufType::u32:
    case GgufType::i32:
    case GgufType::f32:
      return 4;
    default:
      return 8;
  }
}

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Json scalar_json(GgufType type, std::span<const std::byte> bytes) {
  switch (type) {
    case GgufType::u8:
      return read_as<uint8_t>(bytes);
    case GgufType::i8:
      return read_as<int8_t>(bytes);
    case GgufType::u16:
      return read_as<uint16_t>(bytes);
    case GgufType::i16:
      return read_as<int16_t>(bytes);
    case GgufType::u32:
      return read_as<uint32_t>(bytes);
    case GgufType::i32:
      return read_as<int32_t>(bytes);
    case GgufType::f32:
      return read_as<float>(bytes);
    case GgufType::boolean:
      return read_as<uint8_t>(bytes) != 0;
    case GgufType::u64:
      return read_as<uint64_t>(bytes);
    case GgufType::i64:
      return read_as<int64_t>(bytes);
    case GgufType::f64:
      return read_as<double>(bytes);
    default:
      return std::string(as_text(bytes));
  }
}

/// The first elements of an array, at most max_elements.
std::vector<Json> first_elements(const GgufValue& array, uint64_t max_elements) {
  std::vector<Json> elements;
  std::span<const std::byte> rest = array.bytes;
  for (uint64_t i = 0; i < std::min(array.count, max_elements); ++i) {
    size_t n_bytes = scalar_bytes(array.element_type);
    if (array.element_type == GgufType::string) {
      if (rest.size() < sizeof(uint64_t)) break;
      n_bytes = read_as<uint64_t>(rest);
      rest = rest.subspan(sizeof(uint64_t));
    }
    if (array.element_type == GgufType::array || n_bytes > rest.size()) break;
    elements.push_back(scalar_json(array.element_type, rest.first(n_bytes)));
    rest = rest.subspan(n_bytes);
  }
  return elements;
}

const char* type_name(GgufType type) {
  constexpr const char* names[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                   "bool", "string", "array", "u64", "i64", "f64"};
  return names[static_cast<size_t>(type)];
}

std::string quoted(std::string_view text, size_t max_bytes) {
  return "\"" + printable(shortened(text, max_bytes)) + "\"";
}

std::string scalar_text(const Json& value) {
  if (value.is_string()) return quoted(value.get_ref<const std::string&>(), max_shown_bytes / 4);
  if (value.is_number_float()) return format("%g", value.get<double>());
  return value.dump();
}

}  // namespace

std::string entry_text(std::string_view key, const GgufValue& value) {
  const Json number = value.type == GgufType::array ? Json() : scalar_json(value.type, value.bytes);
  const std::string name =
      key == "general.file_type" && number.is_number_integer() ? file_type_name(number.get<uint64_t>()) : "";
  return value_text(value) + (name.empty() ? "" : " (" + name + ")");
}

std::string value_text(const GgufValue& value) {
  if (value.type == GgufType::string) return quoted(as_text(value.bytes), max_shown_bytes);
  if (value.type != GgufType::array) return scalar_text(scalar_json(value.type, value.bytes));
  std::string text =
      format("[%s x %s:", count_text(static_cast<int64_t>(value.count)).c_str(), type_name(value.element_type));
  const std::vector<Json> elements = first_elements(value, max_text_elements);
  for (const Json& element : elements) text += (&element == elements.data() ? " " : ", ") + scalar_text(element);
  return text + (value.count > elements.size() ? ", …]" : "]");
}

Json value_json(const GgufValue& value) {
  if (value.type != GgufType::array) return scalar_json(value.type, value.bytes);
  Json elements = first_elements(value, max_json_elements);
  if (value.count <= max_json_elements) return elements;
  return {{"type", type_name(value.element_type)}, {"count", value.count}, {"first", std::move(elements)}};
}

}  // namespace headroom
