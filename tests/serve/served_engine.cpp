// Runs serve() on a thread of the test. See served_engine.h.
#include "tests/serve/served_engine.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <cstdio>

#include "engine/run/model.h"
#include "engine/serve/serve.h"

namespace headroom::test {
namespace {

Descriptor duplicate(const Descriptor& descriptor) {
  return Descriptor(fcntl(descriptor.get(), F_DUPFD_CLOEXEC, 0));
}

}  // namespace

TinyModelFile::TinyModelFile(const GgufWriter& writer) : path_(temporary_path("served.gguf")) {
  writer.write(path_);
}

TinyModelFile::~TinyModelFile() {
  std::remove(path_.c_str());
}

GgufWriter make_endless_model(const TinyModelOptions& options) {
  GgufWriter writer = make_tiny_model(options);
  const Bytes bytes = writer.bytes();
  const Model model(load_model_file(GgufFile::from_bytes(bytes, "endless.gguf")));
  // Zero the output rows of tokens that end a turn: a logit of 0 is never the largest.
  GgufWriter::Tensor& output = writer.tensor("output.weight");
  const size_t row_bytes = output.data.size() / static_cast<size_t>(model.tokenizer().size());
  for (TokenId id = 0; id < model.tokenizer().size(); ++id)
    if (model.tokenizer().is_end_of_turn(id))
      std::fill_n(output.data.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(id) * row_bytes), row_bytes,
                  std::byte{0});
  return writer;
}

ServedEngine::ServedEngine(Carrier carrier) {
  if (carrier == Carrier::socket_pair) {
    std::tie(to_engine_, in_) = make_socket_pair();
    from_engine_ = duplicate(to_engine_);
    out_ = duplicate(in_);
  } else {
    std::tie(in_, to_engine_) = make_pipe();
    std::tie(from_engine_, out_) = make_pipe();
  }
  thread_ = std::thread([this] {
    result_ = serve(in_.get(), out_.get(), "test");
    shutdown(out_.get(), SHUT_WR);
    out_.close();
    in_.close();
  });
  until(stream::EventBody::Hello);
}

ServedEngine::~ServedEngine() {
  if (!thread_.joinable()) return;
  close_input();
  close_output();
  thread_.join();
}

void ServedEngine::send_bytes(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const Written written = write_some(to_engine_.get(), bytes);
    if (written.outcome == WriteOutcome::reader_gone) return;
    if (written.outcome == WriteOutcome::would_wait) wait_writable(to_engine_.get(), 1000);
    bytes = bytes.subspan(written.n_bytes);
  }
}

void ServedEngine::close_input() {
  shutdown(to_engine_.get(), SHUT_WR);
  to_engine_.close();
}

void ServedEngine::close_output() {
  shutdown(from_engine_.get(), SHUT_RD);
  from_engine_.close();
}

const stream::Event& ServedEngine::next() {
  while (true) {
    const auto bytes = frames_.next();
    if (!bytes.empty()) {
      message_.assign(bytes.begin(), bytes.end());
      const stream::Event& event = verify_event(message_);
      mirror.apply(event);
      types.push_back(event.body_type());
      return event;
    }
    INFO("the last event was " << (types.empty() ? "none" : stream::EnumNameEventBody(types.back())));
    REQUIRE(wait_readable(from_engine_.get(), 10000));
    std::vector<std::byte> buffer(size_t{64} << 10);
    const size_t n = read_some(from_engine_.get(), buffer);
    REQUIRE(n > 0);
    frames_.push(std::span(buffer).first(n));
  }
}

const stream::Event& ServedEngine::until(stream::EventBody type, const Seen& seen) {
  while (true) {
    const stream::Event& event = next();
    if (seen) seen(event);
    if (event.body_type() == type) return event;
  }
}

std::string ServedEngine::ended() {
  std::vector<std::byte> buffer(size_t{64} << 10);
  while (from_engine_.get() >= 0) {
    REQUIRE(wait_readable(from_engine_.get(), 10000));
    if (read_some(from_engine_.get(), buffer) == 0) break;
  }
  if (thread_.joinable()) thread_.join();
  return result_;
}

double ServedEngine::ms_to_end() {
  const auto start = std::chrono::steady_clock::now();
  thread_.join();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

const stream::Loaded& ServedEngine::load(const std::string& path, const std::string& config) {
  stream::LoadT load;
  load.model_path = path;
  load.backend = "cpu";
  load.n_threads = 2;
  load.config = std::make_unique<stream::CacheConfigT>(to_stream(*find_cache_config(config)));
  send(std::move(load));
  while (true) {
    const stream::Event& event = next();
    if (event.body_type() == stream::EventBody::LoadFailed) FAIL(event.body_as_LoadFailed()->message()->str());
    if (event.body_type() == stream::EventBody::Loaded) return *event.body_as_Loaded();
  }
}

stream::PromptT ServedEngine::prompt(uint64_t turn_id, const std::vector<ChatMessage>& messages, int32_t max_tokens) {
  stream::PromptT prompt;
  prompt.turn_id = turn_id;
  prompt.max_tokens = max_tokens;
  prompt.sampler = std::make_unique<stream::SamplerT>();
  prompt.sampler->seed = 3;
  for (const ChatMessage& message : messages) {
    prompt.messages.push_back(std::make_unique<stream::MessageT>());
    prompt.messages.back()->role = message.role;
    prompt.messages.back()->content = message.content;
    prompt.messages.back()->ids = message.ids;
  }
  return prompt;
}

stream::PromptT ServedEngine::cold_prompt(uint64_t turn_id, const std::string& text, int32_t max_tokens) {
  stream::PromptT cold = prompt(turn_id, {{"user", text, {}}}, max_tokens);
  cold.sampler->temperature = 0;
  return cold;
}

}  // namespace headroom::test
