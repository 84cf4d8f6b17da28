// The exception for errors whose cause is outside the program: a file, a device limit, a user's text.
// Every folder uses it. A programmer's mistake is an assert, never an Error.
#pragma once

#include <stdexcept>
#include <string>

namespace headroom {

/// The kind of error, for callers that handle kinds differently. For example, out of memory ends a turn but not the
/// session, and a usage error exits with status 2.
enum class ErrorKind {
  bad_input,      // a file, a template or a prompt is wrong; the message says found, expected, where
  unsupported,    // the input is valid, but this program does not support it
  out_of_memory,  // the page pool or a scratch buffer could not grow
  device,         // a backend's device failed
  io,             // the operating system refused
};

/// Carries one sentence: what was found, what was expected, where.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& sentence) : std::runtime_error(sentence), kind_(kind) {}
  explicit Error(const std::string& sentence) : Error(ErrorKind::bad_input, sentence) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

}  // namespace headroom
