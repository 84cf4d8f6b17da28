// Words the errors of the template interpreter: one line, of a bounded length, whatever names and messages a template
// puts into it. Under the lexer, the parser and the running template.
#pragma once

#include <string>

namespace headroom::jinja {

/// Error(bad_input) "chat template, line 3: what".
[[noreturn]] void fail_at_line(int line, const std::string& what);
/// Error(unsupported) "chat template, line 3: what is not supported".
[[noreturn]] void fail_unsupported_at_line(int line, const std::string& what);

}  // namespace headroom::jinja
