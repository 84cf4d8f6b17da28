// Numbers by printf, with the units and the grouping that everything shares. See number_text.h.
#include "engine/base/number_text.h"

#include <array>
#include <cstdio>

namespace headroom {

std::string bytes_text(int64_t bytes) {
  constexpr double kib = 1024, mib = kib * 1024, gib = mib * 1024;
  const double value = static_cast<double>(bytes);
  const auto in = [&](double unit, const char* name) {
    std::array<char, 48> text{};
    std::snprintf(text.data(), text.size(), "%.1f %s", value / unit, name);
    return std::string(text.data());
  };
  // Limits where one place would round up to 1024.0 of the smaller unit.
  if (value >= gib - 0.05 * mib) return in(gib, "GiB");
  if (value >= mib - 0.05 * kib) return in(mib, "MiB");
  if (value >= kib) return in(kib, "KiB");
  return std::to_string(bytes) + " B";
}

std::string count_text(int64_t count) {
  const std::string digits = std::to_string(count);
  std::string text;
  for (size_t i = 0; i < digits.size(); ++i) {
    const size_t n_left = digits.size() - i;
    if (i > 0 && n_left % 3 == 0 && digits[i - 1] != '-') text += ',';
    text += digits[i];
  }
  return text;
}

}  // namespace headroom
