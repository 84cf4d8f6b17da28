// What Python's str knows about one character: its class and its case mappings. Text uses it. It adds to utf8proc what
// is missing there.
#pragma once

#include <cstdint>

#include "engine/text/jinja/budget.h"

namespace headroom::jinja {

/// str.isspace, str.isalpha, … for one character.
bool is_space(int32_t code);
bool is_letter(int32_t code);
bool is_decimal(int32_t code);
bool is_digit(int32_t code);
bool is_numeric(int32_t code);
bool is_upper(int32_t code);
bool is_lower(int32_t code);
bool is_title(int32_t code);
bool is_alphanumeric(int32_t code);
/// True if repr() writes the character itself.
bool is_printable(int32_t code);
/// True if the character may begin (or continue) a name, as in str.isidentifier.
bool begins_name(int32_t code);
bool continues_name(int32_t code);
/// The value 0 to 9 of a character for which is_decimal is true.
int decimal_value(int32_t code);

/// is_cased: the character has a case (Unicode's Cased). is_case_ignorable: the final sigma rule skips the character
/// (Case_Ignorable).
bool is_cased(int32_t code);
bool is_case_ignorable(int32_t code);

/// Full case mappings: one character can become several. They do not depend on neighbours.
void append_upper(String& out, int32_t code);
void append_title(String& out, int32_t code);
void append_lower(String& out, int32_t code);
void append_folded(String& out, int32_t code);

}  // namespace headroom::jinja
