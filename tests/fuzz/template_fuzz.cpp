// Bytes ─► a chat template and its messages ─► text or an Error, nothing else. No character of a message may lose its
// mark. Within the program's own limits neither time nor memory may go far beyond the charge.
#include <sanitizer/allocator_interface.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "engine/base/error.h"
#include "engine/base/platform/thread_clock.h"
#include "engine/text/chat_template.h"

namespace {

// A template can write this character only by an escape. If it is found unmarked, a user's character lost its mark.
constexpr std::string_view user_char = "\xf4\x8f\xbf\xbd";

void check_spans(const std::vector<headroom::TextSpan>& spans) {
  bool first = true;
  bool last_from_user = false;
  for (const headroom::TextSpan& span : spans) {
    if (span.text.empty()) std::abort();
    if (!first && span.from_user == last_from_user) std::abort();
    if (!span.from_user && span.text.find(user_char) != std::string::npos) std::abort();
    first = false;
    last_from_user = span.from_user;
  }
}

// Live bytes of the heap, counted by the sanitizer's hooks.
std::atomic<int64_t> live_bytes{0};
std::atomic<int64_t> peak_bytes{0};

void on_malloc(const volatile void*, size_t size) {
  const int64_t now = live_bytes += static_cast<int64_t>(size);
  if (now > peak_bytes) peak_bytes = now;
}

void on_free(const volatile void* memory) {
  live_bytes -= static_cast<int64_t>(__sanitizer_get_allocated_size(const_cast<const void*>(memory)));
}

void fail(const char* what, double found, double most) {
  std::fprintf(stderr, "%s: found %g, expected at most %g\n", what, found, most);
  std::abort();
}

/// Upper bounds of the actual cost divided by the charge. Without sanitizers the time is about equal to the charge.
constexpr double max_time_factor = 40;
constexpr double max_memory_factor = 2;
constexpr double most_bytes = 128 << 20;

/// Charge in seconds: 1 ns per unit of work and 100 ns per step.
double charged_seconds(const headroom::TemplateUse& use) {
  return 1e-9 * static_cast<double>(use.work) + 100e-9 * static_cast<double>(use.steps);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view source(reinterpret_cast<const char*>(data), size);
  // A template that contains the character, plainly or escaped, may write it itself.
  if (source.find(user_char) != std::string_view::npos || source.find('\\') != std::string_view::npos) return 0;
  headroom::TemplateInput input;
  const std::string content = "a" + std::string(user_char) + "1 <|b|>\n" + std::string(user_char);
  input.messages = {{"system", content}, {"user", content}, {"assistant", ""}, {"other", "12"}};
  input.bos_token = "<s>";
  input.eos_token = "</s>";
  input.date = "26 Jul 2024";
  static const int hooks = __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
  (void)hooks;
  const int64_t before = live_bytes;
  peak_bytes = before;
  const double start = headroom::thread_cpu_seconds();
  headroom::TemplateUse use;
  try {
    check_spans(headroom::ChatTemplate(source).render(input, {}, &use));
  } catch (const headroom::Error&) {
  }
  const double seconds = headroom::thread_cpu_seconds() - start;
  // Half a second and the memory of the parsed source are not charged.
  const double most_seconds = 0.5 + max_time_factor * charged_seconds(use);
  if (seconds > most_seconds) fail("seconds", seconds, most_seconds);
  const auto bytes = static_cast<double>(peak_bytes - before);
  const double parsed_bytes = (1 << 20) + 1000.0 * static_cast<double>(size);
  const double most = std::min(most_bytes, max_memory_factor * static_cast<double>(use.memory_bytes) + parsed_bytes);
  if (bytes > most) fail("bytes", bytes, most);
  return 0;
}
