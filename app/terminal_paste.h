// Asks the terminal to mark pastes (bracketed paste) while a conversation reads from it, and undoes that however the
// process ends. Used by the line reader, which handles the text between the marks.
#pragma once

#include <string_view>

namespace headroom {

/// What the terminal sends around a paste after it was asked.
inline constexpr std::string_view paste_begin = "\x1b[200~", paste_end = "\x1b[201~";

/// On standard error, which must be a terminal. At most one at a time.
class BracketedPaste {
 public:
  BracketedPaste();
  ~BracketedPaste();
  BracketedPaste(const BracketedPaste&) = delete;
  BracketedPaste& operator=(const BracketedPaste&) = delete;
};

/// Restores the terminal; for a signal handler that ends the process. Does nothing without a BracketedPaste.
void restore_terminal();

}  // namespace headroom
