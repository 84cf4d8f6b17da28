// Numbers as people read them, and titles that stay on one line whatever is in them.
#include "ui/number_text.h"

#include <catch2/catch.hpp>

using namespace headroom;

TEST_CASE("bytes have one place and the unit that fits", "[number_text]") {
  CHECK(bytes_text(0) == "0 B");
  CHECK(bytes_text(1023) == "1023 B");
  CHECK(bytes_text(1024) == "1.0 KiB");
  CHECK(bytes_text((1 << 20) - 1) == "1.0 MiB");
  CHECK(bytes_text(12'897'485) == "12.3 MiB");
  CHECK(bytes_text(int64_t{3} << 30) == "3.0 GiB");
}

TEST_CASE("counts are grouped by a space that does not break", "[number_text]") {
  CHECK(count_text(999) == "999");
  CHECK(count_text(1234567) ==
        "1\xc2\xa0"
        "234\xc2\xa0"
        "567");
  CHECK(count_text(-1234) ==
        "-1\xc2\xa0"
        "234");
  CHECK(count_text(1, "token", "tokens") == "1 token");
  CHECK(count_text(0, "token", "tokens") == "0 tokens");
}

TEST_CASE("a share below the threshold never reads as if it reached it", "[number_text]") {
  CHECK(share_text(0.95) == "0.950");
  CHECK(share_text(0.94999) == "0.949");
  CHECK(share_text(1) == "1.000");
  CHECK(percent_text(0.632) == "63.2 %");
  CHECK(percent_text(0.0 / 0.0 * 1) == "–");
}

TEST_CASE("ages are words", "[number_text]") {
  constexpr int64_t minute = 60'000, hour = 60 * minute, day = 24 * hour;
  CHECK(age_text(1000, 500) == "just now");  // a clock that was set back
  CHECK(age_text(0, minute - 1) == "just now");
  CHECK(age_text(0, 5 * minute) == "5 minutes ago");
  CHECK(age_text(0, hour) == "1 hour ago");
  CHECK(age_text(0, day + hour) == "yesterday");
  CHECK(age_text(0, 3 * day) == "3 days ago");
  CHECK(age_text(0, 70 * day) == "2 months ago");
  CHECK(age_text(0, 800 * day) == "2 years ago");
}

TEST_CASE("a title is one line, whatever a stranger wrote", "[number_text]") {
  CHECK(one_line("two\nlines\t and  spaces ", 100) == "two lines and spaces");
  CHECK(one_line("a\x1b[31mb\x01", 100) == "a[31mb");
  CHECK(one_line("abc\xe2\x80\xae"
                 "def",
                 100) == "abcdef");  // a direction override
  CHECK(one_line("\xff"
                 "a\xc3",
                 100) ==
        "\xef\xbf\xbd"
        "a\xef\xbf\xbd");
  CHECK(one_line("שלום 👩‍🚀", 100) == "שלום 👩‍🚀");
  CHECK(one_line("日本語のタイトル", 3) == "日本語…");
  CHECK(one_line(" \n ", 100, "(no title)") == "(no title)");
  const std::string megabyte(1 << 20, 'x');
  CHECK(one_line(megabyte, 10) == "xxxxxxxxxx…");
}
