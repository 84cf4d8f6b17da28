// Turns SIGINT, SIGTERM and SIGHUP into a request, so that a window can save its state before the process ends. The
// window's loop asks received(). The owner of this object ends the process by the signal afterwards.
#pragma once

#include <signal.h>

#include <atomic>
#include <functional>
#include <thread>

#include "engine/base/platform/fd_io.h"

namespace headroom {

class EndSignals {
 public:
  /// Construct it before any other thread starts: threads inherit the mask that keeps the signals for this object.
  /// wake: called from another thread when a signal arrives. A signal that the process was started to ignore (nohup)
  /// stays ignored.
  explicit EndSignals(std::function<void()> wake);
  ~EndSignals();
  EndSignals(const EndSignals&) = delete;
  EndSignals& operator=(const EndSignals&) = delete;

  /// The first signal that arrived; 0: none yet. A second one ends the process at once.
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
