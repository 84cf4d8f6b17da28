// Events of a turn ─► what a person sees: progress of the prefill, the answer as it arrives, one line of numbers at its
// end. The engine calls it. A stream redirected to a file receives only the answer.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "app/console.h"
#include "engine/run/session.h"

namespace headroom {

class TurnPrinter : public TurnObserver {
 public:
  /// stream_text: write the answer to `out` as it arrives.
  TurnPrinter(Console& io, bool stream_text) : io_(io), stream_text_(stream_text) {}
  ~TurnPrinter() override { clear_progress(); }
  TurnPrinter(const TurnPrinter&) = delete;
  TurnPrinter& operator=(const TurnPrinter&) = delete;

  void on_prefill(const PrefillProgress& progress) override;
  void on_text(std::string_view text) override;
  bool stop_requested() override { return io_.interrupt.requested; }

  /// Ends the answer's last line, then prints one line about the turn on `err`.
  void finish(const TurnResult& result, const CacheState& state, const CacheConfig& config);
  /// Ends an answer that broke off.
  void break_off();

 private:
  void clear_progress();
  void end_line();

  Console& io_;
  bool stream_text_;
  bool progress_shown_ = false;
  bool at_line_start_ = true;
  std::chrono::steady_clock::time_point next_progress_ =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(200);
};

/// "[prompt 34 tokens, 152.1/s | answer 120 tokens, 57.3/s | KV 3.20 / 8.80 MiB (36 %) | S 3, P 10, A 5]"
std::string turn_summary(const TurnResult& result, const CacheState& state, const CacheConfig& config);

/// Live and uncompressed bytes: "3.20 / 8.80 MiB (36 %)"
std::string kv_share_text(const CacheState& state);

}  // namespace headroom
