// Errors that come from outside the program: a file, a device limit, a user's text.
// Stands under everything; a programmer's mistake is an assert, never an Error.
#pragma once

#include <stdexcept>
#include <string>

namespace headroom {

/// What kind of trouble it was, for callers that go on differently (a turn that ran out of memory ends, the
/// session goes on; a usage error exits 2).
enum class ErrorKind {
  bad_input,      // a file, a template, a prompt: found, expected, where
  unsupported,    // understood, but not offered here
  out_of_memory,  // the page pool or a scratch buffer could not grow
  device,         // a backend's device failed
  io,             // the operating system refused
};

/// One clear sentence: what was found, what was expected, where.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& sentence) : std::runtime_error(sentence), kind_(kind) {}
  explicit Error(const std::string& sentence) : Error(ErrorKind::bad_input, sentence) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

}  // namespace headroom
