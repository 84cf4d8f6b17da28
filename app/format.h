// Numbers and untrusted text ─► text that is safe and readable in a terminal. Knows no streams and no engine.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/number_text.h"

namespace headroom {

/// Formats like printf, into a string.
[[gnu::format(printf, 1, 2)]] std::string format(const char* pattern, ...);

/// One line of plain text: control characters, escape sequences, direction overrides and invalid UTF-8 are escaped
/// ("\n", "\x1b", "\u{202e}"), so that a file's strings can neither control a terminal nor break a line.
std::string printable(std::string_view text);

/// A model's text for a terminal: line feeds and tabs stay, other control characters become visible pictures.
std::string terminal_text(std::string_view text);

/// The first max_bytes of text at most, cut between characters; ends with "…" if something was left out.
std::string shortened(std::string_view text, size_t max_bytes);

/// The Levenshtein distance.
size_t edit_distance(std::string_view a, std::string_view b);

}  // namespace headroom
