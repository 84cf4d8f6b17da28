// The Event stream ◄─► a trace file (layout in trace.h). Each event is one write, so after a crash the file is whole up
// to the last event. The reader checks every byte against the header or a checksum.
#include "engine/telemetry/trace.h"

#include <zlib.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>

#include "engine/base/error.h"
#include "engine/base/platform/platform.h"
#include "engine/base/platform/private_file.h"

namespace headroom {
namespace {

constexpr std::string_view magic = "HRTRACE\n";
constexpr size_t header_bytes = magic.size() + sizeof(uint32_t);
constexpr size_t frame_bytes = 2 * sizeof(uint32_t);  // length and checksum

uint32_t checksum(uint32_t length, std::span<const std::byte> bytes) {
  std::byte prefix[sizeof(length)];
  flatbuffers::WriteScalar(prefix, length);
  const uLong begun = crc32(0, reinterpret_cast<const Bytef*>(prefix), sizeof(prefix));
  return static_cast<uint32_t>(crc32_z(begun, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

std::string system_reason() {
  return std::generic_category().message(errno);
}

}  // namespace

struct TraceWriter::Impl {
  std::string path;
  std::FILE* file = nullptr;
  std::string failure;
  uint64_t n_events = 0;
  uint64_t last_sequence = 0;
  double last_time_ms = 0;
  std::vector<std::byte> frame;

  ~Impl() {
    if (file != nullptr) std::fclose(file);
  }

  void write_bytes(std::span<const std::byte> bytes) {
    if (std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size()) return;
    failure = "the trace " + path + " could not be written: " + system_reason();
    throw Error(ErrorKind::io, failure);
  }

  void write_event(std::span<const std::byte> bytes) {
    const auto length = static_cast<uint32_t>(bytes.size());
    frame.resize(frame_bytes);
    flatbuffers::WriteScalar(frame.data(), length);
    flatbuffers::WriteScalar(frame.data() + sizeof(length), checksum(length, bytes));
    frame.insert(frame.end(), bytes.begin(), bytes.end());
    write_bytes(frame);
    ++n_events;
  }
};

TraceWriter::TraceWriter(const std::string& path) : impl_(std::make_unique<Impl>()) {
  impl_->path = path;
  try {
    Descriptor descriptor = create_new_private_file(path);
    impl_->file = ::fdopen(descriptor.get(), "wb");
    if (impl_->file == nullptr) throw Error(ErrorKind::io, path + " could not be created: " + system_reason());
    descriptor.release();
  } catch (const Error& error) {
    throw Error(ErrorKind::io, std::string("the trace ") + error.what());
  }
  // Unbuffered: when write returns, the event is in the file; otherwise write throws.
  std::setvbuf(impl_->file, nullptr, _IONBF, 0);
  std::byte header[header_bytes];
  std::memcpy(header, magic.data(), magic.size());
  flatbuffers::WriteScalar(header + magic.size(), stream_protocol);
  try {
    impl_->write_bytes(header);
  } catch (...) {
    std::remove(path.c_str());  // an empty trace is useless and would make the next attempt fail
    throw;
  }
}

TraceWriter::~TraceWriter() {
  try {
    close();
  } catch (const std::exception&) {  // call close() to learn about errors
  }
}

void TraceWriter::write(const stream::Event& event, std::span<const std::byte> bytes) {
  if (!impl_->failure.empty()) throw Error(ErrorKind::io, impl_->failure);
  if (impl_->file == nullptr) throw Error(ErrorKind::io, "the trace " + impl_->path + " is closed");
  impl_->write_event(bytes);
  impl_->last_sequence = event.sequence();
  impl_->last_time_ms = event.time_ms();
}

void TraceWriter::close() {
  if (impl_->file == nullptr || !impl_->failure.empty()) return;
  stream::TraceEndT end;
  end.n_events = impl_->n_events;
  stream::EventT event;
  event.sequence = impl_->n_events == 0 ? 0 : impl_->last_sequence + 1;
  event.time_ms = impl_->last_time_ms;
  event.body.Set(std::move(end));
  impl_->write_event(std::span<const std::byte>(pack(event)).subspan(sizeof(uint32_t)));
  if (std::fclose(std::exchange(impl_->file, nullptr)) != 0) {
    impl_->failure = "the trace " + impl_->path + " could not be closed: " + system_reason();
    throw Error(ErrorKind::io, impl_->failure);
  }
}

struct TraceReader::Impl {
  std::string name;
  std::optional<MappedFile> file;
  std::vector<std::byte> owned;
  std::span<const std::byte> bytes;
  size_t at = header_bytes;
  uint64_t n_events = 0;
  bool ended = false;
  std::string failure;
  std::vector<std::byte> message;  // a copy of the current one, at an address that is aligned for FlatBuffers

  void check_header() const {
    if (bytes.size() < header_bytes || std::memcmp(bytes.data(), magic.data(), magic.size()) != 0)
      throw Error(name + " is not a trace: it does not begin with \"HRTRACE\"");
    const auto version = flatbuffers::ReadScalar<uint32_t>(bytes.data() + magic.size());
    if (version != stream_protocol)
      throw Error(name + " is a trace of version " + std::to_string(version) + "; this program reads version " +
                  std::to_string(stream_protocol));
  }

  [[noreturn]] void refuse(const std::string& why) {
    failure = name + ", event " + std::to_string(n_events) + " at byte " + std::to_string(at) + ": " + why;
    throw Error(failure);
  }

  const stream::Event* next() {
    if (!failure.empty()) throw Error(failure);
    const size_t left = bytes.size() - at;
    if (ended) {
      if (left > 0) refuse(std::to_string(left) + " bytes follow the end of the trace");
      return nullptr;
    }
    if (left == 0) refuse("the trace is cut off here; an event or the end of the trace was expected");
    if (left < frame_bytes)
      refuse("the trace is cut off within the frame of an event, " + std::to_string(left) + " bytes are left");
    const auto length = flatbuffers::ReadScalar<uint32_t>(bytes.data() + at);
    const auto stored = flatbuffers::ReadScalar<uint32_t>(bytes.data() + at + sizeof(length));
    if (length > max_message_bytes || length > left - frame_bytes)
      refuse("its length is " + std::to_string(length) + " bytes; " + std::to_string(left - frame_bytes) +
             " are left, and the longest event has " + std::to_string(max_message_bytes));
    const std::span<const std::byte> body = bytes.subspan(at + frame_bytes, length);
    message.assign(body.begin(), body.end());
    if (checksum(length, message) != stored) refuse("its checksum does not fit its bytes; the trace is damaged");
    const stream::Event* event = nullptr;
    try {
      event = &verify_event(message);
    } catch (const Error& error) {
      refuse(error.what());
    }
    at += frame_bytes + length;
    ++n_events;
    ended = event->body_type() == stream::EventBody::TraceEnd;
    return event;
  }
};

TraceReader::TraceReader(const std::string& path) : impl_(std::make_unique<Impl>()) {
  impl_->name = path;
  impl_->file = MappedFile::open(path);
  impl_->bytes = impl_->file->bytes();
  impl_->check_header();
}

TraceReader::TraceReader(std::vector<std::byte> bytes) : impl_(std::make_unique<Impl>()) {
  impl_->name = "the trace";
  impl_->owned = std::move(bytes);
  impl_->bytes = impl_->owned;
  impl_->check_header();
}

TraceReader::~TraceReader() = default;

const stream::Event* TraceReader::next() {
  return impl_->next();
}

void TraceReader::rewind() {
  impl_->at = header_bytes;
  impl_->n_events = 0;
  impl_->ended = false;
  impl_->failure.clear();
}

std::span<const std::byte> TraceReader::bytes() const {
  return impl_->message;
}

}  // namespace headroom
