// Writes a few small traces into a folder: the first corpus of the trace fuzzer, with its extra byte in front of each.
#include <filesystem>
#include <fstream>

#include "tests/support/sample_stream.h"

using namespace headroom;
using namespace headroom::test;

int main(int, char** arguments) {
  const std::string folder = arguments[1];
  std::filesystem::create_directories(folder);
  for (const char puts_right : {'\0', '\1'})
    for (const bool is_closed : {true, false}) {
      const SampleStream sample{.n_layers = 1, .n_kv_heads = 2, .n_tokens = 60, .n_turns = 1};
      const std::vector<std::byte> trace = trace_bytes(sample.events(), is_closed);
      std::ofstream file(folder + "/trace" + std::to_string(puts_right) + std::to_string(is_closed), std::ios::binary);
      file.put(puts_right)
          .write(reinterpret_cast<const char*>(trace.data()), static_cast<std::streamsize>(trace.size()));
    }
}
