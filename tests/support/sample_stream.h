// A plausible event stream without an engine: a model, a conversation in Markdown, and tokens, policies, kept sets and
// steps that fit together. Equal parameters give equal streams. The tests of the window, the stream and the trace use
// it, and so do their fuzzers.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/telemetry/mirror.h"
#include "engine/telemetry/stream.h"

namespace headroom::test {

/// State of the last turn when the stream ends.
enum class SampleEnd { finished, answering, prefilling };

struct SampleStream {
  int32_t n_layers = 4;
  int32_t n_kv_heads = 3;   // per layer; every KV head has three query heads
  int32_t n_tokens = 2000;  // of the whole conversation, approximately
  int32_t n_turns = 3;      // each is a user message and an answer, which is generated token by token
  uint64_t seed = 1;
  SampleEnd end = SampleEnd::finished;
  CacheConfig config = *find_cache_config("paper");
  bool has_table = true;  // if the configuration uses a calibration table, there is one

  /// Calls `take` with one event after another. After a prompt a head keeps what KeepRule says for its policy with
  /// random scores. During an answer some heads evict some tokens. A Snapshot follows every token, or every
  /// n_tokens / 1000 tokens. If the configuration has budgets, a head keeps its budget, and recoveries are random.
  void send_to(const std::function<void(const stream::EventT&)>& take) const;

  std::vector<stream::EventT> events() const;
  void apply_to(Mirror& mirror) const;
  /// No file may exist at the path.
  void write_trace(const std::string& path) const;
};

/// Bodies of the events that an engine seldom sends.
stream::TurnFinishedT refused_turn(uint64_t turn_id, const std::string& message = "no");
stream::FailureT failure(const std::string& message = "no");
stream::LoadFailedT load_failed(bool keeps_model, const std::string& message = "no");
/// The answer to Clear, for a model of so many KV heads in all layers.
stream::CacheRebuiltT cleared_cache(size_t n_heads);

/// Encodes the event to the stream's bytes and applies these to the Mirror.
void apply(Mirror& mirror, const stream::EventT& event);

/// The bytes that TraceWriter would write for these events. is_closed: adds a TraceEnd.
std::vector<std::byte> trace_bytes(const std::vector<stream::EventT>& events, bool is_closed = true);

}  // namespace headroom::test
