// Writes a few small valid files into a folder: the first corpus of the GGUF fuzzer.
#include <filesystem>

#include "tests/support/tiny_model.h"

using namespace headroom;
using namespace headroom::test;

int main(int, char** arguments) {
  const std::string folder = arguments[1];
  std::filesystem::create_directories(folder);
  for (const ArchitectureTraits& traits : architectures()) {
    const Architecture architecture = traits.architecture;
    TinyModelOptions options = smallest_model_options(architecture);
    options.rope_factors = architecture == Architecture::llama;
    GgufWriter writer = make_tiny_model(options);
    const std::string name = folder + "/architecture" + std::to_string(static_cast<int>(architecture));
    writer.write(name + ".gguf");
    writer.tensors.clear();
    writer.write(name + "-vocab.gguf");
  }
}
