// Work for the device, in order. Commands are enqueued, then recorded with the barriers that they need, in submissions
// short enough for a desktop that waits. Commands that run many times are recorded once, as RecordedCommands.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/backend/vulkan/memory.h"
#include "engine/backend/vulkan/program.h"

namespace headroom::vulkan {

/// A buffer as a command uses it. A shader is bound to the whole of it; first and bytes say which part is copied or
/// filled, or holds the group counts.
struct BufferUse {
  const Buffer* buffer = nullptr;
  uint64_t first = 0;  // byte
  uint64_t bytes = VK_WHOLE_SIZE;
  VkFormat texels = VK_FORMAT_UNDEFINED;  // if the shader reads texels

  BufferUse() = default;
  BufferUse(const Buffer& of, uint64_t first_byte = 0, uint64_t n_bytes = VK_WHOLE_SIZE)
      : buffer(&of), first(first_byte), bytes(n_bytes) {}
};

inline BufferUse as_texels(BufferUse use, VkFormat format) {
  use.texels = format;
  return use;
}

/// How a shader uses pages of the cache, which it finds by address and does not bind.
enum class Pages : uint8_t { none, read, written };

/// A buffer that a shader finds by its address, since it may be larger than what a device binds at once.
struct AddressedBuffer {
  const Buffer* buffer = nullptr;
  bool is_written = false;
};

inline constexpr size_t max_bindings = 12;
inline constexpr size_t max_uses = max_bindings + 1;  // plus group counts or the addressed buffer
inline constexpr size_t max_constants = 32;           // of 32 bits; every device has 128 bytes

struct Command {
  enum class Kind : uint8_t { dispatch, dispatch_indirect, copy, fill };
  Kind kind = Kind::dispatch;
  Pages pages = Pages::none;
  bool writes_addressed = false;
  uint8_t n_uses = 0;
  uint8_t n_constants = 0;
  int32_t stage = 0;  // index of the stage that its time counts for
  const Program* program = nullptr;
  std::array<uint32_t, 3> groups{};
  std::array<uint32_t, max_constants> constants{};
  // copy: from, to. fill: to. dispatch: the bindings, then the addressed buffer. dispatch_indirect: the bindings, then
  // the group counts.
  std::array<BufferUse, max_uses> uses{};
  uint32_t fill_value = 0;
  double cost_ms = 0;
};

/// A command buffer and the commands that it was recorded from.
struct Recording {
  std::vector<Command> commands;
  VkCommandBuffer command_buffer = VK_NULL_HANDLE;
  VkDescriptorPool descriptors = VK_NULL_HANDLE;
  uint32_t n_sets = 0, n_storage = 0, n_texels = 0;  // room in the pool
  VkQueryPool queries = VK_NULL_HANDLE;
  uint32_t n_queries = 0;
  uint64_t submission = 0;
  bool is_running = false;
};

class Queue;

/// Commands that are recorded once and can run many times, while all buffers that they use exist.
class RecordedCommands {
 public:
  explicit RecordedCommands(Queue& queue);
  ~RecordedCommands();
  RecordedCommands(const RecordedCommands&) = delete;
  RecordedCommands& operator=(const RecordedCommands&) = delete;

  /// False before the first recording, and after a buffer that they use was freed.
  bool is_current() const { return is_current_; }
  void outdate() { is_current_ = false; }

 private:
  friend class Queue;
  struct StageCall {
    int32_t stage;
    double bytes;
  };

  Queue& queue_;
  std::vector<Command> commands_;  // until they are recorded
  std::deque<Recording> parts_;
  std::vector<const Buffer*> buffers_;  // used by them, each once
  std::vector<StageCall> stage_calls_;  // per run
  bool is_current_ = false;
};

class Queue final : public BufferUser {
 public:
  Queue(Device& device, Memory& memory);
  ~Queue() override;
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  /// Stages that time is counted for, by index.
  void set_stages(std::vector<std::string> names);
  /// Starts one more call of a stage; commands from here on count for it. bytes: the least that it reads and writes.
  void begin_stage(int32_t stage, double bytes);

  /// groups: work groups. constants: the shader's push constants. uses: one per binding of the shader. cost_ms: an
  /// estimate for this device, which keeps submissions short. Throws Error(out_of_memory) for a buffer that is larger
  /// than what the device binds.
  void dispatch(const Program& program, std::array<uint32_t, 3> groups, std::span<const uint32_t> constants,
                std::initializer_list<BufferUse> uses, double cost_ms = 0.05, Pages pages = Pages::none,
                AddressedBuffer addressed = {});
  /// counts: the group counts are three u32 that begin at byte `counts.first`.
  void dispatch_indirect(const Program& program, BufferUse counts, std::span<const uint32_t> constants,
                         std::initializer_list<BufferUse> uses, double cost_ms = 0.05, Pages pages = Pages::none);
  void copy(BufferUse from, BufferUse to);
  void fill(BufferUse to, uint32_t value);

  /// Until end_recording, enqueued work is not run: it replaces the contents of `commands`. After end_recording they
  /// are current, unless a buffer that they use was freed meanwhile. If end_recording throws, or abandon_recording ends
  /// the recording, they are not current.
  void begin_recording(RecordedCommands& commands);
  void end_recording();
  void abandon_recording();
  bool is_recording() const { return recording_ != nullptr; }
  /// Runs current commands after everything enqueued before, in the same submission.
  void run(RecordedCommands& commands);
  /// Makes all recorded commands outdated. Call it after allocating memory that shaders reach by address: the
  /// validation layer knows only the memory that existed at the time of recording.
  void outdate_recordings();
  /// Counts bytes for a stage like begin_stage, but no call.
  void add_stage_bytes(int32_t stage, double bytes) { stages_[static_cast<size_t>(stage)].bytes += bytes; }

  /// Starts all enqueued work.
  void submit();
  /// Waits until all work is done. Throws Error(device) if the device is lost or hangs.
  void finish();
  /// Waits for the work that uses this buffer.
  void finish(const Buffer& buffer);
  void release(const Buffer& buffer) override;
  /// finish() for callers that must not throw: the next call that waits or submits throws the failure.
  void drain();

  void upload(const Buffer& to, size_t offset, std::span<const std::byte> bytes);
  /// Downloads all parts with one wait, unless they exceed the staging buffer.
  void download(std::span<const ReadBack> parts);
  void download(const Buffer& from, size_t offset, std::span<std::byte> bytes) {
    const ReadBack part{&from, offset, bytes};
    download({&part, 1});
  }

  std::vector<StageTime> stage_times() const;
  void reset_stage_times();
  int64_t n_recorded() const { return n_recorded_; }  // command buffers
  const BackendCounters& counters() const { return counters_; }
  void count_up(size_t bytes) { counters_.bytes_up += static_cast<int64_t>(bytes); }
  void count_down(size_t bytes) { counters_.bytes_down += static_cast<int64_t>(bytes); }

 private:
  friend class RecordedCommands;

  void enqueue(const Command& command);
  /// Returns a recording that is not running.
  Recording& free_recording();
  void record(Recording& recording, std::span<const Command> commands);
  void write(Recording& recording);
  void submit_recordings(std::span<Recording* const> recordings);
  /// Submits the enqueued work, then `more`, which may be null.
  void submit_with(Recording* more);
  void prepare_pools(Recording& recording);
  VkDescriptorSet bind(Recording& recording, const Command& command);
  void count_times(Recording& recording);
  void destroy(Recording& recording);
  size_t stage(size_t bytes);
  void wait_for(uint64_t submission);
  void give_up();
  /// Throws an earlier failure that no caller has seen yet. A failure of the device is thrown by every call.
  void rethrow_failure();

  Device& device_;
  Memory& memory_;
  VkCommandPool pool_ = VK_NULL_HANDLE;
  VkSemaphore timeline_ = VK_NULL_HANDLE;
  std::vector<Command> pending_;
  double pending_ms_ = 0;
  std::deque<Recording> recordings_;         // for work that runs once
  std::vector<RecordedCommands*> recorded_;  // all that exist
  RecordedCommands* recording_ = nullptr;    // receives the enqueued commands
  uint64_t last_submission_ = 0;
  uint64_t completed_ = 0;
  bool hangs_ = false;
  std::string device_failure_;  // set if it is lost or hangs; nothing runs afterwards
  std::exception_ptr failure_;  // of work whose caller could not be told
  std::unique_ptr<Buffer> staging_;
  size_t staged_ = 0;  // bytes of staging_ in use
  std::vector<StageTime> stages_;
  int32_t stage_ = 0;
  int64_t n_recorded_ = 0;
  BackendCounters counters_;
};

}  // namespace headroom::vulkan
