// Formats the line. See numbers_line.h.
#include "app/desktop/numbers_line.h"

#include "app/format.h"

namespace headroom {

std::string numbers_line(const TurnNumbers& numbers) {
  std::string line = format("prompt %s tokens", count_text(numbers.n_prompt_tokens).c_str());
  if (numbers.n_prefilled_tokens > 0)
    line += format(" (%s read, %.1f/s)", count_text(numbers.n_prefilled_tokens).c_str(), numbers.prompt_tokens_per_s);
  line +=
      format(" · answer %s tokens, %.1f/s", count_text(numbers.n_answer_tokens).c_str(), numbers.generate_tokens_per_s);
  if (numbers.first_token_ms > 0) line += format(" · first token after %.2f s", numbers.first_token_ms / 1000);
  // In a short conversation the pages alone exceed a full cache, so no comparison is shown.
  if (numbers.kv_full_bytes > 0 && numbers.kv_live_bytes >= numbers.kv_full_bytes)
    line += format(" · KV %s", bytes_text(numbers.kv_live_bytes).c_str());
  else if (numbers.kv_full_bytes > 0)
    line += format(" · KV %s of %s (%.0f %%)", bytes_text(numbers.kv_live_bytes).c_str(),
                   bytes_text(numbers.kv_full_bytes).c_str(),
                   100.0 * static_cast<double>(numbers.kv_live_bytes) / static_cast<double>(numbers.kv_full_bytes));
  return line;
}

std::string stop_note(const std::string& stop_reason, const std::string& message) {
  if (stop_reason == "cancelled") return "stopped";
  if (stop_reason == "max_tokens") return "cut at the token limit";
  return message;
}

}  // namespace headroom
