// The same tokens once more, on the CPU. See not_numbers.h.
#include "engine/run/not_numbers.h"

#include <algorithm>

#include "engine/backend/registry.h"
#include "engine/base/error.h"
#include "engine/model/weight_check.h"
#include "engine/run/decode.h"
#include "engine/run/divergence.h"
#include "engine/run/forward.h"
#include "engine/run/kv_store.h"
#include "engine/run/prefill.h"
#include "engine/run/session.h"

namespace headroom {
namespace {

/// A silence, but for the word to stop.
struct StopOnly final : TurnObserver {
  TurnObserver& observer;
  explicit StopOnly(TurnObserver& of) : observer(of) {}
  bool stop_requested() override { return observer.stop_requested(); }
};

}  // namespace

LogitsJudge::Verdict LogitsJudge::ask_cpu(std::span<const TokenId> ids, size_t n_read, const CacheConfig& config,
                                          TurnObserver& observer) const {
  try {
    const std::unique_ptr<Backend> cpu = make_backend({.name = "cpu"});
    Forward forward(model_, *cpu);
    KvStore store(model_.config(), *cpu, config);
    Decoder decoder(model_, forward);
    StopOnly silent(observer);
    std::vector<float> logits;
    store.begin_turn();
    prefill(model_, forward, store, ids.first(n_read), {}, silent, logits);
    for (const TokenId id : ids.subspan(n_read)) {
      if (observer.stop_requested()) return Verdict::none;
      decoder.run(store, id, logits);
    }
    return all_finite(logits) ? Verdict::numbers : Verdict::not_numbers;
  } catch (const Cancelled&) {
    return Verdict::none;
  } catch (const Error&) {  // the CPU's memory does not hold the weights too
    return Verdict::none;
  }
}

const std::string& LogitsJudge::bad_tensor() {
  if (!bad_tensor_) {
    const std::optional<BadTensor> found = find_bad_tensor(model_.file());
    bad_tensor_ = found ? sentence(*found) : "";
  }
  return *bad_tensor_;
}

void LogitsJudge::check(std::span<const float> logits, std::span<const TokenId> ids, size_t n_read,
                        const CacheConfig& config, TurnObserver& observer) {
  if (all_finite(logits)) return;
  const std::string& name = backend_.info().name;
  Verdict verdict = Verdict::not_numbers;
  if (!name.starts_with("cpu")) verdict = ask_cpu(ids, std::min(n_read, ids.size()), config, observer);
  // Where the CPU could not say, the file's weights do.
  if (verdict == Verdict::none) verdict = bad_tensor().empty() ? Verdict::numbers : Verdict::not_numbers;
  if (verdict == Verdict::numbers)
    throw Error(ErrorKind::device, "the backend \"" + name + "\" computed logits that are not numbers from tokens " +
                                       "that give numbers on the CPU");
  throw Error(model_.path() + ": the model computes logits that are not numbers; " +
              (bad_tensor().empty() ? "each of its weights is a number, but they are too large to compute with"
                                    : bad_tensor() + "; `headroom inspect --check` lists all such tensors"));
}

}  // namespace headroom
