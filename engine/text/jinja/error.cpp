// Error messages of the template interpreter. See error.h.
#include "engine/text/jinja/error.h"

#include "engine/base/error.h"

namespace headroom::jinja {

namespace {

std::string one_line(int line, const std::string& what) {
  constexpr size_t max_bytes = 500;
  std::string text = what.substr(0, max_bytes);
  if (what.size() > max_bytes) {
    while (!text.empty() && (static_cast<unsigned char>(what[text.size()]) & 0xc0) == 0x80) text.pop_back();
    text += "…";
  }
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return std::string("chat template, line ") + std::to_string(line) + ": " + text;
}

}  // namespace

void fail_at_line(int line, const std::string& what) {
  throw Error(ErrorKind::bad_input, one_line(line, what));
}

void fail_unsupported_at_line(int line, const std::string& what) {
  throw Error(ErrorKind::unsupported, one_line(line, what + " is not supported"));
}

}  // namespace headroom::jinja
