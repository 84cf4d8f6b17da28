// Numbers as text for people, and titles that stay on one line whatever they contain.
#include "ui/number_text.h"

#include <catch2/catch.hpp>

using namespace headroom;

TEST_CASE("a model is called as its file, which somebody chose it by", "[text]") {
  const std::string inside = "Smollm2 135M 8k Lc100K Mix1 Ep2";
  CHECK(model_text(inside, "/m/SmolLM2-135M-Instruct.Q4_1.gguf") == "SmolLM2 135M Instruct Q4_1");
  CHECK(model_text("x", "Qwen2.5-0.5B-Instruct-Q4_K_M.gguf") == "Qwen2.5 0.5B Instruct Q4_K_M");
  CHECK(model_text("x", "gemma-3-27b-it-00001-of-00002.gguf") == "gemma 3 27b it");
  CHECK(model_text("Tiny Llama", "/cache/ggml-model-q4_0.gguf") == "Tiny Llama");
  CHECK(model_text("Tiny Llama", "/cache/model.gguf") == "Tiny Llama");
  CHECK(model_text("", "/cache/model.gguf") == "model");
  CHECK(model_text("fake", "") == "fake");
  CHECK(model_text("", "") == "");
}

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
  CHECK(count_text(1234567) == "1,234,567");
  CHECK(count_text(-1234) == "-1,234");
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
