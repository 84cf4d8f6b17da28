// Limits of one rendering of a template: steps, work, memory and time. Also containers that charge every allocation
// before they make it. All other files of the template interpreter use this.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <string>
#include <vector>

#include "engine/base/cancelled.h"
#include "engine/text/jinja/limits.h"

namespace headroom::jinja {

/// Counts what the rendering on this thread uses. One unit of work takes a nanosecond or less, for example a byte that
/// a fast loop copies or scans. The charges depend only on the template and the messages, so a template is refused on
/// every machine or on none.
class Budget {
 public:
  Budget(const TemplateLimits& limits, const StopQuestion& stop);
  ~Budget();
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

  /// Null while no template is rendered.
  static Budget* current() { return current_; }

  void step(int64_t n = 1) {
    steps_ += n;
    if (steps_ >= steps_until_pause_) pause();
  }
  void work(size_t units) {
    work_ = units < SIZE_MAX - work_ ? work_ + units : SIZE_MAX;
    if (work_ >= work_until_pause_) pause();
  }
  /// Charges memory before it is allocated.
  void take_memory(size_t bytes) {
    check_memory(bytes);
    memory_bytes_ += bytes;
    if (memory_bytes_ > peak_bytes_) peak_bytes_ = memory_bytes_;
    work(work_per_allocation + bytes);
  }
  void give_memory(size_t bytes) noexcept { memory_bytes_ -= bytes < memory_bytes_ ? bytes : memory_bytes_; }
  /// Fails if this much more memory would exceed the limit. Charges nothing.
  void check_memory(size_t bytes) const {
    if (bytes > limits.max_memory_bytes - memory_bytes_) fail_memory();
  }

  TemplateUse use() const { return {steps_, work_, peak_bytes_}; }

  const TemplateLimits limits;
  int line = 0;  // line of the template that is being evaluated

 private:
  static constexpr size_t work_per_allocation = 64;

  /// Throws if a limit is exceeded or if the rendering is cancelled.
  void pause();
  [[noreturn]] void fail_memory() const;

  static thread_local Budget* current_;

  const StopQuestion& stop_;
  Budget* const outer_;
  const double start_seconds_;
  int64_t steps_ = 0;
  int64_t steps_until_pause_ = 0;
  size_t work_ = 0;
  size_t work_until_pause_ = 0;
  size_t memory_bytes_ = 0;
  size_t peak_bytes_ = 0;
};

/// Charges work to the rendering on this thread, if there is one.
inline void charge_work(size_t units) {
  if (Budget* budget = Budget::current()) budget->work(units);
}

/// Allocates memory and charges it to the rendering on this thread, with 16 bytes for the allocator's overhead.
inline void* take_counted(size_t bytes) {
  constexpr size_t overhead = 16;
  Budget* budget = Budget::current();
  if (budget == nullptr) return ::operator new(bytes);
  budget->take_memory(bytes + overhead);
  try {
    return ::operator new(bytes);
  } catch (...) {
    budget->give_memory(bytes + overhead);
    throw;
  }
}
inline void give_counted(void* memory, size_t bytes) noexcept {
  constexpr size_t overhead = 16;
  if (Budget* budget = Budget::current()) budget->give_memory(bytes + overhead);
  ::operator delete(memory);
}

/// Allocator for containers that live within one rendering.
template <class T>
struct CountedAllocator {
  using value_type = T;
  CountedAllocator() = default;
  template <class U>
  CountedAllocator(const CountedAllocator<U>&) {}
  T* allocate(size_t n) { return static_cast<T*>(take_counted(n * sizeof(T))); }
  void deallocate(T* memory, size_t n) noexcept { give_counted(memory, n * sizeof(T)); }
  friend bool operator==(CountedAllocator, CountedAllocator) { return true; }
};

using String = std::basic_string<char, std::char_traits<char>, CountedAllocator<char>>;
template <class T>
using Vector = std::vector<T, CountedAllocator<T>>;

}  // namespace headroom::jinja
