// Bytes ─► a chat template and its messages ─► text, or an Error: nothing else may come out, and no character of a
// message may lose its mark. A libFuzzer target; the corpus in tests/data/templates is a good start.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "engine/base/error.h"
#include "engine/text/chat_template.h"

namespace {

// A character that no template can write but by an escape: found unmarked, it is a user's that was laundered.
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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view source(reinterpret_cast<const char*>(data), size);
  // A template that holds the character, plainly or escaped, may write it itself.
  if (source.find(user_char) != std::string_view::npos || source.find('\\') != std::string_view::npos) return 0;
  headroom::TemplateLimits limits;
  limits.max_steps = 2'000;
  limits.max_output_bytes = 1 << 16;
  limits.max_memory_bytes = 1 << 21;
  headroom::TemplateInput input;
  const std::string content = "a" + std::string(user_char) + "1 <|b|>\n" + std::string(user_char);
  input.messages = {{"system", content}, {"user", content}, {"assistant", ""}, {"other", "12"}};
  input.bos_token = "<s>";
  input.eos_token = "</s>";
  input.date = "26 Jul 2024";
  try {
    check_spans(headroom::ChatTemplate(source, limits).render(input));
  } catch (const headroom::Error&) {
  }
  return 0;
}
