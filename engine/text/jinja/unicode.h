// What Python's str knows of one character: its class and its letters in another case. Under Text; beside utf8proc,
// which lacks a part of it.
#pragma once

#include <cstdint>

#include "engine/text/jinja/budget.h"

namespace headroom::jinja {

/// str.isspace, str.isalpha, … of one character.
bool is_space(int32_t code);
bool is_letter(int32_t code);
bool is_decimal(int32_t code);
bool is_digit(int32_t code);
bool is_numeric(int32_t code);
bool is_upper(int32_t code);
bool is_lower(int32_t code);
bool is_title(int32_t code);
bool is_alphanumeric(int32_t code);
/// repr() writes the character itself.
bool is_printable(int32_t code);
/// May begin a name, may go on in one (str.isidentifier).
bool begins_name(int32_t code);
bool continues_name(int32_t code);
/// 0 to 9, of a character that is_decimal.
int decimal_value(int32_t code);

/// Has a case (Unicode's Cased), and does not end a word for the rule of the final sigma (Case_Ignorable).
bool is_cased(int32_t code);
bool is_case_ignorable(int32_t code);

/// The whole mappings: one character may become several. None looks at the neighbours.
void append_upper(String& out, int32_t code);
void append_title(String& out, int32_t code);
void append_lower(String& out, int32_t code);
void append_folded(String& out, int32_t code);

}  // namespace headroom::jinja
