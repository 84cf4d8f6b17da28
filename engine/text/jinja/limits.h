// How much one rendering of a template may use up, and how much it did. For the interpreter, which counts, and for
// ChatTemplate, which sets the limits by the length of a conversation.
#pragma once

#include <cstddef>
#include <cstdint>

namespace headroom {

/// What a template may use up for an empty conversation; more for each message and each byte of one, see limits_for.
struct TemplateLimits {
  size_t max_source_bytes = size_t{256} << 10;
  int64_t max_steps = 200'000;
  int32_t max_depth = 64;  // of brackets and blocks in the source, and of macro calls
  size_t max_output_bytes = size_t{8} << 20;
  size_t max_memory_bytes = size_t{64} << 20;  // all that one rendering holds at a time, temporary values included
  size_t max_work = size_t{256} << 20;         // bytes copied or looked through; a slower operation counts for more
  int64_t max_range = 10'000;
  double max_seconds = 2;  // of the processor: only where a machine is far slower than the other limits expect
};

/// What one rendering used up, in the terms of TemplateLimits.
struct TemplateUse {
  int64_t steps = 0;
  size_t work = 0;
  size_t memory_bytes = 0;  // at its peak
};

}  // namespace headroom
