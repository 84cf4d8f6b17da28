// A plausible event stream without an engine: a model, a conversation in Markdown, tokens, policies, kept sets and
// steps that fit together, the same for the same numbers. What the tests of the window, of the stream and of the trace,
// and their fuzzers, begin with.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/telemetry/mirror.h"
#include "engine/telemetry/stream.h"

namespace headroom::test {

/// How the last turn stands when the stream ends.
enum class SampleEnd { finished, answering, prefilling };

struct SampleStream {
  int32_t n_layers = 4;
  int32_t n_kv_heads = 3;   // of a layer; every KV head has three query heads
  int32_t n_tokens = 2000;  // of the whole conversation, to within a few
  int32_t n_turns = 3;      // each a message of the user's and an answer, which is drawn token by token
  uint64_t seed = 1;
  SampleEnd end = SampleEnd::finished;
  CacheConfig config = *find_cache_config("paper");
  bool has_table = true;  // where the configuration asks for a model's table of importance, there is one

  /// Calls `take` with one event after another. What a head keeps after a prompt follows from its policy by
  /// KeepRule, with scores drawn by lot; while an answer is drawn some heads let some tokens go. A Snapshot follows
  /// every token, or every n_tokens / 1000. Where the configuration has budgets a head keeps its budget of tokens, the
  /// recovery of its policy is drawn by lot.
  void send_to(const std::function<void(const stream::EventT&)>& take) const;

  std::vector<stream::EventT> events() const;
  void apply_to(Mirror& mirror) const;
  /// The path must be free.
  void write_trace(const std::string& path) const;
};

/// Through the bytes of the stream, as every event comes.
void apply(Mirror& mirror, const stream::EventT& event);

/// A trace of these events as TraceWriter writes it, without a file. is_closed: a TraceEnd is added.
std::vector<std::byte> trace_bytes(const std::vector<stream::EventT>& events, bool is_closed = true);

}  // namespace headroom::test
