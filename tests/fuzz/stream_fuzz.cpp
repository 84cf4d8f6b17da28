// libFuzzer target: any bytes as a stream of events and commands into a Mirror. An Error is correct; any other failure
// is a bug. A refused event must leave the Mirror intact.
#include <cstddef>
#include <cstdint>
#include <optional>
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

/// Two mirrors. The second starts from a description of the first at some moment; from then on both accept the same.
struct Followed {
  Mirror mirror;
  std::optional<Mirror> recording;
  size_t n_until_recording = 0;

  void begin_recording() {
    if (n_until_recording-- == 0 && mirror.is_open() && !mirror.is_closed()) recording = retold(mirror);
  }

  bool take(const stream::Event& event) {
    const bool is_taken = takes(mirror, event);
    // The sequence numbers of the two differ, and a recording has its own TraceEnd.
    if (!recording || event.body_type() == stream::EventBody::TraceEnd) return is_taken;
    const bool is_at_its_place = is_taken || event.sequence() == mirror.n_events();
    if (!is_at_its_place) return false;
    const std::vector<std::byte> bytes = renumbered(event, recording->n_events());
    must(takes(*recording, verify_event(bytes)) == is_taken);
    return is_taken;
  }

  /// Applies the event; if it is refused, tries it again with the right sequence number, so that more code is reached.
  void take_anywhere(const stream::Event& event) {
    begin_recording();
    if (take(event)) return;
    check_answers(mirror);
    const std::vector<std::byte> bytes = renumbered(event, mirror.n_events());
    take(verify_event(bytes));
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Followed followed;
  followed.n_until_recording = size % 32;
  Mirror& mirror = followed.mirror;
  attempt([&] {
    FrameReader reader;
    reader.push(std::as_bytes(std::span(data, size)));
    for (auto message = reader.next(); !message.empty(); message = reader.next()) {
      attempt([&] {
        stream::CommandT command;
        verify_command(message).UnPackTo(&command);
      });
      attempt([&] { followed.take_anywhere(verify_event(message)); });
    }
  });
  check_answers(mirror);
  check_retelling(mirror);
  if (followed.recording && mirror.is_open()) must(told_alike(*followed.recording, mirror));
  mirror.stream_restarted();
  check_answers(mirror);
  return 0;
}
