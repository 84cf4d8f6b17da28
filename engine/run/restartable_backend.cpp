// See restartable_backend.h.
#include "engine/run/restartable_backend.h"

namespace headroom {

std::string RestartableBackend::recover(Session& session, const Error& failure) {
  std::string reason = failure.what();
  while (true) {
    const std::string failed = backend_->info().name;
    choice_.name = failed;
    if (was_restarted_) {
      give_up_backend(failed, reason);
      choice_.name = next_backend(failed);
    }
    was_restarted_ = choice_.name == failed;
    try {
      prepare_backend(choice_);
      std::unique_ptr<Backend> fresh = make_backend(choice_);
      session.change_backend(*fresh);
      backend_ = std::move(fresh);
      return reason + "; it goes on with " + backend_->info().name + " (" + backend_->info().device + ")";
    } catch (const Error& error) {
      if (choice_.name == "cpu") throw;
      reason = error.what();
    }
  }
}

}  // namespace headroom
