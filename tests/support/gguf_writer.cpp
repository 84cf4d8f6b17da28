// Writes the layout of GGUF files for tests; checks nothing.
#include "tests/support/gguf_writer.h"

#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <filesystem>
#include <fstream>

namespace headroom::test {
namespace {

template <typename Item>
void replace_or_add(std::vector<Item>& items, Item item) {
  const auto same = std::find_if(items.begin(), items.end(), [&](const Item& old) { return old.name == item.name; });
  if (same != items.end())
    *same = std::move(item);
  else
    items.push_back(std::move(item));
}

}  // namespace

void append_string(Bytes& bytes, const std::string& text) {
  append(bytes, uint64_t{text.size()});
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  bytes.insert(bytes.end(), begin, begin + text.size());
}

GgufWriter& GgufWriter::set(const std::string& name, const std::string& text) {
  Bytes bytes;
  append_string(bytes, text);
  return set_raw(name, 8, std::move(bytes));
}

GgufWriter& GgufWriter::set(const std::string& name, const std::vector<std::string>& texts) {
  Bytes bytes;
  append(bytes, uint32_t{8});
  append(bytes, uint64_t{texts.size()});
  for (const std::string& text : texts) append_string(bytes, text);
  return set_raw(name, 9, std::move(bytes));
}

GgufWriter& GgufWriter::set_raw(const std::string& name, uint32_t type, Bytes value) {
  replace_or_add(keys, Key{name, type, std::move(value)});
  return *this;
}

GgufWriter& GgufWriter::remove(const std::string& name) {
  std::erase_if(keys, [&](const Key& key) { return key.name == name; });
  return *this;
}

GgufWriter& GgufWriter::set_tensor(const std::string& name, std::vector<uint64_t> dims,
                                   const std::vector<float>& values) {
  Bytes data(values.size() * sizeof(float));
  if (!values.empty()) std::memcpy(data.data(), values.data(), data.size());
  return set_tensor_raw(name, std::move(dims), 0, std::move(data));
}

GgufWriter& GgufWriter::set_tensor_raw(const std::string& name, std::vector<uint64_t> dims, uint32_t type, Bytes data) {
  replace_or_add(tensors, Tensor{name, std::move(dims), type, std::move(data)});
  return *this;
}

GgufWriter& GgufWriter::remove_tensor(const std::string& name) {
  std::erase_if(tensors, [&](const Tensor& tensor) { return tensor.name == name; });
  return *this;
}

GgufWriter::Tensor& GgufWriter::tensor(const std::string& name) {
  const auto found =
      std::find_if(tensors.begin(), tensors.end(), [&](const Tensor& candidate) { return candidate.name == name; });
  assert(found != tensors.end());
  return *found;
}

Bytes GgufWriter::bytes() const {
  const auto aligned = [this](uint64_t size) { return (size + alignment - 1) / alignment * alignment; };
  Bytes out;
  for (const char letter : {'G', 'G', 'U', 'F'}) append(out, letter);
  append(out, version);
  append(out, uint64_t{tensors.size()});
  append(out, uint64_t{keys.size()});
  for (const Key& key : keys) {
    append_string(out, key.name);
    append(out, key.type);
    out.insert(out.end(), key.value.begin(), key.value.end());
  }
  uint64_t offset = 0;
  for (const Tensor& tensor : tensors) {
    append_string(out, tensor.name);
    append(out, static_cast<uint32_t>(tensor.dims.size()));
    for (const uint64_t dim : tensor.dims) append(out, dim);
    append(out, tensor.type);
    append(out, offset);
    offset = aligned(offset + tensor.data.size());
  }
  for (const Tensor& tensor : tensors) {
    out.resize(aligned(out.size()));
    out.insert(out.end(), tensor.data.begin(), tensor.data.end());
  }
  return out;
}

void GgufWriter::write(const std::string& path) const {
  write_file(path, bytes());
}

std::string temporary_path(const std::string& name) {
  static int n_paths = 0;
  const std::string unique = "headroom-" + std::to_string(getpid()) + "-" + std::to_string(n_paths++) + "-" + name;
  return (std::filesystem::temp_directory_path() / unique).string();
}

void write_file(const std::string& path, const Bytes& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  assert(file.good());
}

}  // namespace headroom::test
