// Lines by libedit in a terminal (prompt and echo on standard error), by getline everywhere else.
#include "app/line_reader.h"

#include <histedit.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cwchar>
#include <istream>
#include <ostream>

namespace headroom {
namespace {

class StreamReader : public LineReader {
 public:
  explicit StreamReader(Streams& io) : io_(io) {}

  Outcome read(const std::string& prompt, std::string& line) override {
    if (io_.in_is_terminal) io_.err << prompt << std::flush;
    if (!std::getline(io_.in, line)) return Outcome::quit;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    return Outcome::line;
  }

 private:
  Streams& io_;
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
  }
  ~EditReader() override {
    history_end(history_);
    el_end(edit_);
  }
  EditReader(const EditReader&) = delete;
  EditReader& operator=(const EditReader&) = delete;

  Outcome read(const std::string& prompt, std::string& line) override {
    prompt_ = prompt;
    empty_when_interrupted_ = true;
    const InterruptGuard guard(interrupt_);
    el_resize(edit_);
    int n_bytes = 0;
    const char* text = el_gets(edit_, &n_bytes);
    if (interrupt_.requested || text == nullptr || n_bytes <= 0) {
      const bool interrupted = interrupt_.requested;
      el_reset(edit_);  // what was typed is gone
      std::fputc('\n', stderr);
      return interrupted && !empty_when_interrupted_ ? Outcome::interrupted : Outcome::quit;
    }
    line.assign(text, static_cast<size_t>(n_bytes));
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.pop_back();
    HistEvent event;
    if (!line.empty()) history(history_, &event, H_ENTER, line.c_str());
    return Outcome::line;
  }

 private:
  static EditReader* self(EditLine* edit) {
    void* reader = nullptr;
    el_get(edit, EL_CLIENTDATA, &reader);
    return static_cast<EditReader*>(reader);
  }

  static char* prompt_text(EditLine* edit) { return self(edit)->prompt_.data(); }

  /// One character of the terminal. libedit's own function goes on reading after a signal; this one ends at Ctrl+C.
  static int read_character(EditLine* edit, wchar_t* out) {
    EditReader& reader = *self(edit);
    std::mbstate_t state{};
    while (true) {
      char byte = 0;
      const ssize_t n_read = ::read(STDIN_FILENO, &byte, 1);
      if (reader.interrupt_.requested) {
        const LineInfo* line = el_line(edit);
        reader.empty_when_interrupted_ = line->lastchar == line->buffer;
        return -1;
      }
      if (n_read < 0 && errno == EINTR) continue;
      if (n_read <= 0) return static_cast<int>(n_read);
      const size_t n_used = std::mbrtowc(out, &byte, 1, &state);
      if (n_used == static_cast<size_t>(-2)) continue;  // more bytes of this character follow
      if (n_used == static_cast<size_t>(-1)) {
        state = {};
        continue;  // no character: nothing to show for it
      }
      return 1;
    }
  }

  Interrupt& interrupt_;
  EditLine* edit_;
  History* history_;
  std::string prompt_;
  bool empty_when_interrupted_ = true;
};

}  // namespace

std::unique_ptr<LineReader> make_line_reader(Streams& io) {
  if (io.edit_lines) return std::make_unique<EditReader>(io.interrupt);
  return std::make_unique<StreamReader>(io);
}

}  // namespace headroom
