// Runs the whole program inside the test: arguments and standard input ─► exit code and both outputs. The tests of the
// commands share it, with a small model file.
#pragma once

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "app/app.h"
#include "app/console.h"
#include "tests/support/tiny_model.h"

namespace headroom::test {

struct Outcome {
  int exit_code = -1;
  std::string out;
  std::string err;

  nlohmann::json json() const { return nlohmann::json::parse(out); }
  size_t n_err_lines() const { return static_cast<size_t>(std::count(err.begin(), err.end(), '\n')); }
};

/// Collects output and calls on_write.
class WatchedBuffer : public std::stringbuf {
 public:
  std::function<void()> on_write = [] {};

 protected:
  int sync() override {
    on_write();
    return 0;
  }
};

struct Program {
  Interrupt interrupt;
  bool in_is_terminal = false;
  bool out_is_terminal = false;
  bool use_colour = false;
  WatchedBuffer out_buffer;  // on_write: each time that output is flushed

  Outcome run(const std::vector<std::string>& args, const std::string& input = "") {
    out_buffer.str("");
    std::istringstream in(input);
    std::ostream out(&out_buffer);
    std::ostringstream err;
    Console io{.in = in,
               .out = out,
               .err = err,
               .interrupt = interrupt,
               .in_is_terminal = in_is_terminal,
               .out_is_terminal = out_is_terminal,
               .use_colour = use_colour};
    Outcome outcome;
    outcome.exit_code = run_main(args, io);
    outcome.out = out_buffer.str();
    outcome.err = err.str();
    return outcome;
  }
};

/// Simulates Ctrl+C as soon as the program handles it.
class EarlyInterrupt {
 public:
  explicit EarlyInterrupt(Interrupt& interrupt)
      : thread_([this, &interrupt] {
          while (!interrupt.armed && !ended_) std::this_thread::yield();
          interrupt.requested = true;
        }) {}
  ~EarlyInterrupt() {
    ended_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

inline Outcome run_program(const std::vector<std::string>& args, const std::string& input = "") {
  return Program().run(args, input);
}

/// Path of a tiny llama model with a chat template; written once, removed at the end.
const std::string& tiny_model_path();
/// Path of a tiny llama model without a chat template.
const std::string& tiny_base_model_path();

}  // namespace headroom::test
