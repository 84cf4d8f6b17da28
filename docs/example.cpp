// The engine in one page: loads a model, prefills a prompt, generates an answer, prints what each head kept.
// Built with the tests as build/<preset>/tests/example; usage: example MODEL.gguf "prompt" [TOKENS]
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>

#include "engine/backend/registry.h"
#include "engine/run/session.h"

using namespace headroom;

namespace {

/// Prints the answer as it is generated. A TurnObserver may also stop a turn, and watch prefill and evictions.
struct Printer : TurnObserver {
  void on_text(std::string_view text) override { std::printf("%.*s", static_cast<int>(text.size()), text.data()); }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: example MODEL.gguf \"prompt\" [TOKENS]\n");
    return 2;
  }
  try {
    const Model model(argv[1]);                                 // numbers, weights as views, tokenizer, template
    const std::unique_ptr<Backend> backend = make_backend({});  // the best that this machine offers

    SessionOptions options;
    options.cache = find_cache_config("paper").value();
    Session session(model, *backend, options);

    TurnOptions turn;
    turn.sampler.temperature = 0;
    turn.max_tokens = argc > 3 ? std::atoi(argv[3]) : 64;
    Printer printer;
    const TurnResult result = session.run_turn({{"user", argv[2], {}}}, turn, printer);

    const CacheState state = session.cache_state();
    std::printf("\n\n%d prompt tokens at %.0f per second, %zu generated at %.0f per second\n", result.n_prompt_tokens,
                result.prompt_tokens_per_s, result.ids.size(), result.generate_tokens_per_s);
    for (const HeadState& head : state.heads)
      std::printf("layer %d, KV head %d: %s keeps %d of %d tokens in %lld bytes\n", head.layer, head.kv_head,
                  policy_name(head.policy).c_str(), head.kept_tokens, state.n_tokens,
                  static_cast<long long>(head.bytes));
    std::printf("live %lld of %lld bytes\n", static_cast<long long>(state.kv_live_bytes),
                static_cast<long long>(state.kv_full_bytes));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "example: %s\n", error.what());
    return 1;
  }
}
