// Writes a few small streams into a folder: the first corpus of the stream fuzzer.
#include <filesystem>
#include <fstream>

#include "tests/support/sample_stream.h"

using namespace headroom;
using namespace headroom::test;

namespace {

void write(const std::string& path, const std::vector<std::byte>& bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

std::vector<std::byte> commands() {
  std::vector<std::byte> bytes;
  const auto add = [&](auto body) {
    stream::CommandT command;
    command.body.Set(std::move(body));
    const std::vector<std::byte> packed = pack(command);
    bytes.insert(bytes.end(), packed.begin(), packed.end());
  };
  stream::LoadT load;
  load.model_path = "model.gguf";
  load.config = std::make_unique<stream::CacheConfigT>(to_stream(*find_cache_config("h2o")));
  add(std::move(load));
  CacheConfig shared = *find_cache_config("headroom");
  shared.keep = 0.4;
  shared.kv_budget_bytes = 1 << 20;
  shared.beta = 0.5;
  shared.head_importance = {0.5f, 1.5f};
  shared.cache_type = CacheType::q8_0;
  stream::SetConfigT set;
  set.turn_id = 2;
  set.config = std::make_unique<stream::CacheConfigT>(to_stream(shared));
  add(std::move(set));
  stream::PromptT prompt;
  prompt.turn_id = 1;
  prompt.messages.push_back(std::make_unique<stream::MessageT>());
  prompt.messages.back()->role = "user";
  prompt.messages.back()->content = "Hello";
  prompt.messages.back()->ids = {1, 2};
  prompt.sampler = std::make_unique<stream::SamplerT>();
  prompt.stop_strings = {"stop"};
  add(std::move(prompt));
  add(stream::StopT());
  add(stream::ClearT());
  add(stream::QuitT());
  return bytes;
}

/// Events that an engine sends rarely.
std::vector<std::byte> rare_events() {
  std::vector<std::byte> bytes;
  uint64_t sequence = 0;
  const auto send = [&](const stream::EventT& event) {
    const std::vector<std::byte> packed = pack(event);
    bytes.insert(bytes.end(), packed.begin(), packed.end());
    sequence = event.sequence + 1;
  };
  const auto add = [&](auto body) {
    stream::EventT event;
    event.sequence = sequence;
    event.time_ms = 1e6;
    event.body.Set(std::move(body));
    send(event);
  };
  SampleStream{.n_layers = 1, .n_kv_heads = 1, .n_tokens = 50, .n_turns = 1}.send_to(send);
  add(refused_turn(9));
  add(failure());
  add(cleared_cache(1));
  add(load_failed(false));
  stream::TraceEndT end;
  end.n_events = sequence;
  add(std::move(end));
  return bytes;
}

}  // namespace

int main(int, char** arguments) {
  const std::string folder = arguments[1];
  std::filesystem::create_directories(folder);
  for (const SampleEnd end : {SampleEnd::finished, SampleEnd::answering, SampleEnd::prefilling}) {
    std::vector<std::byte> bytes;
    SampleStream{.n_layers = 2, .n_kv_heads = 1, .n_tokens = 70, .n_turns = 1, .end = end}.send_to(
        [&](const stream::EventT& event) {
          const std::vector<std::byte> packed = pack(event);
          bytes.insert(bytes.end(), packed.begin(), packed.end());
        });
    write(folder + "/events" + std::to_string(static_cast<int>(end)), bytes);
  }
  std::vector<std::byte> budgets;
  SampleStream{.n_layers = 2, .n_kv_heads = 1, .n_tokens = 70, .n_turns = 1, .config = *find_cache_config("headroom")}
      .send_to([&](const stream::EventT& event) {
        const std::vector<std::byte> packed = pack(event);
        budgets.insert(budgets.end(), packed.begin(), packed.end());
      });
  write(folder + "/budgets", budgets);
  write(folder + "/rare", rare_events());
  write(folder + "/commands", commands());
}
