// Error messages of the template interpreter: one line of limited length, whatever names and messages the template puts
// into it. The lexer, the parser and the evaluator use it.
#pragma once

#include <string>

namespace headroom::jinja {

/// Throws Error(bad_input) "chat template, line 3: what".
[[noreturn]] void fail_at_line(int line, const std::string& what);
/// Throws Error(unsupported) "chat template, line 3: what is not supported".
[[noreturn]] void fail_unsupported_at_line(int line, const std::string& what);

}  // namespace headroom::jinja
