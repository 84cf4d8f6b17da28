// Determines the kind from file type, size and first bytes. See opened_file.h.
#include "app/desktop/opened_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "app/format.h"
#include "engine/base/error.h"
#include "engine/run/prompt.h"

namespace headroom {
namespace {

constexpr std::string_view model_magic = "GGUF", recording_magic = "HRTRACE\n";

OpenedFile refused(const std::string& path, const std::string& what) {
  return {.kind = FileKind::other,
          .text = "",
          .why = printable(std::filesystem::path(path).filename().string()) + " " + what +
                 ". A GGUF model, a recording or a text can be opened here."};
}

/// Uses a fence longer than any run of backticks in the text, so that the text cannot end it.
std::string fenced(const std::string& name, const std::string& text) {
  size_t longest = 0, run = 0;
  for (const char c : text) {
    run = c == '`' ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  const std::string fence(std::max<size_t>(3, longest + 1), '`');
  return name + ":\n" + fence + "\n" + text + (text.ends_with('\n') ? "" : "\n") + fence + "\n";
}

std::string with_line_feeds(std::string text) {
  if (text.starts_with("\xef\xbb\xbf")) text.erase(0, 3);
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\r')
      out += text[i];
    else if (i + 1 == text.size() || text[i + 1] != '\n')
      out += '\n';
  }
  return out;
}

}  // namespace

OpenedFile look_at_file(const std::string& path) {
  namespace fs = std::filesystem;
  if (path.empty()) return refused(path, "has no name");
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) return refused(path, "is not there");
  if (status.type() == fs::file_type::directory) return refused(path, "is a folder");
  if (error) return refused(path, "cannot be looked at: " + error.message());
  if (status.type() != fs::file_type::regular) return refused(path, "is no file but a pipe or a device");
  const uintmax_t n_bytes = fs::file_size(path, error);
  std::ifstream file(path, std::ios::binary);
  if (!file) return refused(path, std::string("cannot be read: ") + std::strerror(errno));
  if (n_bytes == 0) return refused(path, "is empty");

  std::string text(std::min<uintmax_t>(n_bytes, max_attached_bytes + 1), '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad() || file.gcount() == 0) return refused(path, "cannot be read");
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.starts_with(model_magic)) return {.kind = FileKind::model, .text = "", .why = ""};
  if (text.starts_with(recording_magic)) return {.kind = FileKind::recording, .text = "", .why = ""};
  const bool is_cut = text.size() > max_attached_bytes;
  if (is_cut) text.resize(max_attached_bytes - 3);  // the cut may split a character
  text = with_line_feeds(std::move(text));
  try {
    // If the text was cut, the part before its last line feed shows whether it is text at all.
    check_prompt_text(is_cut ? text.substr(0, text.find_last_of('\n')) : text, "it");
  } catch (const Error&) {
    return refused(path, "is neither a model nor a recording nor text in UTF-8");
  }
  if (is_cut)
    return refused(path, "has " + bytes_text(static_cast<int64_t>(n_bytes)) + "; text of at most " +
                             bytes_text(static_cast<int64_t>(max_attached_bytes)) + " goes into a message");
  return {.kind = FileKind::text,
          .text = fenced(printable(std::filesystem::path(path).filename().string()), text),
          .why = ""};
}

}  // namespace headroom
