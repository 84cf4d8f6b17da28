// Both sides of a probe: the process that asks, and the one that waits for it. See vulkan_probe.h.
#include "engine/backend/vulkan_probe.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <new>
#include <optional>

#include "engine/backend/cpu/reference/reference_backend.h"
#include "engine/backend/registry.h"
#include "engine/backend/self_test.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/platform/fd_io.h"
#include "engine/base/platform/process.h"

namespace headroom {
namespace {

// The answer: records of fields. A driver's strings are freed of both separators.
constexpr char field_end = '\x1f', record_end = '\n';
constexpr const char* whole_mark = "end\n";
constexpr size_t max_answer_bytes = size_t{1} << 20;

constexpr const char* list_word = "list";
constexpr const char* test_word = "test";
constexpr int64_t usual_list_ms = 10'000;  // a laptop's GPU may have to be woken
constexpr int64_t test_ms = 120'000;       // a driver compiles every shader
constexpr int last_moments_ms = 1000;

std::string harmless(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20) c = '?';
  return text;
}

void add_record(std::string& answer, const std::vector<std::string>& fields) {
  for (const std::string& field : fields) answer += harmless(field) + field_end;
  answer += record_end;
}

/// The fields of the first record, which is taken off.
std::vector<std::string> take_record(std::string& answer) {
  std::vector<std::string> fields;
  const std::string record = answer.substr(0, answer.find(record_end));
  answer.erase(0, record.size() + 1);
  for (size_t begin = 0, end = 0; (end = record.find(field_end, begin)) != std::string::npos; begin = end + 1)
    fields.push_back(record.substr(begin, end - begin));
  return fields;
}

int64_t list_ms() {
  const char* seconds = std::getenv("HEADROOM_PROBE_SECONDS");
  const int64_t ms = seconds == nullptr ? 0 : static_cast<int64_t>(std::strtod(seconds, nullptr) * 1000);
  return ms > 0 ? ms : usual_list_ms;
}

/// What the other process said, and why it said no more.
struct Answer {
  std::string records;
  std::string failure;  // a sentence, empty where the answer is whole
};

Answer read_answer(ChildProcess& child, Clock::time_point deadline) {
  Answer answer;
  std::byte part[4096];
  while (!answer.records.ends_with(whole_mark) && answer.records.size() < max_answer_bytes) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    if (!wait_readable(child.output(), static_cast<int>(std::max<int64_t>(left.count(), 0)))) {
      child.kill();
      answer.failure = "the Vulkan loader or a driver did not answer in time and is left alone";
      return answer;
    }
    const size_t n = read_some(child.output(), part);
    if (n == 0) break;
    answer.records.append(reinterpret_cast<const char*>(part), n);
  }
  if (answer.records.ends_with(whole_mark)) return answer;
  child.wait(last_moments_ms);
  const std::string how = child.how_it_ended();
  answer.failure = "the Vulkan loader or a driver failed while it was asked: its process " +
                   (how.empty() ? "said nothing that can be understood" : how);
  return answer;
}

class Probe {
 public:
  void set_command(std::vector<std::string> command) {
    const std::lock_guard lock(mutex_);
    command_ = std::move(command);
    forget();
  }
  bool has_command() {
    const std::lock_guard lock(mutex_);
    return !command_.empty();
  }
  void begin() {
    const std::lock_guard lock(mutex_);
    if (!command_.empty()) start();
  }
  Answer get() {
    const std::lock_guard lock(mutex_);
    if (!answer_ && !child_) start();
    if (!answer_) answer_ = finish();
    child_.reset();
    return *answer_;
  }
  Answer run(const char* word, int64_t ms) {
    std::vector<std::string> command;
    {
      const std::lock_guard lock(mutex_);
      command = command_;
    }
    command.emplace_back(word);
    try {
      ChildProcess child = ChildProcess::start(command);
      return read_answer(child, Clock::now() + std::chrono::milliseconds(ms));
    } catch (const std::exception& error) {
      return {.records = "", .failure = std::string("Vulkan's drivers could not be asked: ") + error.what()};
    }
  }

 private:
  void forget() {
    answer_.reset();
    child_.reset();
  }
  void start() {
    forget();
    deadline_ = Clock::now() + std::chrono::milliseconds(list_ms());
    std::vector<std::string> command = command_;
    command.emplace_back(list_word);
    try {
      child_ = ChildProcess::start(command);
    } catch (const std::exception& error) {
      answer_ = {.records = "", .failure = std::string("Vulkan's drivers could not be asked: ") + error.what()};
    }
  }
  Answer finish() {
    try {
      return read_answer(*child_, deadline_);
    } catch (const std::exception& error) {
      return {.records = "", .failure = std::string("Vulkan's drivers could not be asked: ") + error.what()};
    }
  }

  std::mutex mutex_;
  std::vector<std::string> command_;
  std::optional<ChildProcess> child_;  // that was started and not yet listened to
  Clock::time_point deadline_;
  std::optional<Answer> answer_;
};

Probe probe;

std::string describe_devices() {
  std::string answer;
  for (const VulkanListing& device : list_vulkan_devices())
    add_record(answer, {"device", device.device, device.kind, std::to_string(device.memory_left_bytes), device.refusal,
                        device.driver, device.is_software ? "1" : "0"});
  return answer;
}

std::string test_driver() {
  const std::unique_ptr<Backend> backend = make_vulkan_backend();
  std::string answer;
  add_record(answer, {"tested", self_test(*backend, *make_reference_backend())});
  return answer;
}

}  // namespace

void set_probe_program(std::vector<std::string> command) {
  probe.set_command(std::move(command));
}

void answer_probe(const std::string& word) {
  const Descriptor output = take_standard_output();
  become_expendable();
  std::string answer;
  try {
    answer = word == test_word ? test_driver() : describe_devices();
  } catch (const std::bad_alloc&) {
    add_record(answer, {"error", "the Vulkan loader or a driver found no memory"});
  } catch (const Error& error) {
    add_record(answer, {"error", error.what()});
  }
  answer += whole_mark;
  std::span<const std::byte> rest = std::as_bytes(std::span(answer));
  while (!rest.empty()) {
    const Written written = write_some(output.get(), rest);
    if (written.outcome == WriteOutcome::reader_gone) return;
    if (written.outcome == WriteOutcome::would_wait) wait_writable(output.get(), no_timeout);
    rest = rest.subspan(written.n_bytes);
  }
}

void begin_vulkan_probe() {
  probe.begin();
}

std::vector<VulkanListing> probed_vulkan_devices() {
  if (!probe.has_command()) return list_vulkan_devices();
  Answer answer = probe.get();
  if (!answer.failure.empty()) throw Error(ErrorKind::unsupported, answer.failure);
  std::vector<VulkanListing> devices;
  while (!answer.records.empty()) {
    const std::vector<std::string> fields = take_record(answer.records);
    if (fields.size() == 2 && fields[0] == "error") throw Error(ErrorKind::unsupported, fields[1]);
    if (fields.size() != 7 || fields[0] != "device") continue;
    devices.push_back({.device = fields[1],
                       .kind = fields[2],
                       .memory_left_bytes = std::strtoll(fields[3].c_str(), nullptr, 10),
                       .refusal = fields[4],
                       .driver = fields[5],
                       .is_software = fields[6] == "1"});
  }
  return devices;
}

std::string vulkan_probe_failure() {
  return probe.has_command() ? probe.get().failure : "";
}

std::string probe_vulkan_self_test() {
  if (!probe.has_command()) return self_test(*make_vulkan_backend(), *make_reference_backend());
  Answer answer = probe.run(test_word, test_ms);
  if (!answer.failure.empty()) return answer.failure;
  const std::vector<std::string> fields = take_record(answer.records);
  return fields.size() == 2 ? fields[1] : "";
}

}  // namespace headroom
