// A thread that reads signals from a descriptor. See end_signals.h.
#include "app/end_signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <utility>

namespace headroom {

EndSignals::EndSignals(std::function<void()> wake) : wake_(std::move(wake)) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal_number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction action {};
    sigaction(signal_number, nullptr, &action);
    if (action.sa_handler != SIG_IGN) sigaddset(&set, signal_number);
  }
  signals_ = Descriptor(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  pthread_sigmask(SIG_BLOCK, &set, &before_);
  thread_ = std::thread([this] { listen(); });
}

EndSignals::~EndSignals() {
  closing_.wake();
  thread_.join();
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

void EndSignals::listen() {
  while (wait_readable(signals_.get(), no_timeout, &closing_)) {
    signalfd_siginfo info{};
    if (read(signals_.get(), &info, sizeof info) != sizeof info) continue;
    const int signal_number = static_cast<int>(info.ssi_signo);
    if (received_ != 0) {
      signal(signal_number, SIG_DFL);
      sigset_t only;
      sigemptyset(&only);
      sigaddset(&only, signal_number);
      pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
      raise(signal_number);
    }
    received_ = signal_number;
    wake_();
  }
}

}  // namespace headroom
