// The GGUF reader on files made by hand: the values it reads, and its message for every kind of wrong header.
#include "engine/model/gguf.h"

#include <catch2/catch.hpp>
#include <ctime>

#include "tests/model/refusal.h"
#include "tests/support/effort.h"
#include "tests/support/gguf_writer.h"

using namespace headroom;
using namespace headroom::test;
using Catch::Matchers::Contains;

namespace gguf_test {
namespace {

GgufFile read(const Bytes& bytes) {
  return GgufFile::from_bytes(bytes, "test.gguf");
}

std::string refusal(const Bytes& bytes) {
  return sentence_of([&] { read(bytes); });
}

std::string refusal(const GgufWriter& writer) {
  return refusal(writer.bytes());
}

GgufWriter two_tensors() {
  GgufWriter writer;
  writer.set("a.key", uint32_t{7});
  writer.set_tensor("first", {3, 2}, {1, 2, 3, 4, 5, 6});
  writer.set_tensor("second", {4}, {7, 8, 9, 10});
  return writer;
}

// The bytes of two_tensors() with one number changed; `at` counts from the end of the tensor name.
template <typename T>
Bytes with_number_after(const GgufWriter& writer, const std::string& name, size_t at, T value) {
  Bytes bytes = writer.bytes();
  const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const size_t found = text.find(name);
  REQUIRE(found != std::string::npos);
  std::memcpy(bytes.data() + found + name.size() + at, &value, sizeof(value));
  return bytes;
}

Bytes start(uint32_t version, uint64_t n_tensors, uint64_t n_keys) {
  Bytes bytes;
  for (const char letter : {'G', 'G', 'U', 'F'}) append(bytes, letter);
  append(bytes, version);
  append(bytes, n_tensors);
  append(bytes, n_keys);
  return bytes;
}

}  // namespace

TEST_CASE("every metadata type is read with its value") {
  GgufWriter writer;
  writer.set("u8", uint8_t{200}).set("i8", int8_t{-100}).set("u16", uint16_t{60000}).set("i16", int16_t{-30000});
  writer.set("u32", uint32_t{4000000000}).set("i32", int32_t{-2000000000});
  writer.set("u64", uint64_t{1} << 62).set("i64", -(int64_t{1} << 62));
  writer.set("f32", 1.5f).set("f64", -0.1).set("yes", true).set("no", false).set("text", "caf\xc3\xa9\n");
  writer.set("texts", std::vector<std::string>{"", "b", "long"}).set("floats", std::vector<float>{1, -2});
  writer.set("ints", std::vector<int16_t>{-1, 2}).set("none", std::vector<std::string>{});
  writer.set_raw("bools", 9, [] {
    Bytes bytes;
    append(bytes, uint32_t{7});
    append(bytes, uint64_t{2});
    append(bytes, true);
    append(bytes, false);
    return bytes;
  }());
  for (const uint32_t version : {2u, 3u}) {
    writer.version = version;
    const Bytes bytes = writer.bytes();
    const GgufFile file = read(bytes);
    CHECK(file.version() == version);
    CHECK(file.file_bytes() == bytes.size());
    CHECK(file.metadata().size() == 18);
    CHECK(file.get_int("u8") == 200);
    CHECK(file.get_int("i8") == -100);
    CHECK(file.get_int("u16") == 60000);
    CHECK(file.get_int("i16") == -30000);
    CHECK(file.get_int("u32") == 4000000000);
    CHECK(file.get_int("i32") == -2000000000);
    CHECK(file.get_int("u64") == int64_t{1} << 62);
    CHECK(file.get_int("i64") == -(int64_t{1} << 62));
    CHECK(file.get_float("f32") == 1.5);
    CHECK(file.get_float("f64") == -0.1);
    CHECK(file.get_bool("yes") == true);
    CHECK(file.get_bool("no") == false);
    CHECK(file.get_string("text") == "caf\xc3\xa9\n");
    CHECK(file.get_strings("texts") == std::vector<std::string>{"", "b", "long"});
    CHECK(file.get_strings("none") == std::vector<std::string>{});
    CHECK(file.get_floats("floats") == std::vector<float>{1, -2});
    CHECK(file.get_ints("ints") == std::vector<int64_t>{-1, 2});
    CHECK(file.get_ints("bools") == std::vector<int64_t>{1, 0});
  }
}

TEST_CASE("a key that is missing is nothing, a key of another type is an error that names both types") {
  GgufWriter writer;
  writer.set("text", "x").set("number", uint32_t{1}).set("float", 1.0f).set("flag", true);
  writer.set("large", uint64_t{1} << 63).set("floats", std::vector<float>{1}).set("ints", std::vector<int32_t>{1});
  const Bytes bytes = writer.bytes();
  const GgufFile file = read(bytes);
  CHECK(file.find("missing") == nullptr);
  CHECK_FALSE(file.get_int("missing").has_value());
  CHECK_FALSE(file.get_float("missing").has_value());
  CHECK_FALSE(file.get_bool("missing").has_value());
  CHECK_FALSE(file.get_string("missing").has_value());
  CHECK_FALSE(file.get_strings("missing").has_value());
  CHECK_FALSE(file.get_floats("missing").has_value());
  CHECK_FALSE(file.get_ints("missing").has_value());
  CHECK(sentence_of([&] { file.get_int("text"); }) ==
        "test.gguf: metadata key 'text': found type string, expected an integer");
  CHECK_THAT(sentence_of([&] { file.get_int("flag"); }), Contains("found type bool, expected an integer"));
  CHECK_THAT(sentence_of([&] { file.get_int("float"); }), Contains("found type f32, expected an integer"));
  CHECK_THAT(sentence_of([&] { file.get_int("ints"); }), Contains("found an array of i32, expected an integer"));
  CHECK_THAT(sentence_of([&] { file.get_int("large"); }), Contains("found 9223372036854775808"));
  CHECK_THAT(sentence_of([&] { file.get_float("number"); }), Contains("found type u32, expected type f32 or f64"));
  CHECK_THAT(sentence_of([&] { file.get_bool("number"); }), Contains("found type u32, expected type bool"));
  CHECK_THAT(sentence_of([&] { file.get_string("number"); }), Contains("expected type string"));
  CHECK_THAT(sentence_of([&] { file.get_strings("text"); }), Contains("expected an array of string"));
  CHECK_THAT(sentence_of([&] { file.get_floats("ints"); }), Contains("found an array of i32"));
  CHECK_THAT(sentence_of([&] { file.get_ints("floats"); }), Contains("expected an array of integers"));
}

TEST_CASE("tensors are read with name, shape, type and their own bytes") {
  const Bytes bytes = two_tensors().bytes();
  const GgufFile file = read(bytes);
  REQUIRE(file.tensors().size() == 2);
  const GgufFile::Tensor* second = file.find_tensor("second");
  REQUIRE(second != nullptr);
  CHECK(second->dims == std::vector<int64_t>{4});
  REQUIRE(second->bytes.size() == 16);
  float values[4];
  std::memcpy(values, second->bytes.data(), sizeof(values));
  CHECK(values[0] == 7);
  CHECK(values[3] == 10);
  CHECK(file.find_tensor("first")->dims == std::vector<int64_t>{3, 2});
  CHECK(file.find_tensor("third") == nullptr);
}

TEST_CASE("a quantised tensor takes whole blocks") {
  GgufWriter writer;
  writer.set_tensor_raw("q", {64, 3}, static_cast<uint32_t>(TensorType::q4_1), Bytes(3 * 2 * 20));
  CHECK(read(writer.bytes()).find_tensor("q")->bytes.size() == 120);
  writer.set_tensor_raw("q", {48, 3}, static_cast<uint32_t>(TensorType::q4_1), Bytes(120));
  CHECK_THAT(refusal(writer), Contains("rows of 48 values, expected a multiple of 32 for type Q4_1"));
}

TEST_CASE("a tensor of a type that is not supported is listed without bytes") {
  GgufWriter writer;
  writer.set_tensor_raw("exotic", {256, 2}, 20, Bytes(64));
  const Bytes bytes = writer.bytes();
  const GgufFile file = read(bytes);
  CHECK(file.tensors()[0].ggml_type == 20);
  CHECK(file.tensors()[0].bytes.empty());
}

TEST_CASE("alignment is a power of two from 8 to 65536") {
  for (const uint32_t alignment : {8u, 64u, 65536u}) {
    GgufWriter writer = two_tensors();
    writer.alignment = alignment;
    writer.set("general.alignment", alignment);
    CHECK(refusal(writer) == "accepted");
  }
  for (const uint32_t alignment : {0u, 1u, 4u, 24u, 33u, 131072u, 0x80000000u}) {
    GgufWriter writer = two_tensors();
    writer.set("general.alignment", alignment);
    CHECK_THAT(refusal(writer), Contains("'general.alignment'") && Contains("expected a power of two from 8 to 65536"));
  }
  GgufWriter writer = two_tensors();
  CHECK_THAT(refusal(writer.set("general.alignment", "32")), Contains("found type string, expected type u32"));
}

TEST_CASE("a file cut anywhere is refused, or is still whole without the padding it lost") {
  const Bytes whole = two_tensors().bytes();
  for (size_t size = 0; size < whole.size(); ++size) {
    const Bytes cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size));
    const std::string sentence = refusal(cut);
    INFO("cut to " << size << " of " << whole.size() << " bytes");
    CHECK_THAT(sentence, Contains("test.gguf: ") && Contains(": found ") && Contains(", expected "));
  }
}

TEST_CASE("what is no GGUF file is refused by its first bytes") {
  Bytes bytes = two_tensors().bytes();
  CHECK_THAT(refusal(Bytes{}), Contains("magic: found 0 bytes to the end of the file"));
  bytes[3] = std::byte{'\n'};
  CHECK(refusal(bytes) == "test.gguf: magic: found 'GGU\\x0a', expected 'GGUF'");
  CHECK_THAT(refusal(start(1, 0, 0)), Contains("version: found 1, expected 2 or 3"));
  CHECK_THAT(refusal(start(4, 0, 0)), Contains("version: found 4"));
  CHECK_THAT(refusal(start(0x03000000, 0, 0)), Contains("found a big-endian file"));
  CHECK(refusal(start(3, 0, 0)) == "accepted");
}

TEST_CASE("counts are limited and never allocated from") {
  CHECK_THAT(refusal(start(3, 65537, 0)), Contains("tensor count: found 65537, expected at most 65536"));
  CHECK_THAT(refusal(start(3, ~uint64_t{0}, 0)), Contains("tensor count: found 18446744073709551615"));
  CHECK_THAT(refusal(start(3, 0, 65537)), Contains("metadata key count: found 65537"));
  CHECK_THAT(refusal(start(3, 65536, 65536)), Contains("truncated at byte 24"));
}

TEST_CASE("strings and arrays are limited") {
  const auto with_value = [](uint32_t type, const auto& fill) {
    GgufWriter writer;
    Bytes value;
    fill(value);
    writer.set_raw("key", type, value);
    return refusal(writer);
  };
  CHECK_THAT(with_value(8, [](Bytes& v) { append(v, (uint64_t{16} << 20) + 1); }),
             Contains("a string of 16777217 bytes, expected at most 16777216"));
  CHECK_THAT(with_value(8, [](Bytes& v) { append(v, uint64_t{16} << 20); }), Contains("truncated"));
  CHECK_THAT(with_value(8, [](Bytes& v) { append(v, ~uint64_t{0}); }), Contains("a string of 18446744073709551615"));
  const auto array = [](uint32_t type, uint64_t count) {
    return [=](Bytes& v) {
      append(v, type);
      append(v, count);
      append(v, uint64_t{0});
    };
  };
  CHECK_THAT(with_value(9, array(4, (uint64_t{16} << 20) + 1)),
             Contains("an array of 16777217 elements, expected at most 16777216"));
  CHECK_THAT(with_value(9, array(10, uint64_t{1} << 61)), Contains("an array of 2305843009213693952 elements"));
  CHECK_THAT(with_value(9, array(4, uint64_t{16} << 20)), Contains("truncated"));
  CHECK_THAT(with_value(9, array(8, uint64_t{16} << 20)), Contains("truncated"));
  CHECK_THAT(with_value(9, array(9, 1)), Contains("found an array of arrays"));
  CHECK_THAT(with_value(9, array(13, 1)), Contains("found value type 13, expected a type from 0 to 12"));
  CHECK_THAT(with_value(77, [](Bytes& v) { append(v, uint64_t{0}); }), Contains("found value type 77"));
  CHECK_THAT(with_value(7, [](Bytes& v) { append(v, uint8_t{2}); }),
             Contains("found byte 2, expected a bool of 0 or 1"));
}

TEST_CASE("names appear once, are not empty, and cannot break the line of a sentence") {
  GgufWriter writer = two_tensors();
  writer.keys.push_back(writer.keys[0]);
  CHECK_THAT(refusal(writer), Contains("metadata key 'a.key': found it twice"));
  writer = two_tensors();
  writer.tensors[1].name = "first";
  CHECK_THAT(refusal(writer), Contains("tensor 'first': found it twice"));
  writer = two_tensors();
  writer.tensors[1].name = "";
  CHECK_THAT(refusal(writer), Contains("tensor 1: found a name of 0 bytes"));
  writer.tensors[1].name = std::string(65536, 'x');
  CHECK_THAT(refusal(writer), Contains("found a name of 65536 bytes"));

  writer = two_tensors();
  writer.tensors[0].name = writer.tensors[1].name = "evil\x1b[2J\r\n\xff" + std::string(500, 'y');
  const std::string sentence = refusal(writer);
  CHECK_THAT(sentence, Contains("'evil\\x1b[2J\\x0d\\x0a\\xffyyy"));
  CHECK(sentence.size() < 200);
}

TEST_CASE("dimensions are 1 to 4, not zero, and their product cannot overflow") {
  const GgufWriter writer = two_tensors();
  const auto dims = [&](std::vector<uint64_t> shape) {
    GgufWriter changed = writer;
    changed.tensor("second").dims = std::move(shape);
    return refusal(changed);
  };
  CHECK_THAT(dims({}), Contains("tensor 'second': found 0 dimensions, expected 1 to 4"));
  CHECK_THAT(dims({1, 1, 1, 1, 4}), Contains("found 5 dimensions"));
  CHECK_THAT(dims({4, 0}), Contains("found dimension 1 of 0"));
  CHECK_THAT(dims({uint64_t{1} << 63}), Contains("found dimension 0 of 9223372036854775808"));
  CHECK_THAT(dims({~uint64_t{0}}), Contains("dimension 0"));
  CHECK_THAT(dims({uint64_t{1} << 32, uint64_t{1} << 32}), Contains("more than 2^48 values"));
  CHECK_THAT(dims({uint64_t{1} << 40, uint64_t{1} << 40, uint64_t{1} << 40, 1}), Contains("more than 2^48 values"));
  CHECK_THAT(dims({uint64_t{1} << 40}), Contains("past the end"));
  CHECK(dims({2, 1, 2, 1}) == "accepted");
  CHECK_THAT(refusal(with_number_after(writer, "second", 0, uint32_t{0xffffffff})), Contains("4294967295 dimensions"));
}

TEST_CASE("tensor data lies inside the file, aligned, and overlaps nothing") {
  const GgufWriter writer = two_tensors();
  const size_t offset_at = 4 + 8 + 4;  // n_dims, one dim, type
  CHECK_THAT(refusal(with_number_after(writer, "second", offset_at, uint64_t{33})),
             Contains("tensor 'second': found data offset 33, expected a multiple of 32"));
  CHECK_THAT(refusal(with_number_after(writer, "second", offset_at, uint64_t{64})), Contains("past the end"));
  CHECK_THAT(refusal(with_number_after(writer, "second", offset_at, ~uint64_t{31})), Contains("past the end"));
  CHECK_THAT(refusal(with_number_after(writer, "second", offset_at, uint64_t{0})),
             Contains("tensor 'second': found data that overlaps tensor 'first'"));

  GgufWriter exotic = writer;
  exotic.tensors[0].type = 99;  // its size is unknown, but it cannot begin where another tensor does
  CHECK(refusal(exotic) == "accepted");
  CHECK_THAT(refusal(with_number_after(exotic, "second", offset_at, uint64_t{0})), Contains("overlaps"));
}

TEST_CASE("a header with as many keys and tensors as the limits allow is judged in under a second") {
  GgufWriter writer;
  Bytes empty_strings;
  append(empty_strings, uint32_t{8});
  append(empty_strings, uint64_t{4} << 20);
  empty_strings.resize(empty_strings.size() + (size_t{32} << 20));
  writer.set_raw("strings", 9, std::move(empty_strings));
  for (int i = 0; i < 65535; ++i) writer.keys.push_back({"key" + std::to_string(i), 0, Bytes(1)});
  for (int i = 0; i < 65536; ++i) writer.tensors.push_back({"tensor" + std::to_string(i), {8}, 0, Bytes(32)});
  const Bytes bytes = writer.bytes();
  const std::clock_t begin = std::clock();  // CPU time, because the machine may be busy with other tests
  const GgufFile file = read(bytes);
  constexpr std::clock_t limit = test::has_address_sanitizer
                                     ? 5 * CLOCKS_PER_SEC
                                     : CLOCKS_PER_SEC;  // five times, since the sanitizer checks every access
  CHECK(std::clock() - begin < limit);
  CHECK(file.tensors().size() == 65536);
  CHECK_THAT(sentence_of([&] { file.get_strings("strings"); }), Contains("found 4194304 strings, expected at most"));
}

TEST_CASE("strings of all arrays together are limited, since each has to be stepped over") {
  GgufWriter writer;
  Bytes empty_strings;
  append(empty_strings, uint32_t{8});
  append(empty_strings, uint64_t{9} << 20);
  empty_strings.resize(empty_strings.size() + (size_t{72} << 20));
  writer.set_raw("a", 9, empty_strings);
  CHECK(refusal(writer) == "accepted");
  writer.set_raw("b", 9, std::move(empty_strings));
  CHECK_THAT(refusal(writer), Contains("metadata key 'b': found more than 16777216 strings in all arrays"));
}

TEST_CASE("names may not fill the memory") {
  GgufWriter writer;
  for (int i = 0; i < 1100; ++i)
    writer.keys.push_back({std::string(65000, static_cast<char>('a' + i % 26)) + std::to_string(i), 0, Bytes(1)});
  CHECK_THAT(refusal(writer), Contains("names longer than 67108864 bytes in all"));
}

}  // namespace gguf_test
