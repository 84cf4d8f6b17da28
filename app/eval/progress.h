// Progress of an evaluation ─► a bar with the remaining time on a terminal, or a plain line every 30 s.
#pragma once

#include <chrono>
#include <string>

#include "app/console.h"

namespace headroom::eval {

class Progress {
 public:
  /// n_jobs: the number of jobs still to do.
  Progress(Console& io, size_t n_jobs);
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// n: number of jobs that run together.
  void begin_jobs(size_t n, const std::string& what);
  /// part: the finished share of these jobs, 0 to 1.
  void update(double part);
  void end_jobs();
  /// Erases the bar, so that something else can be printed.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;

  std::string line(double part) const;

  Console& io_;
  size_t n_jobs_;
  size_t n_done_ = 0;
  size_t n_begun_ = 0;
  std::string what_;
  bool shown_ = false;
  Clock::time_point begin_ = Clock::now();
  Clock::time_point next_;
};

/// "2 h 05 min", "3 min 20 s", "12 s"
std::string duration_text(double seconds);

}  // namespace headroom::eval
