// A small valid file per architecture, damaged many times, through the whole path from bytes to a loaded model. The
// result is quickly a model or a sentence, whatever the damage. The sanitizers find other faults.
#include <catch2/catch.hpp>
#include <ctime>
#include <random>

#include "engine/model/model_file.h"
#include "tests/model/refusal.h"
#include "tests/support/effort.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/tiny_model.h"

using namespace headroom;
using namespace headroom::test;

namespace {

constexpr uint64_t hostile_numbers[] = {0,
                                        1,
                                        0x7f,
                                        0xff,
                                        0xffff,
                                        0x10000,
                                        0x1000000,
                                        0x7fffffff,
                                        0x80000000,
                                        0xffffffff,
                                        uint64_t{1} << 40,
                                        uint64_t{1} << 61,
                                        (uint64_t{1} << 63) - 1,
                                        uint64_t{1} << 63,
                                        ~uint64_t{0},
                                        ~uint64_t{31}};

class Mutator {
 public:
  explicit Mutator(uint64_t seed) : engine_(seed) {}

  void mutate(Bytes& bytes) {
    const size_t n_changes = 1 + below(4);
    for (size_t i = 0; i < n_changes && !bytes.empty(); ++i) change_once(bytes);
  }

 private:
  size_t below(size_t n) { return static_cast<size_t>(engine_() % n); }
  // Most changes hit the header, which decides what happens, although the data behind it is most of the bytes.
  size_t place(const Bytes& bytes) {
    return below(below(4) == 0 ? bytes.size() : std::min<size_t>(bytes.size(), 4096));
  }

  void change_once(Bytes& bytes) {
    const size_t at = place(bytes);
    switch (below(7)) {
      case 0:
        bytes[at] ^= std::byte{1} << below(8);
        break;
      case 1:
        bytes[at] = static_cast<std::byte>(below(256));
        break;
      case 2:
        bytes.resize(at);
        break;
      case 3:
        put(bytes, at, hostile_numbers[below(std::size(hostile_numbers))], 8);
        break;
      case 4:
        put(bytes, at, hostile_numbers[below(std::size(hostile_numbers))], 4);
        break;
      case 5: {  // copy a part of the file to another place
        const size_t from = place(bytes), n = std::min(bytes.size() - from, 1 + below(64));
        const Bytes stretch(bytes.begin() + static_cast<ptrdiff_t>(from),
                            bytes.begin() + static_cast<ptrdiff_t>(from + n));
        bytes.insert(bytes.begin() + static_cast<ptrdiff_t>(at), stretch.begin(), stretch.end());
        break;
      }
      default: {  // remove a part
        const size_t n = std::min(bytes.size() - at, 1 + below(64));
        bytes.erase(bytes.begin() + static_cast<ptrdiff_t>(at), bytes.begin() + static_cast<ptrdiff_t>(at + n));
      }
    }
  }

  static void put(Bytes& bytes, size_t at, uint64_t number, size_t n_bytes) {
    std::memcpy(bytes.data() + at, &number, std::min(n_bytes, bytes.size() - at));
  }

  std::mt19937_64 engine_;
};

template <typename Attempt>
void attempt(const Attempt& run) {
  try {
    run();
  } catch (const Error& error) {
    if (std::string_view(error.what()).find('\n') != std::string_view::npos) FAIL(error.what());
  }
}

bool loads(const Bytes& bytes) {
  bool loaded = false;
  attempt([&] {
    GgufFile file = GgufFile::from_bytes(bytes, "damaged");
    attempt([&] { read_vocab(file); });
    attempt([&] { read_model_config(file); });
    load_model_file(std::move(file));
    loaded = true;
  });
  return loaded;
}

}  // namespace

TEST_CASE("mutations of a small file of each architecture end in a model or a sentence") {
  // The fuzzer of the reader covers the same ground under the sanitizers.
  constexpr int n_mutations = has_sanitizer ? 10'000 : 100'000;
  for (const ArchitectureTraits& traits : architectures()) {
    const Architecture architecture = traits.architecture;
    const Bytes valid = make_tiny_model(smallest_model_options(architecture)).bytes();
    REQUIRE(valid.size() < 10'000);
    REQUIRE(sentence_of([&] { load_model_file(GgufFile::from_bytes(valid, "valid")); }) == "accepted");
    Mutator mutator(20'240'000 + static_cast<uint64_t>(architecture));
    std::clock_t slowest = 0;  // CPU time, because the machine may be busy with other tests
    int n_loaded = 0;
    for (int i = 0; i < n_mutations; ++i) {
      Bytes bytes = valid;
      mutator.mutate(bytes);
      const std::clock_t begin = std::clock();
      n_loaded += loads(bytes) ? 1 : 0;
      slowest = std::max(slowest, std::clock() - begin);
    }
    CHECK(slowest < CLOCKS_PER_SEC);
    // The mutator is neither too gentle nor too rough: some damage hits only weights and texts.
    CHECK(n_loaded > n_mutations / 50);
    CHECK(n_loaded < n_mutations / 2);
  }
}
