// Finds stop strings across pieces. See stop_text.h.
#include "engine/run/stop_text.h"

#include <algorithm>
#include <utility>

namespace headroom {

StopText::StopText(std::vector<std::string> stop_strings) : stop_strings_(std::move(stop_strings)) {
  stop_strings_.erase(std::remove(stop_strings_.begin(), stop_strings_.end(), std::string()), stop_strings_.end());
}

std::string StopText::push(const std::string& piece) {
  if (stopped_) return {};
  held_ += piece;
  size_t stop_at = std::string::npos;
  for (const std::string& stop : stop_strings_) stop_at = std::min(stop_at, held_.find(stop));
  if (stop_at != std::string::npos) {
    stopped_ = true;
    return std::exchange(held_, {}).substr(0, stop_at);
  }
  // The longest end of the text that begins a stop string stays back.
  size_t n_back = 0;
  for (const std::string& stop : stop_strings_) {
    for (size_t n = std::min(stop.size() - 1, held_.size()); n > n_back; --n) {
      if (held_.compare(held_.size() - n, n, stop, 0, n) == 0) {
        n_back = n;
        break;
      }
    }
  }
  std::string shown = held_.substr(0, held_.size() - n_back);
  held_.erase(0, shown.size());
  return shown;
}

std::string StopText::finish() {
  return std::exchange(held_, {});
}

}  // namespace headroom
