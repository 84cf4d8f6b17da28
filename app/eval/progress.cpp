// Draws at most ten times per second on a terminal; elsewhere it prints a line every 30 s.
#include "app/eval/progress.h"

#include <ostream>
#include <utility>

#include "app/format.h"

namespace headroom::eval {
namespace {

constexpr auto draw_interval = std::chrono::milliseconds(100);
constexpr auto line_interval = std::chrono::seconds(30);
constexpr int bar_width = 24;

}  // namespace

Progress::Progress(Console& io, size_t n_jobs)
    : io_(io), n_jobs_(n_jobs), next_(begin_ + (io.err_is_terminal ? Clock::duration(draw_interval) : line_interval)) {}

void Progress::begin_jobs(size_t n, const std::string& what) {
  n_begun_ = n;
  what_ = what;
  update(0);
}

void Progress::update(double part) {
  const Clock::time_point now = Clock::now();
  if (now < next_) return;
  next_ = now + (io_.err_is_terminal ? Clock::duration(draw_interval) : line_interval);
  if (io_.err_is_terminal) {
    io_.err << "\r\x1b[K" << line(part) << std::flush;
    shown_ = true;
  } else {
    io_.err << line(part) << std::endl;
  }
}

void Progress::end_jobs() {
  n_done_ += std::exchange(n_begun_, 0);
  update(0);
}

void Progress::clear() {
  if (shown_) io_.err << "\r\x1b[K" << std::flush;
  shown_ = false;
}

std::string Progress::line(double part) const {
  const double done = static_cast<double>(n_done_) + part * static_cast<double>(n_begun_);
  const double share = n_jobs_ == 0 ? 1 : done / static_cast<double>(n_jobs_);
  std::string text;
  if (io_.err_is_terminal) {
    const int filled = static_cast<int>(share * bar_width);
    text = "[" + std::string(static_cast<size_t>(filled), '#') +
           std::string(static_cast<size_t>(bar_width - filled), ' ') + "] ";
  }
  text += format("%zu of %zu", n_done_, n_jobs_);
  const double seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
  if (share > 0.01) text += ", " + duration_text(seconds / share * (1 - share)) + " left";
  return text + ", " + shortened(printable(what_), 60);
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<long long>(seconds + 0.5);
  if (whole >= 3600) return format("%lld h %02lld min", whole / 3600, whole / 60 % 60);
  if (whole >= 60) return format("%lld min %02lld s", whole / 60, whole % 60);
  return format("%lld s", whole);
}

}  // namespace headroom::eval
