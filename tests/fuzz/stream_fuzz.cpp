// libFuzzer target: any bytes as a stream of events and commands into a Mirror. An Error is an answer; anything else is
// a bug, and after a refused event the Mirror is as good as before.
#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/base/error.h"
#include "tests/fuzz/mirror_check.h"

using namespace headroom;
using namespace headroom::test;

namespace {

template <typename Attempt>
bool attempt(const Attempt& run) {
  try {
    run();
    return true;
  } catch (const Error&) {
    return false;
  }
}

/// An event that came at the wrong place is tried at the right one too, so that more than the first mistake is seen.
void take(Mirror& mirror, const stream::Event& event) {
  if (attempt([&] { mirror.apply(event); })) return;
  check_answers(mirror);
  stream::EventT renumbered;
  event.UnPackTo(&renumbered);
  renumbered.sequence = mirror.n_events();
  const std::vector<std::byte> packed = pack(renumbered);
  const std::vector<std::byte> bytes(packed.begin() + sizeof(uint32_t), packed.end());
  attempt([&] { mirror.apply(verify_event(bytes)); });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Mirror mirror;
  attempt([&] {
    FrameReader reader;
    reader.push(std::as_bytes(std::span(data, size)));
    for (auto message = reader.next(); !message.empty(); message = reader.next()) {
      attempt([&] {
        stream::CommandT command;
        verify_command(message).UnPackTo(&command);
      });
      attempt([&] { take(mirror, verify_event(message)); });
    }
  });
  check_answers(mirror);
  check_retelling(mirror);
  mirror.stream_restarted();
  check_answers(mirror);
  return 0;
}
