// The ids of a conversation and the marks of the undo log ─► a cache that holds a prefix of these ids. The part of a
// Session (session.h) that goes back.
#include <algorithm>
#include <string>

#include "engine/run/session_impl.h"

namespace headroom {

void Session::Impl::clear() {
  store.clear();
  measured = {};
  ids.clear();
  logits.clear();
  n_prompt = 0;
  store.set_config(cache_config);
  config_changed = false;
}

void Session::Impl::undo(size_t mark) {
  if (!store.undo(mark) || store.n_tokens() == 0) return clear();
  ids.resize(static_cast<size_t>(store.n_tokens()));
  if (ids.size() < n_prompt) n_prompt = 0;
  const std::span<const float> followed = store.log().logits(mark);
  logits.assign(followed.begin(), followed.end());
}

void Session::Impl::undo_running_turn() {
  const size_t mark = store.log().newest(MarkKind::turn);
  if (mark == store.log().n_marks())
    clear();
  else
    undo(mark);
}

bool Session::Impl::take_as_a_cut() {
  if (!store.trim(cache_config)) return false;
  config_changed = false;
  return true;
}

Session::Impl::Plan Session::Impl::make_room_for(std::span<const TokenId> wanted) {
  if (config_changed && !take_as_a_cut()) {
    clear();
    return {CacheAction::re_encoded, "the configuration of the cache has changed"};
  }
  if (ids.empty()) return {CacheAction::first_turn, "the cache was empty"};
  const size_t n_common =
      static_cast<size_t>(std::mismatch(ids.begin(), ids.end(), wanted.begin(), wanted.end()).first - ids.begin());
  if (n_common == ids.size() && wanted.size() > ids.size()) return {CacheAction::appended, "the conversation goes on"};
  const UndoLog& log = store.log();
  // The newest mark within what both have. Where nothing is left to read behind it, it has to know what followed.
  for (size_t mark = log.n_marks(); mark-- > 0 && log.n_tokens(mark) > 0;) {
    const auto n_tokens = static_cast<size_t>(log.n_tokens(mark));
    if (n_tokens > n_common || (n_tokens == wanted.size() && log.logits(mark).empty())) continue;
    std::string reason = reason_to_go_back(mark, wanted.size(), n_common);
    undo(mark);
    if (!ids.empty()) return {CacheAction::undone, std::move(reason)};
    break;
  }
  clear();
  return {CacheAction::re_encoded,
          "the conversation differs from what the cache holds from token " + std::to_string(n_common) + " on"};
}

std::string Session::Impl::reason_to_go_back(size_t mark, size_t n_wanted, size_t n_common) const {
  const UndoLog& log = store.log();
  const size_t last_turn = log.newest(MarkKind::turn);
  const auto n_tokens = static_cast<size_t>(log.n_tokens(mark));
  const bool is_of_last_turn = last_turn == log.n_marks() || mark >= last_turn;
  if (n_tokens == n_wanted)
    return is_of_last_turn ? "another answer to the same message" : "another answer to an earlier message";
  if (mark == last_turn) return "the last message has changed";
  const std::string from =
      "token " + std::to_string(n_common) + " on; the cache went back to token " + std::to_string(n_tokens) + ", ";
  if (is_of_last_turn)
    return "the last answer is written differently from " + from +
           (log.kind(mark) == MarkKind::answer ? "where that answer began" : "the end of the message before it");
  return "the conversation differs from " + from + "a mark of an earlier turn";
}

bool Session::undo_turn() {
  const UndoLog& log = impl_->store.log();
  size_t mark = log.newest(MarkKind::turn);
  if (mark == log.n_marks()) return false;
  if (impl_->store.is_at_newest_mark() && mark + 1 == log.n_marks()) {  // the last turn is taken back already
    do {
      if (mark == 0) return false;
      --mark;
    } while (log.kind(mark) != MarkKind::turn);
  }
  impl_->undo(mark);
  return true;
}

}  // namespace headroom
