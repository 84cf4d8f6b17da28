// Records, submits and waits. See queue.h.
#include "engine/backend/vulkan/queue.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

namespace headroom::vulkan {
namespace {

// Upper bound for one submission, in ms. It is not interrupted, and the desktop, which shares the device, waits for it.
constexpr double submission_ms = 40;
// A driver resets a device that hangs after a few seconds; after this long the device counts as hung.
constexpr uint64_t patience_ns = 30'000'000'000;
constexpr size_t staging_bytes = size_t{8} << 20;
constexpr size_t part_bytes = staging_bytes / 4;  // upper bound for one copy of a download

/// What was touched since the last barrier. It tracks whole buffers: a shader is bound to the whole of them, and the
/// validation layer checks no more than that.
class Hazards {
 public:
  bool conflicts(const BufferUse& use, bool writes) const {
    const auto overlaps = [&](const BufferUse& other) { return other.buffer == use.buffer; };
    return std::any_of(written_.begin(), written_.end(), overlaps) ||
           (writes && std::any_of(read_.begin(), read_.end(), overlaps));
  }
  bool conflicts(Pages pages) const {
    return pages_ == Pages::written ? pages != Pages::none : pages_ == Pages::read && pages == Pages::written;
  }
  void add(const BufferUse& use, bool writes) { (writes ? written_ : read_).push_back(use); }
  void add(Pages pages) { pages_ = std::max(pages_, pages); }
  void clear() {
    read_.clear();
    written_.clear();
    pages_ = Pages::none;
  }

 private:
  std::vector<BufferUse> read_, written_;
  Pages pages_ = Pages::none;
};

/// Whether a command writes through its use number i.
bool writes(const Command& command, size_t i) {
  if (command.kind == Command::Kind::copy) return i == 1;
  if (command.kind == Command::Kind::fill) return true;
  const std::vector<Binding>& bindings = command.program->interface().bindings;
  return i < bindings.size() ? bindings[i].writes : command.writes_addressed;
}

Command dispatch_of(const Program& program, std::span<const uint32_t> constants, std::initializer_list<BufferUse> uses,
                    double cost_ms, Pages pages) {
  const Interface& interface = program.interface();
  if (constants.size_bytes() != interface.constants_bytes || constants.size() > max_constants ||
      uses.size() != interface.bindings.size() || uses.size() > max_bindings)
    throw Error(ErrorKind::device,
                "the shader " + program.name() + " was given " + std::to_string(constants.size_bytes()) +
                    " bytes of constants and " + std::to_string(uses.size()) + " buffers; expected " +
                    std::to_string(interface.constants_bytes) + " and " + std::to_string(interface.bindings.size()));
  Command command{.kind = Command::Kind::dispatch,
                  .pages = pages,
                  .n_uses = static_cast<uint8_t>(uses.size()),
                  .n_constants = static_cast<uint8_t>(constants.size()),
                  .program = &program,
                  .cost_ms = cost_ms};
  for (size_t i = 0; i < uses.size(); ++i) uses.begin()[i].buffer->check_binding(interface.bindings[i].type);
  std::copy(constants.begin(), constants.end(), command.constants.begin());
  std::copy(uses.begin(), uses.end(), command.uses.begin());
  return command;
}

}  // namespace

Queue::Queue(Device& device, Memory& memory) : device_(device), memory_(memory) {
  const VolkDeviceTable& call = device.call;
  VkCommandPoolCreateInfo pool{};
  pool.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
  pool.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT;
  pool.queueFamilyIndex = device.facts().queue_family;
  check(call.vkCreateCommandPool(device.handle(), &pool, nullptr, &pool_), "make a command pool");
  VkSemaphoreTypeCreateInfo type{};
  type.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO;
  type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
  VkSemaphoreCreateInfo semaphore{};
  semaphore.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO;
  semaphore.pNext = &type;
  const VkResult result = call.vkCreateSemaphore(device.handle(), &semaphore, nullptr, &timeline_);
  if (result != VK_SUCCESS) {
    call.vkDestroyCommandPool(device.handle(), pool_, nullptr);
    check(result, "make a semaphore");
  }
  memory.set_user(this);
}

Queue::~Queue() {
  const VolkDeviceTable& call = device_.call;
  if (!hangs_) call.vkDeviceWaitIdle(device_.handle());  // the result is ignored: nothing more can be done
  completed_ = last_submission_;
  pending_.clear();
  staging_.reset();
  memory_.set_user(nullptr);
  assert(recorded_.empty());
  for (Recording& recording : recordings_) destroy(recording);
  call.vkDestroySemaphore(device_.handle(), timeline_, nullptr);
  call.vkDestroyCommandPool(device_.handle(), pool_, nullptr);
}

void Queue::set_stages(std::vector<std::string> names) {
  stages_.clear();
  for (std::string& name : names) stages_.push_back({.name = std::move(name)});
}

void Queue::begin_stage(int32_t stage, double bytes) {
  stage_ = stage;
  StageTime& time = stages_[static_cast<size_t>(stage)];
  ++counters_.calls;
  if (recording_ != nullptr) {
    recording_->stage_calls_.push_back({stage, bytes});
    return;
  }
  time.calls += 1;
  time.bytes += bytes;
}

void Queue::dispatch(const Program& program, std::array<uint32_t, 3> groups, std::span<const uint32_t> constants,
                     std::initializer_list<BufferUse> uses, double cost_ms, Pages pages, AddressedBuffer addressed) {
  if (groups[0] == 0 || groups[1] == 0 || groups[2] == 0) return;
  Command command = dispatch_of(program, constants, uses, cost_ms, pages);
  command.groups = groups;
  if (addressed.buffer != nullptr) {
    command.uses[command.n_uses++] = *addressed.buffer;
    command.writes_addressed = addressed.is_written;
  }
  enqueue(command);
}

void Queue::dispatch_indirect(const Program& program, BufferUse counts, std::span<const uint32_t> constants,
                              std::initializer_list<BufferUse> uses, double cost_ms, Pages pages) {
  Command command = dispatch_of(program, constants, uses, cost_ms, pages);
  command.kind = Command::Kind::dispatch_indirect;
  command.uses[command.n_uses++] = counts;
  enqueue(command);
}

void Queue::copy(BufferUse from, BufferUse to) {
  Command command{.kind = Command::Kind::copy, .n_uses = 2, .cost_ms = static_cast<double>(from.bytes) * 1e-6};
  command.uses[0] = from;
  command.uses[1] = to;
  enqueue(command);
}

void Queue::fill(BufferUse to, uint32_t value) {
  Command command{.kind = Command::Kind::fill, .n_uses = 1, .fill_value = value, .cost_ms = 0.01};
  command.uses[0] = to;
  enqueue(command);
}

void Queue::enqueue(const Command& command) {
  if (recording_ != nullptr) {
    recording_->commands_.push_back(command);
    recording_->commands_.back().stage = stage_;
    return;
  }
  if (pending_ms_ > 0 && pending_ms_ + command.cost_ms > submission_ms) submit();
  pending_.push_back(command);
  pending_.back().stage = stage_;
  pending_ms_ += command.cost_ms;
  for (size_t i = 0; i < command.n_uses; ++i) command.uses[i].buffer->used_by = last_submission_ + 1;
}

// --- commands that are recorded once ---

RecordedCommands::RecordedCommands(Queue& queue) : queue_(queue) {
  queue.recorded_.push_back(this);
}

RecordedCommands::~RecordedCommands() {
  if (std::any_of(parts_.begin(), parts_.end(), [](const Recording& part) { return part.is_running; })) queue_.drain();
  std::erase(queue_.recorded_, this);
  for (Recording& part : parts_) queue_.destroy(part);
}

void Queue::begin_recording(RecordedCommands& commands) {
  assert(recording_ == nullptr);
  for (Recording& part : commands.parts_)
    if (part.is_running) wait_for(part.submission);
  commands.commands_.clear();
  commands.buffers_.clear();
  commands.stage_calls_.clear();
  commands.is_current_ = true;
  recording_ = &commands;
}

void Queue::abandon_recording() {
  recording_->is_current_ = false;
  recording_ = nullptr;
}

void Queue::end_recording() {
  RecordedCommands& to = *std::exchange(recording_, nullptr);
  if (!to.is_current_) return;
  to.is_current_ = false;
  // A software driver shares the device with no desktop; its parts only have to finish before wait_for gives up.
  const double part_ms = device_.facts().is_software() ? 1000 : submission_ms;
  const std::vector<Command>& commands = to.commands_;
  size_t n_parts = 0;
  for (size_t first = 0; first < commands.size();) {
    double cost_ms = commands[first].cost_ms;
    size_t end = first + 1;
    while (end < commands.size() && cost_ms + commands[end].cost_ms <= part_ms) cost_ms += commands[end++].cost_ms;
    if (to.parts_.size() <= n_parts) to.parts_.emplace_back();
    record(to.parts_[n_parts++], std::span(commands).subspan(first, end - first));
    first = end;
  }
  while (to.parts_.size() > n_parts) {
    destroy(to.parts_.back());
    to.parts_.pop_back();
  }
  for (const Command& command : commands)
    for (size_t i = 0; i < command.n_uses; ++i) to.buffers_.push_back(command.uses[i].buffer);
  std::sort(to.buffers_.begin(), to.buffers_.end());
  to.buffers_.erase(std::unique(to.buffers_.begin(), to.buffers_.end()), to.buffers_.end());
  to.commands_.clear();
  to.is_current_ = true;
}

void Queue::run(RecordedCommands& commands) {
  rethrow_failure();
  assert(commands.is_current_ && recording_ == nullptr);
  for (Recording& part : commands.parts_) {
    if (part.is_running) wait_for(part.submission);
    submit_with(&part);
    for (const Buffer* buffer : commands.buffers_) buffer->used_by = last_submission_;
  }
  for (const RecordedCommands::StageCall& call : commands.stage_calls_) {
    StageTime& time = stages_[static_cast<size_t>(call.stage)];
    time.calls += 1;
    time.bytes += call.bytes;
  }
}

void Queue::outdate_recordings() {
  for (RecordedCommands* commands : recorded_) commands->outdate();
}

// --- submissions ---

void Queue::submit() {
  rethrow_failure();
  if (!pending_.empty()) submit_with(nullptr);
}

void Queue::submit_with(Recording* more) {
  std::vector<Command> commands = std::move(pending_);
  const double commands_ms = pending_ms_;
  pending_.clear();
  pending_ms_ = 0;
  try {
    std::vector<Recording*> recordings;
    if (!commands.empty()) {
      recordings.push_back(&free_recording());
      record(*recordings.back(), commands);
    }
    if (more != nullptr) recordings.push_back(more);
    submit_recordings(recordings);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::device) {
      device_failure_ = error.what();
    } else {
      // Keep the commands: a later try may find memory, and undoing a step needs the rows that these commands write.
      pending_ = std::move(commands);
      pending_ms_ = commands_ms;
    }
    throw;
  }
}

void Queue::submit_recordings(std::span<Recording* const> recordings) {
  std::vector<VkCommandBuffer> command_buffers;
  for (const Recording* recording : recordings) command_buffers.push_back(recording->command_buffer);
  const uint64_t value = last_submission_ + 1;
  VkTimelineSemaphoreSubmitInfo timeline{};
  timeline.sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO;
  timeline.signalSemaphoreValueCount = 1;
  timeline.pSignalSemaphoreValues = &value;
  VkSubmitInfo submit{};
  submit.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO;
  submit.pNext = &timeline;
  submit.commandBufferCount = static_cast<uint32_t>(command_buffers.size());
  submit.pCommandBuffers = command_buffers.data();
  submit.signalSemaphoreCount = 1;
  submit.pSignalSemaphores = &timeline_;
  check(device_.call.vkQueueSubmit(device_.queue(), 1, &submit, VK_NULL_HANDLE), "take work");
  last_submission_ = value;
  for (Recording* recording : recordings) {
    recording->submission = value;
    recording->is_running = true;
  }
  ++counters_.submissions;
}

Recording& Queue::free_recording() {
  for (Recording& recording : recordings_)
    if (!recording.is_running) return recording;
  constexpr size_t max_recordings = 4;  // may run while the next is recorded
  if (recordings_.size() < max_recordings) return recordings_.emplace_back();
  Recording& oldest =
      *std::min_element(recordings_.begin(), recordings_.end(),
                        [](const Recording& a, const Recording& b) { return a.submission < b.submission; });
  wait_for(oldest.submission);
  return oldest;
}

void Queue::prepare_pools(Recording& recording) {
  const VolkDeviceTable& call = device_.call;
  if (recording.command_buffer == VK_NULL_HANDLE) {
    VkCommandBufferAllocateInfo allocate{};
    allocate.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
    allocate.commandPool = pool_;
    allocate.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
    allocate.commandBufferCount = 1;
    check(call.vkAllocateCommandBuffers(device_.handle(), &allocate, &recording.command_buffer),
          "make a command buffer");
  }
  uint32_t n_sets = 0, n_storage = 0, n_texels = 0;
  for (const Command& command : recording.commands) {
    if (command.program == nullptr) continue;
    ++n_sets;
    for (const Binding& binding : command.program->interface().bindings)
      ++(binding.type == VK_DESCRIPTOR_TYPE_STORAGE_BUFFER ? n_storage : n_texels);
  }
  if (n_sets > recording.n_sets || n_storage > recording.n_storage || n_texels > recording.n_texels) {
    call.vkDestroyDescriptorPool(device_.handle(), recording.descriptors, nullptr);
    recording.descriptors = VK_NULL_HANDLE;
    recording.n_sets = std::max(2 * n_sets, 16u);
    recording.n_storage = std::max(2 * n_storage, 64u);
    recording.n_texels = std::max(2 * n_texels, 16u);
    const VkDescriptorPoolSize sizes[] = {{VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, recording.n_storage},
                                          {VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER, recording.n_texels}};
    VkDescriptorPoolCreateInfo create{};
    create.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO;
    create.maxSets = recording.n_sets;
    create.poolSizeCount = 2;
    create.pPoolSizes = sizes;
    const VkResult result = call.vkCreateDescriptorPool(device_.handle(), &create, nullptr, &recording.descriptors);
    if (result != VK_SUCCESS) recording.n_sets = recording.n_storage = recording.n_texels = 0;
    check(result, "make a descriptor pool");
  } else if (recording.descriptors != VK_NULL_HANDLE) {
    check(call.vkResetDescriptorPool(device_.handle(), recording.descriptors, 0), "reset a descriptor pool");
  }
  const auto n_queries = static_cast<uint32_t>(recording.commands.size()) + 1;
  if (device_.facts().timestamp_ns > 0 && n_queries > recording.n_queries) {
    call.vkDestroyQueryPool(device_.handle(), recording.queries, nullptr);
    recording.queries = VK_NULL_HANDLE;
    recording.n_queries = 2 * n_queries;
    VkQueryPoolCreateInfo create{};
    create.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO;
    create.queryType = VK_QUERY_TYPE_TIMESTAMP;
    create.queryCount = recording.n_queries;
    const VkResult result = call.vkCreateQueryPool(device_.handle(), &create, nullptr, &recording.queries);
    if (result != VK_SUCCESS) recording.n_queries = 0;
    check(result, "make a query pool");
  }
}

VkDescriptorSet Queue::bind(Recording& recording, const Command& command) {
  const Program& program = *command.program;
  const VkDescriptorSetLayout layout = program.set_layout();
  VkDescriptorSetAllocateInfo allocate{};
  allocate.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO;
  allocate.descriptorPool = recording.descriptors;
  allocate.descriptorSetCount = 1;
  allocate.pSetLayouts = &layout;
  VkDescriptorSet set = VK_NULL_HANDLE;
  check(device_.call.vkAllocateDescriptorSets(device_.handle(), &allocate, &set), "make a descriptor set");
  const std::vector<Binding>& bindings = program.interface().bindings;
  std::array<VkDescriptorBufferInfo, max_uses> buffers{};
  std::array<VkBufferView, max_uses> views{};
  std::array<VkWriteDescriptorSet, max_uses> writes{};
  for (uint32_t i = 0; i < bindings.size(); ++i) {
    const BufferUse& use = command.uses[i];
    VkWriteDescriptorSet& write = writes[i];
    write.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET;
    write.dstSet = set;
    write.dstBinding = i;
    write.descriptorCount = 1;
    write.descriptorType = bindings[i].type;
    if (bindings[i].type == VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER) {
      views[i] = use.buffer->texels(use.texels);
      write.pTexelBufferView = &views[i];
    } else {
      buffers[i] = {use.buffer->handle(), 0, VK_WHOLE_SIZE};
      write.pBufferInfo = &buffers[i];
    }
  }
  device_.call.vkUpdateDescriptorSets(device_.handle(), static_cast<uint32_t>(bindings.size()), writes.data(), 0,
                                      nullptr);
  return set;
}

void Queue::record(Recording& recording, std::span<const Command> commands) {
  recording.commands.assign(commands.begin(), commands.end());
  try {
    write(recording);
  } catch (...) {
    recording.commands.clear();
    if (recording.command_buffer != VK_NULL_HANDLE) device_.call.vkResetCommandBuffer(recording.command_buffer, 0);
    throw;
  }
  ++n_recorded_;
}

/// Writes the recording's commands into its command buffer.
void Queue::write(Recording& recording) {
  const VolkDeviceTable& call = device_.call;
  prepare_pools(recording);
  const VkCommandBuffer command_buffer = recording.command_buffer;
  VkCommandBufferBeginInfo begin{};
  begin.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
  check(call.vkBeginCommandBuffer(command_buffer, &begin), "begin to record");
  const auto n_queries = static_cast<uint32_t>(recording.commands.size()) + 1;
  const bool is_timed = recording.queries != VK_NULL_HANDLE;
  if (is_timed) {
    call.vkCmdResetQueryPool(command_buffer, recording.queries, 0, n_queries);
    call.vkCmdWriteTimestamp(command_buffer, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, recording.queries, 0);
  }
  constexpr VkPipelineStageFlags stages = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
  const auto barrier = [&](VkPipelineStageFlags more_before, VkAccessFlags before, VkPipelineStageFlags more_after,
                           VkAccessFlags after) {
    VkMemoryBarrier memory{};
    memory.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER;
    memory.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT |
                           VK_ACCESS_TRANSFER_READ_BIT | before;
    memory.dstAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT |
                           VK_ACCESS_TRANSFER_READ_BIT | after;
    call.vkCmdPipelineBarrier(command_buffer, stages | more_before, stages | more_after, 0, 1, &memory, 0, nullptr, 0,
                              nullptr);
  };
  // Makes the writes of the previous submission and of the host visible.
  barrier(VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_WRITE_BIT, VK_PIPELINE_STAGE_DRAW_INDIRECT_BIT,
          VK_ACCESS_INDIRECT_COMMAND_READ_BIT);
  Hazards hazards;
  const Program* bound = nullptr;
  uint32_t query = 0;
  for (const Command& command : recording.commands) {
    bool conflict = hazards.conflicts(command.pages);
    for (size_t i = 0; i < command.n_uses; ++i)
      conflict = conflict || hazards.conflicts(command.uses[i], writes(command, i));
    if (conflict) {
      barrier(0, 0, VK_PIPELINE_STAGE_DRAW_INDIRECT_BIT, VK_ACCESS_INDIRECT_COMMAND_READ_BIT);
      hazards.clear();
    }
    hazards.add(command.pages);
    for (size_t i = 0; i < command.n_uses; ++i) hazards.add(command.uses[i], writes(command, i));

    const std::array<BufferUse, max_uses>& uses = command.uses;
    switch (command.kind) {
      case Command::Kind::copy: {
        const VkBufferCopy region{uses[0].first, uses[1].first, uses[0].bytes};
        call.vkCmdCopyBuffer(command_buffer, uses[0].buffer->handle(), uses[1].buffer->handle(), 1, &region);
        break;
      }
      case Command::Kind::fill:
        call.vkCmdFillBuffer(command_buffer, uses[0].buffer->handle(), uses[0].first, uses[0].bytes,
                             command.fill_value);
        break;
      case Command::Kind::dispatch:
      case Command::Kind::dispatch_indirect: {
        const Program& program = *command.program;
        if (bound != &program)
          call.vkCmdBindPipeline(command_buffer, VK_PIPELINE_BIND_POINT_COMPUTE, program.pipeline());
        bound = &program;
        const VkDescriptorSet set = bind(recording, command);
        call.vkCmdBindDescriptorSets(command_buffer, VK_PIPELINE_BIND_POINT_COMPUTE, program.layout(), 0, 1, &set, 0,
                                     nullptr);
        if (command.n_constants > 0)
          call.vkCmdPushConstants(command_buffer, program.layout(), VK_SHADER_STAGE_COMPUTE_BIT, 0,
                                  4u * command.n_constants, command.constants.data());
        if (command.kind == Command::Kind::dispatch) {
          call.vkCmdDispatch(command_buffer, command.groups[0], command.groups[1], command.groups[2]);
        } else {
          const BufferUse& counts = uses[static_cast<size_t>(command.n_uses - 1)];
          call.vkCmdDispatchIndirect(command_buffer, counts.buffer->handle(), counts.first);
        }
        break;
      }
    }
    if (is_timed)
      call.vkCmdWriteTimestamp(command_buffer, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, recording.queries, ++query);
  }
  // Makes writes visible to the host, which reads after it has waited.
  barrier(0, 0, VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_READ_BIT);
  check(call.vkEndCommandBuffer(command_buffer), "record");
}

void Queue::wait_for(uint64_t submission) {
  if (submission <= completed_) return;
  ++counters_.waits;
  VkSemaphoreWaitInfo wait{};
  wait.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO;
  wait.semaphoreCount = 1;
  wait.pSemaphores = &timeline_;
  wait.pValues = &submission;
  const VkResult result = device_.call.vkWaitSemaphores(device_.handle(), &wait, patience_ns);
  if (result == VK_TIMEOUT) {
    hangs_ = true;
    device_failure_ = "the Vulkan device did not finish its work within 30 s and is given up";
    throw Error(ErrorKind::device, device_failure_);
  }
  try {
    check(result, "finish its work");
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::device) {
      device_failure_ = error.what();
      device_.call.vkDeviceWaitIdle(device_.handle());  // buffers are freed now, and some work may still run
    }
    throw;
  }
  completed_ = submission;
  const auto end_of = [&](std::deque<Recording>& recordings) {
    for (Recording& recording : recordings)
      if (recording.is_running && recording.submission <= completed_) {
        recording.is_running = false;
        count_times(recording);
      }
  };
  end_of(recordings_);
  for (RecordedCommands* commands : recorded_) end_of(commands->parts_);
}

void Queue::count_times(Recording& recording) {
  if (recording.queries == VK_NULL_HANDLE) return;
  const size_t n = recording.commands.size() + 1;
  std::vector<uint64_t> ticks(n);
  const VkResult result =
      device_.call.vkGetQueryPoolResults(device_.handle(), recording.queries, 0, static_cast<uint32_t>(n),
                                         n * sizeof(uint64_t), ticks.data(), sizeof(uint64_t), VK_QUERY_RESULT_64_BIT);
  if (result != VK_SUCCESS) return;  // times are optional
  for (size_t i = 0; i + 1 < n; ++i) {
    if (ticks[i + 1] < ticks[i]) continue;
    stages_[static_cast<size_t>(recording.commands[i].stage)].ms +=
        static_cast<double>(ticks[i + 1] - ticks[i]) * device_.facts().timestamp_ns * 1e-6;
  }
}

void Queue::finish() {
  submit();
  wait_for(last_submission_);
}

void Queue::finish(const Buffer& buffer) {
  rethrow_failure();
  if (buffer.used_by > last_submission_) submit();
  wait_for(std::min(buffer.used_by, last_submission_));
}

void Queue::release(const Buffer& buffer) {
  for (RecordedCommands* commands : recorded_) {
    const auto uses_it = [&](const Command& command) {
      return std::any_of(command.uses.begin(), command.uses.begin() + command.n_uses,
                         [&](const BufferUse& use) { return use.buffer == &buffer; });
    };
    if (std::binary_search(commands->buffers_.begin(), commands->buffers_.end(), &buffer) ||
        std::any_of(commands->commands_.begin(), commands->commands_.end(), uses_it))
      commands->outdate();
  }
  if (buffer.used_by <= completed_) return;
  try {
    finish(buffer);
  } catch (const Error&) {
    give_up();
  }
}

void Queue::drain() {
  try {
    finish();
  } catch (const Error&) {
    give_up();
  }
}

/// Called while an error is handled: the work is lost, and this caller cannot be told. The next call throws.
void Queue::give_up() {
  failure_ = std::current_exception();
  pending_.clear();  // the rest may use buffers that are freed now
  pending_ms_ = 0;
  if (!hangs_) device_.call.vkDeviceWaitIdle(device_.handle());
}

void Queue::rethrow_failure() {
  if (!device_failure_.empty()) {
    pending_.clear();
    pending_ms_ = 0;
    throw Error(ErrorKind::device, device_failure_);
  }
  if (failure_ != nullptr) std::rethrow_exception(std::exchange(failure_, nullptr));
}

/// Finds an unused place in the staging buffer. Waits for the device only if the buffer is full.
size_t Queue::stage(size_t bytes) {
  assert(bytes <= staging_bytes);
  if (staging_ == nullptr) staging_ = memory_.allocate(staging_bytes, MemoryUse::staging);
  if (staging_->used_by <= completed_) staged_ = 0;
  if (staged_ + bytes > staging_bytes) {
    finish(*staging_);
    staged_ = 0;
  }
  return std::exchange(staged_, staged_ + (bytes + 3) / 4 * 4);
}

void Queue::upload(const Buffer& to, size_t offset, std::span<const std::byte> bytes) {
  assert(recording_ == nullptr);
  if (bytes.empty()) return;
  count_up(bytes.size());
  if (to.mapped() != nullptr) {
    finish(to);
    std::memcpy(to.mapped() + offset, bytes.data(), bytes.size());
    return;
  }
  for (size_t done = 0; done < bytes.size();) {
    const size_t n = std::min(bytes.size() - done, staging_bytes), at = stage(n);
    std::memcpy(staging_->mapped() + at, bytes.data() + done, n);
    copy({*staging_, at, n}, {to, offset + done, n});
    done += n;
  }
}

void Queue::download(std::span<const ReadBack> parts) {
  assert(recording_ == nullptr);
  for (const ReadBack& part : parts) {
    count_down(part.to.size());
    const auto& from = static_cast<const Buffer&>(*part.from);
    assert(part.offset_bytes + part.to.size() <= from.size_bytes());
    if (from.mapped() != nullptr && !part.to.empty()) finish(from);
  }
  // Memory that the host does not see goes through the staging buffer, as much at once as fits.
  struct Staged {
    size_t at;
    std::span<std::byte> to;
  };
  std::vector<Staged> staged;
  const auto fetch = [&] {
    if (staged.empty()) return;
    finish(*staging_);
    for (const Staged& part : staged) std::memcpy(part.to.data(), staging_->mapped() + part.at, part.to.size());
    staged.clear();
  };
  size_t n_staged = 0;
  for (const ReadBack& part : parts) {
    const auto& from = static_cast<const Buffer&>(*part.from);
    if (from.mapped() != nullptr) {
      if (!part.to.empty()) std::memcpy(part.to.data(), from.mapped() + part.offset_bytes, part.to.size());
      continue;
    }
    for (size_t done = 0; done < part.to.size();) {
      const size_t n = std::min(part.to.size() - done, part_bytes);
      if (n_staged + n > staging_bytes) {
        fetch();
        n_staged = 0;
      }
      const size_t at = stage(n);
      copy({from, part.offset_bytes + done, n}, {*staging_, at, n});
      staged.push_back({at, part.to.subspan(done, n)});
      n_staged += (n + 3) / 4 * 4;
      done += n;
    }
  }
  fetch();
}

std::vector<StageTime> Queue::stage_times() const {
  std::vector<StageTime> called;
  for (const StageTime& stage : stages_)
    if (stage.calls > 0) called.push_back(stage);
  return called;
}

void Queue::reset_stage_times() {
  for (StageTime& stage : stages_) stage = {.name = std::move(stage.name)};
}

void Queue::destroy(Recording& recording) {
  const VolkDeviceTable& call = device_.call;
  call.vkDestroyDescriptorPool(device_.handle(), recording.descriptors, nullptr);
  call.vkDestroyQueryPool(device_.handle(), recording.queries, nullptr);
  if (recording.command_buffer != VK_NULL_HANDLE)
    call.vkFreeCommandBuffers(device_.handle(), pool_, 1, &recording.command_buffer);
}

}  // namespace headroom::vulkan
