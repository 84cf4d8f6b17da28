// Lines by libedit in a terminal (prompt and echo on standard error), by getline everywhere else. libedit knows no
// pastes: the sequence that begins one is bound to a function here, which reads the rest directly from the terminal.
#include "app/line_reader.h"

#include <histedit.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <cwchar>
#include <istream>
#include <ostream>

#include "app/terminal_paste.h"
#include "engine/base/error.h"
#include "engine/base/platform/fd_io.h"
#include "engine/base/utf8.h"

namespace headroom {
namespace {

// More than any context holds; each character takes 20 bytes in libedit.
constexpr size_t max_paste_bytes = size_t{8} << 20;
constexpr size_t max_history_bytes = size_t{64} << 10;
constexpr int silence_ms = 1000;       // within a paste, before the user is told that its end is missing
constexpr int rest_of_paste_ms = 200;  // how long the rest of an interrupted paste may take to arrive

class StreamReader : public LineReader {
 public:
  explicit StreamReader(Console& io) : io_(io) {}

  Outcome read(const std::string& prompt, InputLine& line) override {
    line = {};
    if (io_.in_is_terminal) io_.err << prompt << std::flush;
    errno = 0;
    if (!std::getline(io_.in, line.text)) {
      if (io_.in.bad())
        throw Error(ErrorKind::io, std::string("standard input cannot be read") +
                                       (errno == 0 ? "" : std::string(": ") + std::strerror(errno)));
      return Outcome::quit;
    }
    if (!line.text.empty() && line.text.back() == '\r') line.text.pop_back();
    return Outcome::line;
  }

 private:
  Console& io_;
};

class EditReader : public LineReader {
 public:
  explicit EditReader(Interrupt& interrupt)
      : interrupt_(interrupt), edit_(el_init("headroom", stdin, stderr, stderr)), history_(history_init()) {
    HistEvent event;
    history(history_, &event, H_SETSIZE, 1000);
    history(history_, &event, H_SETUNIQUE, 1);
    el_set(edit_, EL_CLIENTDATA, this);
    el_set(edit_, EL_PROMPT, &EditReader::prompt_text);
    el_set(edit_, EL_EDITOR, "emacs");
    el_set(edit_, EL_HIST, history, history_);
    el_set(edit_, EL_GETCFN, &EditReader::read_character);
    el_source(edit_, nullptr);  // the user's ~/.editrc
    // CR and LF arrive unchanged while a line is edited, so that CR LF in a paste counts as one line ending.
    el_set(edit_, EL_SETTY, "-d", "-inlcr", "-icrnl", nullptr);
    // Uses the wide call, because the narrow one leaks its names. Runs after ~/.editrc, which may choose another editor
    // and its keys.
    el_wset(edit_, EL_ADDFN, L"headroom-paste", L"Take a paste", &EditReader::take_paste);
    el_wset(edit_, EL_ADDFN, L"headroom-no-paste", L"Ignore the end of no paste", &EditReader::ignore);
    for (const bool in_other_map : {false, true}) {
      bind(in_other_map, L"\\e[200~", L"headroom-paste");
      bind(in_other_map, L"\\e[201~", L"headroom-no-paste");
    }
  }
  ~EditReader() override {
    history_end(history_);
    el_end(edit_);
  }
  EditReader(const EditReader&) = delete;
  EditReader& operator=(const EditReader&) = delete;

  Outcome read(const std::string& prompt, InputLine& line) override {
    prompt_ = prompt;
    line = {};
    begins_typed_ = ends_typed_ = true;
    empty_when_interrupted_ = true;
    const InterruptGuard guard(interrupt_);
    el_resize(edit_);
    int n_bytes = 0;
    const char* text = el_gets(edit_, &n_bytes);
    if (interrupt_.requested || text == nullptr || n_bytes <= 0) {
      const bool interrupted = interrupt_.requested;
      el_reset(edit_);  // discards what was typed
      std::fputc('\n', stderr);
      return interrupted && !empty_when_interrupted_ ? Outcome::interrupted : Outcome::quit;
    }
    line.text.assign(text, static_cast<size_t>(n_bytes));
    while (!line.text.empty() && (line.text.back() == '\n' || line.text.back() == '\r')) line.text.pop_back();
    line.begins_typed = begins_typed_;
    line.ends_typed = ends_typed_;
    remember(line);
    return Outcome::line;
  }

 private:
  void bind(bool in_other_map, const wchar_t* key, const wchar_t* function) {
    if (in_other_map)
      el_wset(edit_, EL_BIND, L"-a", key, function, nullptr);
    else
      el_wset(edit_, EL_BIND, key, function, nullptr);
  }

  /// A paste that looks like a command is stored with a leading space, so that it returns from the history as text.
  void remember(const InputLine& line) {
    if (line.text.empty() || line.text.size() > max_history_bytes) return;
    const bool looks_like_command = !line.begins_typed && line.text.front() == '/';
    HistEvent event;
    history(history_, &event, H_ENTER, ((looks_like_command ? " " : "") + line.text).c_str());
  }

  static EditReader* self(EditLine* edit) {
    void* reader = nullptr;
    el_get(edit, EL_CLIENTDATA, &reader);
    return static_cast<EditReader*>(reader);
  }

  static char* prompt_text(EditLine* edit) { return self(edit)->prompt_.data(); }

  bool is_empty() const {
    const LineInfoW* line = el_wline(edit_);
    return line->lastchar == line->buffer;
  }

  /// Reads one byte of the terminal; returns what read(2) returns.
  ssize_t next_byte(char& byte) {
    if (ahead_.empty()) return ::read(STDIN_FILENO, &byte, 1);
    byte = ahead_.front();
    ahead_.erase(0, 1);
    return 1;
  }

  /// Reads one character of the terminal. libedit's own function continues after a signal; this one ends at Ctrl+C.
  static int read_character(EditLine* edit, wchar_t* out) {
    EditReader& reader = *self(edit);
    std::mbstate_t state{};
    while (true) {
      char byte = 0;
      const ssize_t n_read = reader.interrupt_.requested ? -1 : reader.next_byte(byte);
      if (reader.interrupt_.requested) {
        reader.empty_when_interrupted_ = reader.empty_when_interrupted_ && reader.is_empty();
        return -1;
      }
      if (n_read < 0 && errno == EINTR) continue;
      if (n_read <= 0) return static_cast<int>(n_read);
      const size_t n_used = std::mbrtowc(out, &byte, 1, &state);
      if (n_used == static_cast<size_t>(-2)) continue;  // more bytes of this character follow
      if (n_used == static_cast<size_t>(-1)) {
        state = {};
        continue;  // invalid bytes are skipped
      }
      const auto code = static_cast<uint32_t>(*out);
      // Typing into an emptied line makes it a typed line again. Text that a key yanks back still counts as pasted.
      if (!reader.begins_typed_ && code >= 0x20 && code != 0x7f && reader.is_empty()) reader.begins_typed_ = true;
      if (code != '\r' && code != '\n') reader.ends_typed_ = true;
      return 1;
    }
  }

  static unsigned char ignore(EditLine*, wint_t) { return CC_NORM; }

  /// Called after the sequence that begins a paste. The whole paste becomes part of the line, whatever it contains.
  static unsigned char take_paste(EditLine* edit, wint_t) {
    EditReader& reader = *self(edit);
    std::string bytes;
    const PasteEnd end = reader.read_paste(bytes);
    if (end == PasteEnd::closed) return CC_EOF;
    if (end != PasteEnd::whole) return CC_REDISPLAY;
    const std::string text = pasted_text(bytes);
    if (text.empty()) return CC_NORM;
    const LineInfoW* line = el_wline(edit);
    const bool at_begin = line->cursor == line->buffer, at_end = line->cursor == line->lastchar;
    if (el_insertstr(edit, text.c_str()) != 0) return CC_ERROR;
    if (at_begin) reader.begins_typed_ = false;
    if (at_end) reader.ends_typed_ = false;
    return CC_REFRESH;
  }

  enum class PasteEnd { whole, interrupted, too_long, closed };

  PasteEnd read_paste(std::string& bytes) {
    bytes = std::move(ahead_);
    ahead_.clear();
    bool is_too_long = false, was_told = false;
    size_t searched = 0;
    while (true) {
      const size_t at = bytes.find(paste_end, searched);
      if (at != std::string::npos) {
        ahead_ = bytes.substr(at + paste_end.size());
        bytes.resize(at);
        is_too_long = is_too_long || at > max_paste_bytes;
        if (is_too_long)
          say("the paste has more than " + std::to_string(max_paste_bytes) + " bytes; none of it was taken");
        return is_too_long ? PasteEnd::too_long : PasteEnd::whole;
      }
      // The end mark may be split between two reads.
      searched = bytes.size() - std::min(bytes.size(), paste_end.size() - 1);
      if (bytes.size() > max_paste_bytes + paste_end.size()) {
        is_too_long = true;
        bytes.erase(0, searched);
        searched = 0;
      }
      if (!was_told && !interrupt_.requested && !wait_readable(STDIN_FILENO, silence_ms)) {
        was_told = true;
        say("the paste has not ended yet; Ctrl+C drops it");
      }
      if (interrupt_.requested) return drop_rest_of_paste();
      const ssize_t n_read = read_block(bytes);
      if (n_read == 0 || (n_read < 0 && errno != EINTR)) return PasteEnd::closed;
    }
  }

  ssize_t read_block(std::string& bytes) {
    char block[16384];
    const ssize_t n_read = ::read(STDIN_FILENO, block, sizeof block);
    if (n_read > 0) bytes.append(block, static_cast<size_t>(n_read));
    return n_read;
  }

  /// Discards the rest of an interrupted paste, so that it does not become the next line.
  PasteEnd drop_rest_of_paste() {
    empty_when_interrupted_ = false;
    std::string rest;
    while (wait_readable(STDIN_FILENO, rest_of_paste_ms) && read_block(rest) > 0) {
      if (const size_t at = rest.find(paste_end); at != std::string::npos) {
        ahead_ = rest.substr(at + paste_end.size());
        break;
      }
      rest.erase(0, rest.size() - std::min(rest.size(), paste_end.size() - 1));
    }
    return PasteEnd::interrupted;
  }

  static void say(const std::string& sentence) {
    std::fprintf(stderr, "\r\n%s\r\n", sentence.c_str());
    std::fflush(stderr);
  }

  Interrupt& interrupt_;
  BracketedPaste asked_;
  EditLine* edit_;
  History* history_;
  std::string prompt_;
  std::string ahead_;  // bytes read after the end of a paste, not yet used
  bool empty_when_interrupted_ = true;
  bool begins_typed_ = true, ends_typed_ = true;
};

}  // namespace

std::unique_ptr<LineReader> make_line_reader(Console& io) {
  if (io.edit_lines) return std::make_unique<EditReader>(io.interrupt);
  return std::make_unique<StreamReader>(io);
}

std::string pasted_text(const std::string& bytes) {
  std::string text;
  text.reserve(bytes.size());
  for (size_t at = 0; at < bytes.size();) {
    const char byte = bytes[at];
    if (byte == '\0') {
      ++at;
    } else if (byte == '\r') {
      // Inside a paste, terminals send a line ending as the byte of the Enter key.
      text += '\n';
      at += at + 1 < bytes.size() && bytes[at + 1] == '\n' ? 2 : 1;
    } else if (const size_t length = utf8_char_at(bytes, at).n_bytes; length > 0) {
      text.append(bytes, at, length);
      at += length;
    } else {
      text += "\xef\xbf\xbd";
      ++at;
    }
  }
  return text;
}

}  // namespace headroom
