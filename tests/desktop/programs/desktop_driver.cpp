// A seed ─► a window without drawing that types, sends, streams, stops, renames and deletes until it is killed.
// Everything that the Controller reports as saved goes to standard output, one line each:
//   engine PID                             a new engine process
//   said CHAT TEXT                         send() has returned
//   grown CHAT MESSAGE TIME_MS BYTES       an answer as far as it was received
//   finished CHAT MESSAGE BYTES            an answer that has ended
//   replacing CHAT MESSAGE                 the answer is about to be generated again
//   deleting|deleted|restoring|restored CHAT
// Usage: desktop_driver FOLDER MODEL ENGINE_COMMAND SEED
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <random>
#include <sstream>
#include <thread>

#include "app/desktop/controller.h"

using namespace headroom;

namespace {

template <typename... Words>
void report(const Words&... words) {
  std::ostringstream line;
  ((line << words << ' '), ...);
  std::string text = line.str();
  text.back() = '\n';
  if (write(STDOUT_FILENO, text.data(), text.size()) != static_cast<ssize_t>(text.size())) _exit(3);
}

int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

class Driver {
 public:
  Driver(ControllerOptions options, unsigned seed) : seed_(seed), random_(seed), controller_(std::move(options)) {
    if (view().is_read_only) _exit(4);
  }

  [[noreturn]] void drive() {
    while (true) {
      controller_.poll();
      watch();
      if (one_in(4)) act();
      std::this_thread::sleep_for(std::chrono::milliseconds(random_() % 4));
    }
  }

 private:
  const ChatView& view() const { return controller_.view(); }
  bool one_in(unsigned n) { return random_() % n == 0; }
  int64_t any_chat() { return view().chats.empty() ? 0 : view().chats[random_() % view().chats.size()].id; }

  void watch() {
    if (controller_.engine_process_id() != engine_) {
      engine_ = controller_.engine_process_id();
      report("engine", engine_);
    }
    if (view().messages.empty()) return;
    const TranscriptMessage& last = view().messages.back();
    if (last.role != "assistant" || last.id <= 0) return;
    if (last.is_streaming && (last.id != growing_ || last.content.size() != n_bytes_))
      report("grown", view().open_chat, last.id, now_ms(), last.content.size());
    if (!last.is_streaming && last.id == growing_) report("finished", view().open_chat, last.id, last.content.size());
    growing_ = last.is_streaming ? last.id : 0;
    n_bytes_ = last.content.size();
  }

  void act() {
    if (view().can_send && one_in(2)) return say();
    if (view().is_busy && one_in(300)) return controller_.stop();
    if (!one_in(view().is_busy ? 200 : 6)) return;
    switch (random_() % 6) {
      case 0:
        return controller_.new_chat();
      case 1:
        return controller_.open_chat(any_chat());
      case 2:
        return controller_.rename_chat(any_chat(), "renamed " + std::to_string(random_()));
      case 3:
        return regenerate();
      case 4:
        deleted_ = any_chat();
        if (deleted_ == 0) return;
        report("deleting", deleted_);
        controller_.delete_chat(deleted_);
        return report("deleted", deleted_);
      default:
        if (deleted_ == 0) return;
        report("restoring", deleted_);
        controller_.undo_delete();
        report("restored", deleted_);
        deleted_ = 0;
    }
  }

  void say() {
    const std::string text = "message-" + std::to_string(seed_) + "-" + std::to_string(n_said_++) +
                             std::string(one_in(8) ? random_() % 2000 : random_() % 20, 'x');
    controller_.send(text);
    report("said", view().open_chat, text);
  }

  void regenerate() {
    if (!view().can_send || view().messages.empty() || view().messages.back().role != "assistant") return;
    report("replacing", view().open_chat, view().messages.back().id);
    controller_.regenerate();
  }

  unsigned seed_;
  std::mt19937 random_;
  Controller controller_;
  int engine_ = 0, n_said_ = 0;
  int64_t growing_ = 0, deleted_ = 0;
  size_t n_bytes_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  ControllerOptions options;
  options.chats_path = std::string(argv[1]) + "/chats.sqlite";
  options.recordings_folder = std::string(argv[1]) + "/recordings";
  options.model_path = argv[2];
  options.engine_command = argv[3];
  options.config = *find_cache_config("paper");
  Driver(std::move(options), static_cast<unsigned>(std::atoi(argv[4]))).drive();
}
