// libFuzzer target: any bytes through the GGUF reader to a loaded model. An Error is correct; any other failure is a
// bug.
#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/model/model_file.h"

namespace {

template <typename Attempt>
void attempt(const Attempt& run) {
  try {
    run();
  } catch (const headroom::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  attempt([&] {
    auto file = headroom::GgufFile::from_bytes(std::as_bytes(std::span(data, size)), "fuzz");
    attempt([&] { headroom::read_vocab(file); });
    attempt([&] { headroom::read_model_config(file); });
    headroom::load_model_file(std::move(file));
  });
  return 0;
}
