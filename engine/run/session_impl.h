// What a Session holds, for the files that it is written in: session.cpp (a turn), session_marks.cpp (going back),
// session_state.cpp (what can be asked) and cache_lab.cpp (one step at a time). Nobody else includes it.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/kv/measurements.h"
#include "engine/run/checked_config.h"
#include "engine/run/decode.h"
#include "engine/run/forward.h"
#include "engine/run/kv_store.h"
#include "engine/run/not_numbers.h"
#include "engine/run/prefill.h"
#include "engine/run/session.h"

namespace headroom {

struct Session::Impl {
  const Model& model;
  Backend& backend;
  CacheConfig cache_config;
  std::string cache_note;
  int32_t n_ctx;
  Forward forward;
  KvStore store;
  Decoder decode_step;
  std::vector<TokenId> ids;        // what the cache holds
  std::vector<float> logits;       // that follow ids
  std::vector<TokenId> generated;  // the last turn's prompt and its answer, whatever the cache holds
  size_t n_read = 0;               // of ids, those up to the end of the last prefill
  bool config_changed = false;
  // The last turn's prompt, without the head of the answer and with it; 0 where the cache does not hold it any more.
  size_t n_before_answer = 0, n_prompt = 0;
  LogitsJudge judge;
  PrefillMeasurements measured;  // by CacheLab::prefill_for_all, while the cache begins with that prefill

  Impl(const Model& model_, Backend& backend_, const SessionOptions& options, ResolvedConfig resolved);

  // --- marks and going back (session_marks.cpp) ---

  void clear();
  /// The cache as it stood at the mark, or empty where it was then, or where memory ran out on the way.
  void undo(size_t mark);
  /// The same for the mark where the running turn began. Without it the cache, half changed, is of no use.
  void undo_running_turn();
  /// If the configuration only holds fewer tokens of the same order, evicts them without a forward pass.
  bool take_as_a_cut();
  struct Plan {
    CacheAction action = CacheAction::first_turn;
    std::string reason;
  };
  /// Brings the cache to a prefix of the wanted ids: continued, taken back to a mark, or emptied.
  Plan make_room_for(std::span<const TokenId> wanted);
  std::string reason_to_go_back(size_t mark, size_t n_wanted, size_t n_common) const;

  // --- a turn (session.cpp) ---

  /// Prefills what the cache does not hold yet; the head of the answer, which is what stands behind n_before_head
  /// tokens, on its own behind a mark. On a throw the cache is as before.
  PrefillTimes prefill_turn(std::span<const TokenId> wanted, size_t n_before_head, TurnObserver& observer);
  /// The same without a mark at its beginning. record: where to keep the measurements, or null
  PrefillTimes prefill_after_mark(std::span<const TokenId> wanted, size_t n_before_head, TurnObserver& observer,
                                  PrefillMeasurements* record = nullptr);
  /// prefill_turn for a turn. False if it was cancelled or memory ran out; the result says so. Whatever happens, the
  /// observer is told what the cache holds now.
  bool read_prompt(std::span<const TokenId> wanted, size_t n_before_head, TurnObserver& observer, TurnResult& result);
  /// A step that fails half-way leaves layers that differ from one another: the cache is emptied then, and the next
  /// turn builds it anew.
  void feed(TokenId id, TurnObserver& observer);
  TurnResult re_encode(TurnObserver& observer);
  TurnResult run(const std::vector<TokenId>& wanted, size_t n_before_head, const TurnOptions& options,
                 TurnObserver& observer);
  void generate(const TurnOptions& options, TurnObserver& observer, TurnResult& result);
};

}  // namespace headroom
