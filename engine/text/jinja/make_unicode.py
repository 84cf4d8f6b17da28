"""Python's own Unicode data ─► engine/text/jinja/unicode_tables.h: what utf8proc does not tell of a character.

Usage: python3 make_unicode.py > unicode_tables.h (Python 3.11: Unicode 14.0)
"""

import sys
import unicodedata

ALL = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]


def ranges(chars):
    found = []
    for code in map(ord, chars):
        if found and found[-1][1] == code - 1:
            found[-1][1] = code
        else:
            found.append([code, code])
    return found


def print_ranges(name, comment, chars):
    print(f"\n// {comment}\nconstexpr CodeRange {name}[] = {{")
    print(",\n".join(f"    {{{a:#x}, {b:#x}}}" for a, b in ranges(chars)) + "};")


def codes(text):
    return "{" + ", ".join(f"{ord(c):#x}" for c in text) + "}"


def main():
    category = unicodedata.category
    print("// Made by make_unicode.py from Python's unicodedata, Unicode " + unicodedata.unidata_version + ":")
    print("// what utf8proc does not tell of a character. Included by unicode.cpp only.")
    print("#pragma once\n\n#include <cstdint>\n\nnamespace headroom::jinja {\n")
    print("struct CodeRange {\n  int32_t first, last;\n};")
    print_ranges("other_digits", "str.isdigit beside category Nd (Numeric_Type Digit).",
                 [c for c in ALL if c.isdigit() and category(c) != "Nd"])
    print_ranges("other_numerics", "str.isnumeric beside str.isdigit (Numeric_Type Numeric).",
                 [c for c in ALL if c.isnumeric() and not c.isdigit()])
    print_ranges("other_lowercase", "Other_Lowercase: str.islower beside category Ll.",
                 [c for c in ALL if c.islower() and category(c) != "Ll"])
    print_ranges("other_uppercase", "Other_Uppercase: str.isupper beside category Lu.",
                 [c for c in ALL if c.isupper() and category(c) != "Lu"])
    print("\n/// A character that becomes several in upper case or at the beginning of a word (SpecialCasing.txt).")
    print("struct SpecialCase {\n  int32_t code;\n  int32_t upper[3], title[3];\n};")
    print("constexpr SpecialCase special_cases[] = {")
    special = [c for c in ALL if len(c.upper()) > 1 or len(c.title()) > 1]
    print(",\n".join(f"    {{{ord(c):#x}, {codes(c.upper())}, {codes(c.title())}}}" for c in special) + "};")
    print("\n}  // namespace headroom::jinja")


if __name__ == "__main__":
    main()
