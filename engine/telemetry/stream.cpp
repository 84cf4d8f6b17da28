// Messages of stream.fbs ◄─► bytes: packing, framing, and verification before anything is read. See stream.h.
#include "engine/telemetry/stream.h"

#include <flatbuffers/util.h>

#include <cassert>
#include <cmath>
#include <cstring>

#include "engine/base/error.h"

namespace headroom {
namespace {

constexpr const char* event_identifier = "HREV";
constexpr const char* command_identifier = "HRCM";
constexpr size_t max_policies = 64;
constexpr size_t max_importances = StreamLimits::max_heads;

template <typename Table>
std::vector<std::byte> pack_as(const typename Table::NativeTableType& message, const char* identifier) {
  flatbuffers::FlatBufferBuilder builder(1024);
  builder.Finish(Table::Pack(builder, &message), identifier);
  const uint32_t length = builder.GetSize();
  if (length > max_message_bytes)
    throw Error("a message of " + std::to_string(length) + " bytes; the stream carries at most " +
                std::to_string(max_message_bytes));
  std::vector<std::byte> bytes(sizeof(length) + length);
  flatbuffers::WriteScalar(bytes.data(), length);
  std::memcpy(bytes.data() + sizeof(length), builder.GetBufferPointer(), length);
  return bytes;
}

std::string printable(const char* identifier) {
  std::string text(identifier, flatbuffers::kFileIdentifierLength);
  for (char& c : text)
    if (c < ' ' || c > '~') c = '?';
  return text;
}

template <typename Table>
const Table& verify_as(std::span<const std::byte> bytes, const char* identifier, const std::string& kind) {
  assert(reinterpret_cast<uintptr_t>(bytes.data()) % 8 == 0);
  const std::string expected = "; expected " + kind + " (\"" + identifier + "\")";
  constexpr size_t smallest = sizeof(flatbuffers::uoffset_t) + flatbuffers::kFileIdentifierLength;
  if (bytes.size() < smallest || bytes.size() > max_message_bytes)
    throw Error("a message of " + std::to_string(bytes.size()) + " bytes" + expected);
  if (!flatbuffers::BufferHasIdentifier(bytes.data(), identifier))
    throw Error("a message marked \"" + printable(flatbuffers::GetBufferIdentifier(bytes.data())) + "\"" + expected);
  flatbuffers::Verifier verifier(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  if (!verifier.VerifyBuffer<Table>(identifier))
    throw Error("a damaged message of " + std::to_string(bytes.size()) + " bytes" + expected);
  const Table& table = *flatbuffers::GetRoot<Table>(bytes.data());
  if (table.body() == nullptr) throw Error("a message without a body" + expected);
  return table;
}

/// Limits the text that a reader copies from one message. A message can refer to one string many times, so the copies
/// could be far larger than the message.
class TextBudget {
 public:
  explicit TextBudget(size_t bytes) : left_(bytes) {}
  template <typename T>
  void take(const flatbuffers::Vector<T>* vector) {
    if (vector == nullptr) return;
    const size_t bytes = vector->size() * sizeof(T);
    if (bytes > left_)
      throw Error("the message refers to the same text more than once; expected a separate copy of each text");
    left_ -= bytes;
  }
  void take(const flatbuffers::Vector<flatbuffers::Offset<stream::Message>>* messages) {
    if (messages == nullptr) return;
    for (const stream::Message* message : *messages) {
      take(message->role());
      take(message->content());
      take(message->ids());
    }
  }

 private:
  size_t left_;
};

}  // namespace

std::vector<std::byte> pack(const stream::EventT& event) {
  return pack_as<stream::Event>(event, event_identifier);
}
std::vector<std::byte> pack(const stream::CommandT& command) {
  return pack_as<stream::Command>(command, command_identifier);
}

const stream::Event& verify_event(std::span<const std::byte> bytes) {
  const auto& event = verify_as<stream::Event>(bytes, event_identifier, "an event");
  if (event.body_type() > stream::EventBody::MAX)
    throw Error("an event of the unknown kind " + std::to_string(static_cast<int>(event.body_type())) +
                "; expected 1 to " + std::to_string(static_cast<int>(stream::EventBody::MAX)));
  TextBudget budget(bytes.size());
  if (const auto* turn = event.body_as_TurnStarted()) budget.take(turn->messages());
  if (const auto* loaded = event.body_as_Loaded(); loaded != nullptr && loaded->skipped() != nullptr)
    for (const stream::Skipped* skipped : *loaded->skipped()) {
      budget.take(skipped->name());
      budget.take(skipped->reason());
    }
  if (const auto* turn = event.body_as_TurnFinished(); turn != nullptr && turn->first_token_top() != nullptr)
    for (const stream::TopLogit* top : *turn->first_token_top()) budget.take(top->text());
  return event;
}

const stream::Command& verify_command(std::span<const std::byte> bytes) {
  const auto& command = verify_as<stream::Command>(bytes, command_identifier, "a command");
  if (command.body_type() > stream::CommandBody::MAX)
    throw Error("a command of the unknown kind " + std::to_string(static_cast<int>(command.body_type())) +
                "; expected 1 to " + std::to_string(static_cast<int>(stream::CommandBody::MAX)));
  TextBudget budget(bytes.size());
  if (const auto* prompt = command.body_as_Prompt()) {
    budget.take(prompt->messages());
    if (prompt->stop_strings() != nullptr)
      for (const flatbuffers::String* stop : *prompt->stop_strings()) budget.take(stop);
  }
  if (const auto* count = command.body_as_Count()) budget.take(count->messages());
  return command;
}

std::string shown_text(const flatbuffers::String* text) {
  std::string shown;
  if (text == nullptr) return shown;
  shown.reserve(text->size());
  const char* at = text->c_str();  // ends with a 0 byte, so FromUTF8 does not read past the end
  const char* const end = at + text->size();
  while (at < end) {
    const char* next = at;
    if (flatbuffers::FromUTF8(&next) >= 0) {
      shown.append(at, next);
      at = next;
    } else {
      shown += "\uFFFD";
      ++at;
    }
  }
  return shown;
}

namespace {

/// True for control characters, line ends, and characters that change the text direction.
bool is_unfit_for_a_line(int code_point) {
  return code_point < 0x20 || (code_point >= 0x7f && code_point < 0xa0) ||
         (code_point >= 0x2028 && code_point <= 0x202e) || (code_point >= 0x2066 && code_point <= 0x2069);
}

std::string shown_line(const flatbuffers::String* text, size_t max_bytes) {
  std::string line;
  if (text == nullptr) return line;
  constexpr std::string_view ellipsis = "…";
  size_t n_whole = 0;  // bytes that leave room for the ellipsis
  const char* at = text->c_str();
  const char* const end = at + text->size();
  while (at < end) {
    const char* next = at;
    const int code_point = flatbuffers::FromUTF8(&next);
    if (code_point < 0) {
      line += "\uFFFD";
      next = at + 1;
    } else if (is_unfit_for_a_line(code_point)) {
      line += ' ';
    } else {
      line.append(at, next);
    }
    at = next;
    if (line.size() > max_bytes) {
      line.resize(n_whole);
      line += ellipsis;
      return line;
    }
    if (line.size() + ellipsis.size() <= max_bytes) n_whole = line.size();
  }
  return line;
}

}  // namespace

std::string shown_sentence(const flatbuffers::String* text) {
  return shown_line(text, StreamLimits::max_sentence_bytes);
}
std::string shown_name(const flatbuffers::String* text) {
  return shown_line(text, StreamLimits::max_name_bytes);
}
std::string shown_path(const flatbuffers::String* text) {
  return shown_line(text, StreamLimits::max_path_bytes);
}

void FrameReader::push(std::span<const std::byte> bytes) {
  buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(begin_));
  begin_ = 0;
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
}

std::span<const std::byte> FrameReader::next() {
  constexpr size_t prefix = sizeof(uint32_t);
  if (n_pending() < prefix) return {};
  const auto length = flatbuffers::ReadScalar<uint32_t>(buffer_.data() + begin_);
  if (length == 0 || length > max_message_bytes)
    throw Error("a message of " + std::to_string(length) + " bytes was announced; expected 1 to " +
                std::to_string(max_message_bytes));
  if (n_pending() - prefix < length) return {};
  const auto first = buffer_.begin() + static_cast<std::ptrdiff_t>(begin_ + prefix);
  message_.assign(first, first + length);
  begin_ += prefix + length;
  return message_;
}

size_t FrameReader::n_pending() const {
  return buffer_.size() - begin_;
}

stream::CacheConfigT to_stream(const CacheConfig& config) {
  stream::CacheConfigT out;
  out.name = config.name;
  for (const Policy policy : config.policy_set) out.policy_set.push_back(policy.parts);
  out.r_local = config.r_local;
  out.r_frequent = config.r_frequent;
  out.threshold = config.threshold;
  out.group_mean = config.group == GroupReduce::mean;
  out.score = static_cast<uint8_t>(config.score);
  out.budget = static_cast<uint8_t>(config.budget);
  out.importance = static_cast<uint8_t>(config.importance);
  out.keep = config.keep;
  out.kv_budget_bytes = config.kv_budget_bytes;
  out.beta = config.beta;
  out.head_importance = config.head_importance;
  out.cache_type = static_cast<uint8_t>(config.cache_type);
  return out;
}

namespace {

/// Reads score, budget, importance, cache type and limit in bytes. out.policy_set must be set already.
void read_budget(const stream::CacheConfig& config, CacheConfig& out) {
  const auto kind = [](uint8_t value, auto last, const char* name) {
    if (value > static_cast<uint8_t>(last))
      throw Error(std::string(name) + " is " + std::to_string(value) + "; expected 0 to " +
                  std::to_string(static_cast<int>(last)));
    return static_cast<decltype(last)>(value);
  };
  out.score = kind(config.score(), TokenScore::mixed, "the token score");
  out.budget = kind(config.budget(), BudgetKind::pooled, "the kind of budgets");
  out.importance = kind(config.importance(), ImportanceKind::calibrated, "the kind of importance");
  out.cache_type = kind(config.cache_type(), CacheType::q8_0, "the cache type");
  const bool has_budgets = out.budget != BudgetKind::fixed;
  out.keep = config.keep();
  if (has_budgets && out.policy_set.size() != 1)
    throw Error("a policy set of " + std::to_string(out.policy_set.size()) + " policies; expected 1 with budgets");
  out.kv_budget_bytes = config.kv_budget_bytes();
  out.beta = config.beta();
  if (config.head_importance() == nullptr) return;
  if (config.head_importance()->size() > max_importances)
    throw Error("head_importance has " + std::to_string(config.head_importance()->size()) +
                " entries; expected at most " + std::to_string(max_importances));
  out.head_importance.assign(config.head_importance()->begin(), config.head_importance()->end());
}

}  // namespace

CacheConfig from_stream(const stream::CacheConfig& config) {
  const size_t n_policies = config.policy_set() == nullptr ? 0 : config.policy_set()->size();
  if (n_policies == 0 || n_policies > max_policies)
    throw Error("a policy set of " + std::to_string(n_policies) + " policies; expected 1 to " +
                std::to_string(max_policies));
  CacheConfig out{.name = shown_name(config.name()),
                  .policy_set = {},
                  .r_local = config.r_local(),
                  .r_frequent = config.r_frequent(),
                  .threshold = config.threshold(),
                  .group = config.group_mean() ? GroupReduce::mean : GroupReduce::min};
  for (const uint8_t parts : *config.policy_set()) out.policy_set.push_back(policy_from_stream(parts));
  read_budget(config, out);
  check_ranges(out);
  return out;
}

Policy policy_from_stream(uint8_t parts) {
  constexpr uint8_t all = Policy::special | Policy::punctuation | Policy::frequent | Policy::local | Policy::first;
  if (parts != Policy::full && (parts == 0 || (parts & ~all) != 0))
    throw Error("a policy with the parts " + std::to_string(parts) + "; expected " + std::to_string(Policy::full) +
                " or 1 to " + std::to_string(all));
  return Policy{parts};
}

}  // namespace headroom
