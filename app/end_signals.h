// SIGINT, SIGTERM and SIGHUP as a wish instead of an end, for a window that has something to put away. Beside the
// window's loop, which asks whether there was one; whoever made this ends the process by the signal afterwards.
#pragma once

#include <signal.h>

#include <atomic>
#include <functional>
#include <thread>

#include "engine/base/platform/fd_io.h"

namespace headroom {

class EndSignals {
 public:
  /// To be made before any other thread, since threads inherit that the signals wait here. wake: called from another
  /// thread when one came. One that this process was started to ignore, as by nohup, stays ignored.
  explicit EndSignals(std::function<void()> wake);
  ~EndSignals();
  EndSignals(const EndSignals&) = delete;
  EndSignals& operator=(const EndSignals&) = delete;

  /// The first one that came; 0: none yet. A second one ends the process at once.
  int received() const { return received_; }

 private:
  void listen();

  std::function<void()> wake_;
  sigset_t before_{};
  Descriptor signals_;
  Wakeup closing_;
  std::atomic<int> received_{0};
  std::thread thread_;
};

}  // namespace headroom
