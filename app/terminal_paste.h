// Asks the terminal to mark what is pasted (bracketed paste), for as long as a conversation reads from it, and takes
// that back however the process ends. Beside the line reader; what is between the marks is the reader's business.
#pragma once

#include <string_view>

namespace headroom {

/// What a terminal that was asked sends around a paste.
inline constexpr std::string_view paste_begin = "\x1b[200~", paste_end = "\x1b[201~";

/// On standard error, which must be a terminal. At most one at a time.
class BracketedPaste {
 public:
  BracketedPaste();
  ~BracketedPaste();
  BracketedPaste(const BracketedPaste&) = delete;
  BracketedPaste& operator=(const BracketedPaste&) = delete;
};

/// The terminal as it was before, for whoever ends the process in a signal handler. Without a BracketedPaste nothing.
void restore_terminal();

}  // namespace headroom
