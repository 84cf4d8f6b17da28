// How much one rendering of a template may use, and how much it used. The interpreter counts; ChatTemplate sets the
// limits by the length of the conversation.
#pragma once

#include <cstddef>
#include <cstdint>

namespace headroom {

/// The limits for an empty conversation. limits_for adds more per message and per byte.
struct TemplateLimits {
  size_t max_source_bytes = size_t{256} << 10;
  int64_t max_steps = 200'000;
  int32_t max_depth = 64;  // nesting of brackets and blocks in the source, and of macro calls
  size_t max_output_bytes = size_t{8} << 20;
  size_t max_memory_bytes = size_t{64} << 20;  // at any one time, temporary values included
  size_t max_work = size_t{256} << 20;         // bytes copied or scanned; slower operations cost more
  int64_t max_range = 10'000;
  double max_seconds = 2;  // CPU time; reached first only if a machine is far slower than the other limits assume
};

/// What one rendering used, in the units of TemplateLimits.
struct TemplateUse {
  int64_t steps = 0;
  size_t work = 0;
  size_t memory_bytes = 0;  // peak
};

}  // namespace headroom
