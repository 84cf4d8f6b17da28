// Console an answer to a terminal or a file, and prints a summary of the turn.
#include "app/turn_printer.h"

#include <ostream>

#include "app/format.h"
#include "app/terminal_head_map.h"

namespace headroom {

void TurnPrinter::on_prefill(const PrefillProgress& progress) {
  // A prompt that is prefilled quickly would only show a flickering progress line.
  const auto now = std::chrono::steady_clock::now();
  if (!io_.err_is_terminal || now < next_progress_) return;
  next_progress_ = now + std::chrono::milliseconds(100);
  io_.err << format("\r\x1b[Kreading %d tokens: layer %d/%d, %.0f %%", progress.n_tokens, progress.layer,
                    progress.n_layers, 100 * progress.fraction)
          << std::flush;
  progress_shown_ = true;
}

void TurnPrinter::on_text(std::string_view text) {
  clear_progress();
  if (!stream_text_ || text.empty()) return;
  at_line_start_ = text.back() == '\n';
  if (io_.out_is_terminal)
    io_.out << terminal_text(text) << std::flush;
  else
    io_.out << text << std::flush;
}

void TurnPrinter::finish(const TurnResult& result, const CacheState& state, const CacheConfig& config) {
  clear_progress();
  end_line();
  io_.err << turn_summary(result, state, config) << std::endl;
}

void TurnPrinter::break_off() {
  clear_progress();
  end_line();
}

void TurnPrinter::clear_progress() {
  if (progress_shown_) io_.err << "\r\x1b[K" << std::flush;
  progress_shown_ = false;
}

void TurnPrinter::end_line() {
  if (!at_line_start_) io_.out << std::endl;
  at_line_start_ = true;
}

std::string kv_share_text(const CacheState& state) {
  const double mib = 1024.0 * 1024.0;
  const double live = static_cast<double>(state.kv_live_bytes);
  const double full = static_cast<double>(state.kv_full_bytes);
  const int n_decimals = full < 10 * mib ? 2 : 1;
  return format("%.*f / %.*f MiB (%.0f %%)", n_decimals, live / mib, n_decimals, full / mib,
                full == 0 ? 0 : 100 * live / full);
}

std::string turn_summary(const TurnResult& result, const CacheState& state, const CacheConfig& config) {
  std::string line = format("[prompt %d tokens", result.n_prompt_tokens);
  if (result.n_prefilled_tokens != result.n_prompt_tokens) line += format(", %d new", result.n_prefilled_tokens);
  line += format(", %.1f/s | answer %zu tokens, %.1f/s | KV ", result.prompt_tokens_per_s, result.ids.size(),
                 result.generate_tokens_per_s);
  line += kv_share_text(state) + " | " + policy_count_text(state, config);
  if (result.action == CacheAction::re_encoded) line += " | re-encoded: " + printable(result.action_reason);
  if (result.stop_reason != StopReason::end_of_turn) line += " | " + std::string(stop_reason_name(result.stop_reason));
  return line + "]";
}

}  // namespace headroom
