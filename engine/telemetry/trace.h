// Events ◄─► a trace file. A recording is the Event stream itself, with a header and a checksum for each message:
//
//   "HRTRACE\n"   8 bytes
//   version       u32, little endian: stream_protocol
//   then for each event: length u32 · CRC-32 u32 of length and bytes · bytes (an Event, file identifier "HREV")
//
// The last event of a file that was closed in order is a TraceEnd; without it the file is taken as cut off. There is no
// second format for telemetry.
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
  ~TraceWriter();  // closes in order; an error then is lost
  /// `bytes` are the event's, without a length, as verify_event took them. Throws Error(io), for example for a full
  /// disk; the file stays readable up to the last whole event, and every later write is refused.
  void write(const stream::Event& event, std::span<const std::byte> bytes);
  /// Adds the TraceEnd. Throws Error(io). Does nothing where the file is closed or a write has failed.
  void close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Reads a trace from front to back.
class TraceReader {
 public:
  /// Throws Error for a file that is no trace or of another version.
  explicit TraceReader(const std::string& path);
  explicit TraceReader(std::vector<std::byte> bytes);
  ~TraceReader();
  /// The next event, valid until the next call; null behind the TraceEnd. Throws Error where the file is damaged or
  /// cut off: what came before was good, and nothing follows (the next call throws the same).
  const stream::Event* next();
  /// Of the event that next() gave last.
  std::span<const std::byte> bytes() const;
  void rewind();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headroom
