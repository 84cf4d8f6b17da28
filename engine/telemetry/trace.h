// Events ◄─► a trace file. A recording is the Event stream itself, with a header and one checksum per message:
//
//   "HRTRACE\n"   8 bytes
//   version       u32, little endian: stream_protocol
//   then for each event: length u32 · CRC-32 u32 of length and bytes · bytes (an Event, file identifier "HREV")
//
// A file that was closed properly ends with a TraceEnd. A file without one counts as cut off. Telemetry has no other
// file format.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/telemetry/stream.h"

namespace headroom {

class TraceWriter {
 public:
  /// Creates the file; an existing one is never overwritten. Throws Error(io).
  explicit TraceWriter(const std::string& path);
  ~TraceWriter();  // calls close() and ignores errors
  /// bytes: the event's message without length prefix, as passed to verify_event. Throws Error(io), for example if the
  /// disk is full. Then the file stays readable up to the last whole event, and every later write throws.
  void write(const stream::Event& event, std::span<const std::byte> bytes);
  /// Writes the TraceEnd and closes the file. Throws Error(io). Does nothing if the file is closed or a write has
  /// failed.
  void close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Reads a trace from front to back.
class TraceReader {
 public:
  /// Throws Error if the file is not a trace or has another version.
  explicit TraceReader(const std::string& path);
  explicit TraceReader(std::vector<std::byte> bytes);
  ~TraceReader();
  /// The next event, valid until the next call; null after the TraceEnd. Throws Error if the file is damaged or cut off
  /// here; events before were valid, and every later call throws the same Error.
  const stream::Event* next();
  /// The bytes of the event that next() returned last.
  std::span<const std::byte> bytes() const;
  void rewind();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headroom
