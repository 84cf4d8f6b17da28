// GGUF files on disk: mapping, split files, files that change while they are in use.
#include <catch2/catch.hpp>
#include <filesystem>

#include "engine/base/platform/platform.h"
#include "engine/model/gguf.h"
#include "engine/model/model_file.h"
#include "tests/model/refusal.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/tiny_model.h"

using namespace headroom;
using namespace headroom::test;
using Catch::Matchers::Contains;

namespace gguf_files_test {
namespace {

// A folder for one test, removed with its content.
class Folder {
 public:
  Folder() : path_(temporary_path("folder")) { std::filesystem::create_directory(path_); }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

GgufWriter part(uint16_t number, uint16_t n_parts, int32_t n_tensors, const std::string& tensor) {
  GgufWriter writer;
  writer.set("split.no", number).set("split.count", n_parts).set("split.tensors.count", n_tensors);
  writer.set_tensor(tensor, {2}, {static_cast<float>(number), 1});
  return writer;
}

std::string refusal(const std::string& path) {
  return sentence_of([&] { GgufFile::open(path); });
}

}  // namespace

TEST_CASE("a file on disk is the same as its bytes") {
  const Folder folder;
  const GgufWriter writer = make_tiny_model(smallest_model_options(Architecture::llama));
  writer.write(folder / "tiny.gguf");
  const ModelFile model = load_model_file(folder / "tiny.gguf");
  CHECK(model.file.file_bytes() == writer.bytes().size());
  CHECK(model.file.path() == folder / "tiny.gguf");
  CHECK(model.config.name == "tiny llama");
}

TEST_CASE("what cannot be opened is named with the system's reason") {
  const Folder folder;
  CHECK_THAT(refusal(folder / "none.gguf"), Contains("none.gguf: cannot open the file: No such file"));
  CHECK_THAT(refusal(folder / ""), Contains("is not a regular file"));
  write_file(folder / "empty.gguf", {});
  CHECK_THAT(refusal(folder / "empty.gguf"), Contains("empty.gguf: magic: found 0 bytes"));
}

TEST_CASE("a split file is opened by its first part") {
  const Folder folder;
  GgufWriter first = part(0, 3, 3, "a");
  first.set("some.key", uint32_t{5}).write(folder / "m-00001-of-00003.gguf");
  part(1, 3, 3, "b").write(folder / "m-00002-of-00003.gguf");
  part(2, 3, 3, "c").write(folder / "m-00003-of-00003.gguf");
  const GgufFile file = GgufFile::open(folder / "m-00001-of-00003.gguf");
  CHECK(file.tensors().size() == 3);
  CHECK(file.get_int("some.key") == 5);
  CHECK(file.file_bytes() == 3 * std::filesystem::file_size(folder / "m-00002-of-00003.gguf") + first.bytes().size() -
                                 part(0, 3, 3, "a").bytes().size());
  float value = 0;
  std::memcpy(&value, file.find_tensor("c")->bytes.data(), sizeof(value));
  CHECK(value == 2);

  SECTION("another part names the first") {
    CHECK_THAT(refusal(folder / "m-00002-of-00003.gguf"),
               Contains("found part 2 of 3, expected the first part, ") && Contains("m-00001-of-00003.gguf"));
  }
  SECTION("a part that is missing is named") {
    std::filesystem::remove(folder / "m-00003-of-00003.gguf");
    CHECK_THAT(refusal(folder / "m-00001-of-00003.gguf"), Contains("m-00003-of-00003.gguf: cannot open"));
  }
  SECTION("parts in the wrong order") {
    part(2, 3, 3, "b").write(folder / "m-00002-of-00003.gguf");
    CHECK_THAT(refusal(folder / "m-00001-of-00003.gguf"),
               Contains("m-00002-of-00003.gguf: metadata key 'split.no': found 2, expected 1"));
  }
  SECTION("a part of another split") {
    part(1, 4, 3, "b").write(folder / "m-00002-of-00003.gguf");
    CHECK_THAT(refusal(folder / "m-00001-of-00003.gguf"), Contains("'split.count': found 4, expected 3"));
  }
  SECTION("a tensor in two parts") {
    part(1, 3, 3, "a").write(folder / "m-00002-of-00003.gguf");
    CHECK_THAT(refusal(folder / "m-00001-of-00003.gguf"), Contains("tensor 'a': found it in two parts"));
  }
  SECTION("too few tensors") {
    part(0, 3, 4, "a").write(folder / "m-00001-of-00003.gguf");
    CHECK_THAT(refusal(folder / "m-00001-of-00003.gguf"), Contains("found 3 tensors in all parts, expected 4"));
  }
  SECTION("model metadata outside the first part") {
    part(1, 3, 3, "b").set("llama.rope.freq_base", 5.0f).write(folder / "m-00002-of-00003.gguf");
    CHECK_THAT(refusal(folder / "m-00001-of-00003.gguf"), Contains("expected model metadata in part 1 only"));
  }
}

TEST_CASE("a part under another name, or without a folder, is refused") {
  const Folder folder;
  part(0, 2, 2, "a").write(folder / "model.gguf");
  CHECK_THAT(refusal(folder / "model.gguf"), Contains("does not end in '-00001-of-00002.gguf'"));
  part(7, 2, 2, "a").write(folder / "model.gguf");
  CHECK_THAT(refusal(folder / "model.gguf"), Contains("2 parts with this as number 8"));
  const Bytes bytes = part(0, 2, 2, "a").bytes();
  CHECK_THAT(sentence_of([&] { GgufFile::from_bytes(bytes, "bytes"); }), Contains("found a part of a split file"));
  CHECK_THAT(sentence_of([&] {
               const Bytes wrong = part(0, 2, 2, "a").set("split.count", "two").bytes();
               GgufFile::from_bytes(wrong, "bytes");
             }),
             Contains("'split.count': found type string"));
}

TEST_CASE("a model file that shrinks while it is mapped is an error, not a crash") {
  const Folder folder;
  const std::string path = folder / "shrinks.gguf";
  make_tiny_model(Architecture::llama).write(path);
  const ModelFile model = load_model_file(path);
  model.file.check_still_whole();
  std::filesystem::resize_file(path, 4096);
  // Read every byte, as a computation would; bytes behind the new end read as zeros.
  uint64_t sum = 0;
  for (const GgufFile::Tensor& tensor : model.file.tensors())
    for (const std::byte byte : tensor.bytes) sum += std::to_integer<uint64_t>(byte);
  CHECK(sum == 0);
  // Lengths that have become zeros must not cause reads outside of the array.
  CHECK(model.file.get_strings("tokenizer.ggml.tokens")->size() == model.vocab.tokens.size());
  CHECK_THAT(sentence_of([&] { model.file.check_still_whole(); }),
             Contains("shrinks.gguf: found the file shorter than when it was opened"));
}

}  // namespace gguf_files_test
