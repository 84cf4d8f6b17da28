// Generated text ─► text that may be shown: what could be the beginning of a stop string waits until it is clear.
#pragma once

#include <string>
#include <vector>

namespace headroom {

class StopText {
 public:
  /// Empty strings are ignored.
  explicit StopText(std::vector<std::string> stop_strings);
  /// What can be shown now. Once a stop string is complete, what stood before it, and nothing ever after.
  std::string push(const std::string& piece);
  /// What was held back at the end of the text.
  std::string finish();
  bool stopped() const { return stopped_; }

 private:
  std::vector<std::string> stop_strings_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace headroom
