// A trace returns what was written, up to the first damaged byte.
#include "engine/telemetry/trace.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "tests/support/file_size_limit.h"
#include "tests/telemetry/small_stream.h"

using namespace headroom;
using namespace headroom::test;
using Catch::Contains;

namespace trace_test {
namespace {

using Bytes = std::vector<std::byte>;

class TemporaryFolder {
 public:
  TemporaryFolder() : path_((std::filesystem::temp_directory_path() / "headroom-trace-XXXXXX").string()) {
    REQUIRE(mkdtemp(path_.data()) != nullptr);
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

SampleStream small_sample() {
  return {.n_layers = 1, .n_kv_heads = 2, .n_tokens = 60, .n_turns = 1};
}

/// Number of events, and the message about damage; empty if the trace ended properly.
std::pair<uint64_t, std::string> read_all(TraceReader& reader, Mirror* mirror = nullptr) {
  uint64_t n_events = 0;
  try {
    while (const stream::Event* event = reader.next()) {
      if (mirror != nullptr) mirror->apply(*event);
      ++n_events;
    }
  } catch (const Error& error) {
    return {n_events, error.what()};
  }
  return {n_events, ""};
}

std::pair<uint64_t, std::string> read_all(const Bytes& bytes) {
  try {
    TraceReader reader(bytes);
    return read_all(reader);
  } catch (const Error& error) {
    return {0, error.what()};
  }
}

Bytes file_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  return {begin, begin + text.size()};
}

/// Offsets where each event's frame begins, then the end of the last frame.
std::vector<size_t> frame_starts(const Bytes& trace) {
  std::vector<size_t> starts{12};
  while (starts.back() < trace.size())
    starts.push_back(starts.back() + 8 + flatbuffers::ReadScalar<uint32_t>(trace.data() + starts.back()));
  return starts;
}

void write(TraceWriter& writer, const stream::EventT& event) {
  const Bytes packed = pack(event);
  const Bytes bytes(packed.begin() + sizeof(uint32_t), packed.end());
  writer.write(verify_event(bytes), bytes);
}

}  // namespace

TEST_CASE("a trace on disk gives back every event, twice", "[trace]") {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/a.trace";
  small_sample().write_trace(path);
  CHECK(file_bytes(path) == trace_bytes(small_sample().events()));

  TraceReader reader(path);
  Mirror replayed, live;
  const auto [n_events, why] = read_all(reader, &replayed);
  CHECK(why.empty());
  CHECK(n_events == small_sample().events().size() + 1);
  CHECK(replayed.is_closed());
  CHECK(reader.next() == nullptr);
  small_sample().apply_to(live);
  CHECK(replayed.token_text() == live.token_text());
  for (int32_t head = 0; head < 2; ++head) CHECK(replayed.kept_positions(head) == live.kept_positions(head));

  reader.rewind();
  CHECK(reader.next()->body_type() == stream::EventBody::Hello);
  CHECK(verify_event(Bytes(reader.bytes().begin(), reader.bytes().end())).sequence() == 0);
}

TEST_CASE("every single byte that is changed is found, and what came before it is given", "[trace]") {
  Bytes trace = trace_bytes(small_sample().events());
  const std::vector<size_t> starts = frame_starts(trace);
  uint64_t event = 0;
  for (size_t at = 0; at < trace.size(); ++at) {
    if (at >= starts[event + 1]) ++event;
    for (const auto change : {std::byte{1}, std::byte{0x80}, std::byte{0xff}}) {
      trace[at] ^= change;
      const auto [n_events, why] = read_all(trace);
      trace[at] ^= change;
      if (why.empty() || n_events != event) FAIL("byte " << at << ": " << n_events << " events, " << why);
    }
  }
  CHECK(event + 2 == starts.size());
}

TEST_CASE("every cut of a trace is found, and what came before it is given", "[trace]") {
  const Bytes trace = trace_bytes(small_sample().events());
  const std::vector<size_t> starts = frame_starts(trace);
  uint64_t event = 0;
  for (size_t size = 0; size < trace.size(); ++size) {
    if (size >= starts[event + 1]) ++event;
    const auto [n_events, why] = read_all(Bytes(trace.begin(), trace.begin() + static_cast<std::ptrdiff_t>(size)));
    if (why.empty() || n_events != event) FAIL("cut to " << size << ": " << n_events << " events, " << why);
  }
}

TEST_CASE("a damaged trace says where, and goes on saying it", "[trace]") {
  Bytes trace = trace_bytes(small_sample().events());
  trace[frame_starts(trace)[3] + 20] ^= std::byte{4};
  TraceReader reader(trace);
  const auto [n_events, why] = read_all(reader);
  CHECK(n_events == 3);
  CHECK_THAT(why, Contains("event 3 at byte ") && Contains("checksum"));
  CHECK_THROWS_WITH(reader.next(), why);
  reader.rewind();
  CHECK(reader.next() != nullptr);
}

TEST_CASE("events that are missing, doubled or in another order are found by the mirror", "[trace]") {
  const std::vector<stream::EventT> events = small_sample().events();
  const auto refusal = [](std::vector<stream::EventT> changed) {
    TraceReader reader(trace_bytes(changed));
    Mirror mirror;
    return read_all(reader, &mirror);
  };
  auto missing = events;
  missing.erase(missing.begin() + 6);
  CHECK(refusal(missing).first == 6);
  CHECK_THAT(refusal(missing).second, Contains("event 6 is missing"));
  auto doubled = events;
  doubled.insert(doubled.begin() + 6, events[5]);
  CHECK(refusal(doubled).first == 6);
  CHECK_THAT(refusal(doubled).second, Contains("received already; expected event 6"));
  auto swapped = events;
  std::swap(swapped[5], swapped[6]);
  CHECK(refusal(swapped).first == 5);
  CHECK_THAT(refusal(swapped).second, Contains("event 5 is missing"));
}

TEST_CASE("files that are no traces, and traces with more than there should be", "[trace]") {
  const TemporaryFolder folder;
  CHECK_THROWS_AS(TraceReader(folder.path() + "/none"), Error);
  CHECK_THROWS_AS(TraceReader(folder.path()), Error);
  const std::string path = folder.path() + "/foreign";
  std::ofstream(path) << "";
  CHECK_THROWS_WITH(TraceReader(path), Contains("is not a trace"));
  std::ofstream(path) << "SQLite format 3 and more";
  CHECK_THROWS_WITH(TraceReader(path), Contains(path) && Contains("is not a trace"));

  Bytes trace = trace_bytes({});
  trace[8] = std::byte{9};
  CHECK_THROWS_WITH(TraceReader(trace), Contains("a trace of version 9; this program reads version 1"));

  trace = trace_bytes(small_sample().events());
  trace.push_back(std::byte{0});
  CHECK_THAT(read_all(trace).second, Contains("1 bytes follow the end"));

  for (const uint32_t length : {0xffffffffu, max_message_bytes, 0u}) {
    trace = trace_bytes(small_sample().events());
    flatbuffers::WriteScalar(trace.data() + 12, length);
    CHECK(read_all(trace).first == 0);
    CHECK_FALSE(read_all(trace).second.empty());
  }
}

TEST_CASE("a command in a trace is refused, though its checksum is right", "[trace]") {
  stream::CommandT command;
  command.body.Set(stream::QuitT());
  const Bytes packed = pack(command);
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/a.trace";
  {
    const Bytes hello = pack(small_sample().events()[0]);
    const Bytes hello_bytes(hello.begin() + sizeof(uint32_t), hello.end());
    TraceWriter writer(path);
    writer.write(verify_event(hello_bytes), hello_bytes);
    writer.write(verify_event(hello_bytes), std::span<const std::byte>(packed).subspan(sizeof(uint32_t)));
  }
  TraceReader reader(path);
  const auto [n_events, why] = read_all(reader);
  CHECK(n_events == 1);
  CHECK_THAT(why, Contains("marked \"HRCM\"; expected an event"));
}

TEST_CASE("a recording never overwrites a file", "[trace]") {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/precious";
  std::ofstream(path) << "precious";
  CHECK_THROWS_WITH(TraceWriter(path), Contains("could not be created: File exists"));
  CHECK(file_bytes(path).size() == 8);
  CHECK_THROWS_AS(TraceWriter(folder.path() + "/no/such/folder"), Error);
}

TEST_CASE("a recording is on disk after each event, and closes by itself", "[trace]") {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/a.trace";
  const std::vector<stream::EventT> events = small_sample().events();
  {
    TraceWriter writer(path);
    for (size_t i = 0; i < 3; ++i) {
      write(writer, events[i]);
      TraceReader reader(path);
      CHECK(read_all(reader).first == i + 1);
    }
  }
  TraceReader reader(path);
  CHECK(read_all(reader) == std::pair<uint64_t, std::string>{4, ""});
  TraceWriter closed(folder.path() + "/b.trace");
  closed.close();
  closed.close();
  CHECK_THROWS_WITH(write(closed, events[0]), Contains("is closed"));
}

TEST_CASE("a full disk ends a recording with a sentence; what was written stays readable", "[trace]") {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/a.trace";
  const std::vector<stream::EventT> events = small_sample().events();
  const std::vector<size_t> starts = frame_starts(trace_bytes(events));
  size_t n_written = 0;
  std::string why, why_later;
  {
    TraceWriter writer(path);
    const FileSizeLimit limit(starts[10] + 30);  // within the frame of event 10
    try {
      for (; n_written < events.size(); ++n_written) write(writer, events[n_written]);
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::io);
      why = error.what();
    }
    try {
      write(writer, events[0]);
    } catch (const Error& error) {
      why_later = error.what();
    }
    CHECK_NOTHROW(writer.close());
  }
  CHECK(n_written == 10);
  CHECK_THAT(why, Contains("could not be written: "));
  CHECK(why_later == why);
  TraceReader reader(path);
  const auto [n_events, cut] = read_all(reader);
  CHECK(n_events == 10);
  CHECK_THAT(cut, Contains("event 10 at byte "));
}

}  // namespace trace_test
