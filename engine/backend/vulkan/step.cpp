// A step as recorded commands: the host uploads all its inputs at once, and one wait brings back all results.
#include "engine/backend/vulkan/step.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <utility>

#include "engine/backend/device/slot_words.h"
#include "engine/backend/device/step_report.h"
#include "engine/backend/vulkan/backend_state.h"

namespace headroom::vulkan {
namespace {

constexpr int64_t change_group = 64;  // LOCAL_SIZE of update_pages

/// Parts of VulkanStep::read_back, in bytes.
struct ReadBackPlaces {
  size_t report, rows, end;

  ReadBackPlaces(const VulkanStep& step, const PageLayout& layout)
      : report(sizeof(float) * static_cast<size_t>(step.result.n_cols)),
        rows(report + (has_report(step) ? static_cast<size_t>(step.plan.n_heads) * sizeof(ReportedHead) : 0)),
        end(rows + (has_report(step) ? static_cast<size_t>(step.plan.n_heads) * slot_words(layout) * 4 : 0)) {}

  static bool has_report(const VulkanStep& step) {
    return std::find(step.is_evicted.begin(), step.is_evicted.end(), 1) != step.is_evicted.end();
  }
};

}  // namespace

std::unique_ptr<StepProgram> VulkanBackend::make_step(std::function<void()> operations, Matrix result) {
  return std::make_unique<VulkanStep>(queue_, std::move(operations), result);
}

/// Number of splits per layer that keeps a device busy.
int64_t VulkanBackend::wanted_splits() const {
  return is_lane() ? 16 : 256;
}

void VulkanBackend::prepare_step(StepProgram& program, const DecodeStep& step) {
  auto& own = static_cast<VulkanStep&>(program);
  release_prompt_scratch();
  queue_.finish(*step_host_);  // a step that failed may still read it
  const bool is_table_known = std::exchange(is_table_known_, false);
  if (!is_table_known) page_table_.forget_all();

  if (own.plan.fit(step, wanted_splits())) own.commands.outdate();
  reserve_step(std::bit_ceil(own.plan.bytes()));
  const std::vector<PageChange> changes = update_page_table(step, own.plan.n_changes);
  if (!own.commands.is_current()) record_step(own);
  queue_.begin_stage(static_cast<int32_t>(Stage::step_state), static_cast<double>(own.plan.bytes()));
  own.plan.fill(step, wanted_splits(), page_table_.stride(), step_host_->mapped());
  step_state().n_changes = static_cast<uint>(changes.size());
  if (!changes.empty())
    std::memcpy(step_host_->mapped() + own.plan.change_begin() * sizeof(PageChange), changes.data(),
                changes.size() * sizeof(PageChange));
  queue_.count_up(own.plan.bytes());
  step_slots_ = slots_of(step);
  prepared_ = &own;
}

/// Returns the changes that the step itself makes. If they are too many, uploads the whole table before the step.
std::vector<PageChange> VulkanBackend::update_page_table(const DecodeStep& step, size_t most_changes) {
  const bool has_new_size = page_table_.fit(step.heads);
  if (has_new_size || table_buffer_ == nullptr) {
    table_buffer_.reset();
    page_table_.forget_all();
    table_buffer_ = memory_.allocate(page_table_.size() * sizeof(uint64_t), MemoryUse::device);
  }
  std::vector<PageChange> changes = page_table_.update(step.heads, [&](PageId page) { return slabs_.address(page); });
  if (changes.size() <= most_changes) return changes;
  std::vector<uint64_t> table(page_table_.size());
  for (size_t h = 0; h < step.heads.size(); ++h)
    for (size_t i = 0; i < step.heads[h].pages.size(); ++i)
      table[h * page_table_.stride() + i] = slabs_.address(step.heads[h].pages[i]);
  queue_.upload(*table_buffer_, 0, std::as_bytes(std::span(table)));
  return {};
}

void VulkanBackend::record_step(VulkanStep& step) {
  // An operation that enlarges its scratch may free a buffer that this recording already uses: record again.
  constexpr int max_tries = 8;
  for (int i = 0; i < max_tries && !step.commands.is_current(); ++i) {
    const auto n_layers = static_cast<size_t>(step.plan.n_layers);
    step.is_appended.assign(n_layers, 0);
    step.is_evicted.assign(n_layers, 0);
    queue_.begin_recording(step.commands);
    recorded_step_ = &step;
    try {
      record_operations(step);
    } catch (...) {
      recorded_step_ = nullptr;
      queue_.abandon_recording();
      throw;
    }
    recorded_step_ = nullptr;
    queue_.end_recording();
  }
  if (!step.commands.is_current())
    throw Error(ErrorKind::device, "a step could not be recorded: its buffers changed with every try");
}

void VulkanBackend::record_operations(VulkanStep& step) {
  begin_stage(Stage::step_state, 0);
  if (step_device_ != nullptr) queue_.copy({*step_host_, 0, step.plan.bytes()}, {*step_device_, 0, step.plan.bytes()});
  queue_.dispatch(programs_.get("update_pages"), {groups_for(step.plan.n_changes, change_group), 1, 1},
                  words(UpdatePagesConstants{step.plan.change_begin()}), {step_use(), step_list_use(), *table_buffer_},
                  cost_ms(step.plan.n_changes));
  step.operations();
  if (info_.unified_memory) return;
  const PageLayout layout = slabs_.layout();
  const ReadBackPlaces places(step, layout);
  if (places.end == 0) return;
  if (step.read_back == nullptr || step.read_back->size_bytes() < places.end)
    step.read_back = memory_.allocate(places.end, MemoryUse::staging);
  begin_stage(Stage::step_state, 0);
  const Buffer& to = *step.read_back;
  if (step.result.buffer != nullptr)
    queue_.copy(
        {buffer_of(*step.result.buffer), static_cast<uint64_t>(step.result.offset) * sizeof(float), places.report},
        {to, 0, places.report});
  if (places.rows == places.report) return;
  queue_.copy({scratch("step report", 0), 0, places.rows - places.report},
              {to, places.report, places.rows - places.report});
  queue_.copy({scratch("step rows", 0), 0, places.end - places.rows}, {to, places.rows, places.end - places.rows});
}

StepReport VulkanBackend::run_step(std::span<float> result) {
  VulkanStep& step = *std::exchange(prepared_, nullptr);
  assert(step.result.buffer == nullptr ? result.empty() : result.size() == static_cast<size_t>(step.result.n_cols));
  const PageLayout layout = slabs_.layout();
  const double slots = static_cast<double>(step_slots_) / step.plan.n_layers;
  for (size_t layer = 0; layer < step.is_appended.size(); ++layer) {
    if (step.is_appended[layer] != 0)
      queue_.add_stage_bytes(static_cast<int32_t>(Stage::attend_decode),
                             slots * static_cast<double>(layout.slot_bytes()));
    if (step.is_evicted[layer] != 0) queue_.add_stage_bytes(static_cast<int32_t>(Stage::evict), 8.0 * slots);
  }
  queue_.run(step.commands);
  queue_.finish();
  is_table_known_ = true;

  const ReadBackPlaces places(step, layout);
  queue_.count_down(places.end);
  const std::byte* results = info_.unified_memory ? nullptr : step.read_back ? step.read_back->mapped() : nullptr;
  const auto part = [&](size_t place, const Buffer& of) { return results != nullptr ? results + place : of.mapped(); };
  if (step.result.buffer != nullptr) {
    const size_t first = results != nullptr ? 0 : static_cast<size_t>(step.result.offset) * sizeof(float);
    std::memcpy(result.data(), part(0, buffer_of(*step.result.buffer)) + first, result.size_bytes());
  }
  if (places.rows == places.report) return {};
  return read_report(step,
                     {reinterpret_cast<const ReportedHead*>(part(places.report, scratch("step report", 0))),
                      static_cast<size_t>(step.plan.n_heads)},
                     reinterpret_cast<const uint32_t*>(part(places.rows, scratch("step rows", 0))));
}

/// first_rows: the first row that each head logged, (heads, words).
StepReport VulkanBackend::read_report(const VulkanStep& step, std::span<const ReportedHead> heads,
                                      const uint32_t* first_rows) {
  const size_t n_heads = heads.size(), row_words = slot_words(slabs_.layout());
  std::vector<uint32_t> all_rows;  // downloaded when a row beyond the first is needed
  const auto all_row = [&](size_t row) {
    if (all_rows.empty()) {
      all_rows.resize(n_heads * n_reported_slots * row_words);
      queue_.download(scratch("step rows", 0), 0, std::as_writable_bytes(std::span(all_rows)));
    }
    return &all_rows[row * row_words];
  };
  ReportReader reader(slabs_.layout());
  reader.add(heads, step.is_evicted,
             [&](size_t row) { return row < n_heads ? first_rows + row * row_words : all_row(row); });
  std::vector<ReportedHead> more(n_heads);
  while (reader.has_more()) {
    begin_stage(Stage::evict, 0);
    for (int32_t layer = 0; layer < step.plan.n_layers; ++layer)
      if (step.is_evicted[static_cast<size_t>(layer)] != 0) dispatch_evict(step, layer, false);
    queue_.download(scratch("step report", 0), 0, std::as_writable_bytes(std::span(more)));
    all_rows.clear();
    reader.add(more, step.is_evicted, all_row);
  }
  return reader.finish();
}

}  // namespace headroom::vulkan
