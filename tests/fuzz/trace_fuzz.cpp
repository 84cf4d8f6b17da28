// libFuzzer target: any bytes as a trace file into a Mirror. The first byte says whether header and checksums are
// corrected first, so that the code behind them is reached. An Error is correct; any other failure is a bug.
#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "engine/base/error.h"
#include "engine/telemetry/trace.h"
#include "tests/fuzz/mirror_check.h"

using namespace headroom;
using namespace headroom::test;

namespace {

constexpr size_t header_bytes = 12;

/// Corrects header, frame lengths and checksums as TraceWriter writes them; the last frame gets the remaining bytes.
void put_right(std::vector<std::byte>& trace) {
  if (trace.size() < header_bytes) return;
  std::memcpy(trace.data(), "HRTRACE\n", 8);
  flatbuffers::WriteScalar(trace.data() + 8, stream_protocol);
  for (size_t at = header_bytes; at + 8 <= trace.size();) {
    const auto left = static_cast<uint32_t>(trace.size() - at - 8);
    const uint32_t length = std::min(flatbuffers::ReadScalar<uint32_t>(trace.data() + at), left);
    flatbuffers::WriteScalar(trace.data() + at, length);
    uLong sum = crc32(0, reinterpret_cast<const Bytef*>(trace.data() + at), 4);
    sum = crc32(sum, reinterpret_cast<const Bytef*>(trace.data() + at + 8), length);
    flatbuffers::WriteScalar(trace.data() + at + 4, static_cast<uint32_t>(sum));
    at += 8 + length;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto bytes = std::as_bytes(std::span(data, size)).subspan(1);
  std::vector<std::byte> trace(bytes.begin(), bytes.end());
  if (data[0] % 2 == 1) put_right(trace);
  Mirror mirror;
  try {
    TraceReader reader(std::move(trace));
    while (const stream::Event* event = reader.next()) mirror.apply(*event);
    must(mirror.is_closed() || mirror.n_events() == 0);
  } catch (const Error&) {
  }
  check_answers(mirror);
  check_retelling(mirror);
  return 0;
}
