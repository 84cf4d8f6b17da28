// A backend that may fail under a session: started once more, then replaced by the one behind it in the list. Whoever
// holds a conversation reads it again on the new one; nothing but the cache is lost.
#pragma once

#include <memory>
#include <string>

#include "engine/backend/registry.h"
#include "engine/base/error.h"
#include "engine/run/session.h"

namespace headroom {

class RestartableBackend {
 public:
  /// Throws as make_backend.
  explicit RestartableBackend(BackendChoice choice) : choice_(std::move(choice)), backend_(make_backend(choice_)) {}

  Backend& get() const { return *backend_; }

  /// Moves a session of this backend to a fresh one, with its cache empty, after the device failed: the same backend
  /// the first time, else the next. Gives the sentence that a user should read. Throws Error where no backend is left.
  std::string recover(Session& session, const Error& failure);

 private:
  BackendChoice choice_;
  std::unique_ptr<Backend> backend_;
  bool was_restarted_ = false;
};

}  // namespace headroom
