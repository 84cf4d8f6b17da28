// Untrusted text becomes harmless, numbers become readable.
#include "app/format.h"

#include <catch2/catch.hpp>

using namespace headroom;

TEST_CASE("printable writes out whatever could steer a terminal or break the line") {
  CHECK(printable("plain text, ümläut, 漢字, 😀") == "plain text, ümläut, 漢字, 😀");
  CHECK(printable("\x1b[2Jgone") == "\\x1b[2Jgone");
  CHECK(printable("two\nlines\r\tand a tab") == "two\\nlines\\x0d\\tand a tab");
  CHECK(printable(std::string_view("nul\0byte", 8)) == "nul\\x00byte");
  CHECK(printable("\x7f") == "\\x7f");
  CHECK(printable("\u009b31m") == "\\x9b31m");              // C1: one character that starts an escape sequence
  CHECK(printable("abc\u202edcba") == "abc\\u{202e}dcba");  // right-to-left override
  CHECK(printable("\u200bhidden") == "\\u{200b}hidden");
}

TEST_CASE("printable writes invalid UTF-8 byte by byte") {
  CHECK(printable("\xff") == "\\xff");
  CHECK(printable("\xc3") == "\\xc3");                             // cut off
  CHECK(printable("\xc0\xaf") == "\\xc0\\xaf");                    // overlong
  CHECK(printable("\xed\xa0\x80") == "\\xed\\xa0\\x80");           // a surrogate
  CHECK(printable("\xf4\x90\x80\x80") == "\\xf4\\x90\\x80\\x80");  // beyond U+10FFFF
  CHECK(printable("\xe2\x82") == "\\xe2\\x82");
  CHECK(printable("\xe2\x82(") == "\\xe2\\x82(");
}

TEST_CASE("a model's text keeps line feeds and tabs and shows other control characters as pictures") {
  CHECK(terminal_text("a\tb\nc") == "a\tb\nc");
  CHECK(terminal_text("\x1b]0;title\x07") == "␛]0;title␇");
  CHECK(terminal_text("over\rwritten\b") == "over␍written␈");
  CHECK(terminal_text("\x7f") == "␡");
  CHECK(terminal_text("\u009b2J") == "\ufffd2J");
  CHECK(terminal_text("\xff") == "\ufffd");
  CHECK(terminal_text("naïve 漢") == "naïve 漢");
}

TEST_CASE("no control character of any value survives terminal_text") {
  for (int c = 0; c < 0x20; ++c) {
    const std::string shown = terminal_text(std::string(1, static_cast<char>(c)));
    if (c == '\n' || c == '\t')
      CHECK(shown == std::string(1, static_cast<char>(c)));
    else
      CHECK(shown.size() == 3);
  }
}

TEST_CASE("shortened cuts between characters") {
  CHECK(shortened("short", 5) == "short");
  CHECK(shortened("longer", 5) == "longe…");
  CHECK(shortened("aä", 2) == "a…");
  CHECK(shortened("ää", 3) == "ä…");
}

TEST_CASE("numbers for people") {
  CHECK(count_text(0) == "0");
  CHECK(count_text(999) == "999");
  CHECK(count_text(1000) == "1,000");
  CHECK(count_text(12345678) == "12,345,678");
  CHECK(count_text(-123456) == "-123,456");
  CHECK(bytes_text(512) == "512 B");
  CHECK(bytes_text(3 << 20) == "3.0 MiB");
  CHECK(bytes_text(int64_t{24} << 30) == "24.0 GiB");
}

TEST_CASE("edit distance counts insertions, deletions and replacements") {
  CHECK(edit_distance("", "") == 0);
  CHECK(edit_distance("abc", "") == 3);
  CHECK(edit_distance("", "abc") == 3);
  CHECK(edit_distance("kitten", "sitting") == 3);
  CHECK(edit_distance("threads", "theads") == 1);
}
