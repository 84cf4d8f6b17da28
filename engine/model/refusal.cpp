// Error messages of this folder. Names from the file reach a terminal or a log through here, so control characters are
// escaped. See refusal.h.
#include "engine/model/refusal.h"

namespace headroom {
namespace {

constexpr size_t max_shown_bytes = 64;

std::string escaped(std::string_view text, bool keep_utf8) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (const char character : text) {
    const auto byte = static_cast<unsigned char>(character);
    if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !keep_utf8)) {
      out += "\\x";
      out += digits[byte >> 4];
      out += digits[byte & 15];
    } else {
      out += character;
    }
  }
  return out;
}

// The path is the user's own and can be in any script, so UTF-8 is kept. Control characters are escaped there too.
std::string sentence(const std::string& file, const std::string& field, const std::string& found,
                     const std::string& expected) {
  return escaped(file, true) + ": " + field + ": found " + found + ", expected " + expected;
}

}  // namespace

std::string shown(std::string_view text) {
  return escaped(text.substr(0, max_shown_bytes), false) + (text.size() > max_shown_bytes ? "..." : "");
}

std::string quoted(std::string_view text) {
  return std::string(1, '\'').append(shown(text)).append(1, '\'');
}

std::string key_field(std::string_view key) {
  return "metadata key " + quoted(key);
}

void refuse(const std::string& file, const std::string& field, const std::string& found, const std::string& expected) {
  throw Error(ErrorKind::bad_input, sentence(file, field, found, expected));
}

void refuse_unsupported(const std::string& file, const std::string& field, const std::string& found,
                        const std::string& expected) {
  throw Error(ErrorKind::unsupported, sentence(file, field, found, expected));
}

}  // namespace headroom
