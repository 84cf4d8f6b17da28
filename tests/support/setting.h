// Sets an environment variable for a test and restores the old value when the test ends, however it ends.
#pragma once

#include <cstdlib>
#include <optional>
#include <string>

namespace headroom::test {

class Setting {
 public:
  Setting(const char* name, const char* value) : name_(name) {
    if (const char* old = getenv(name)) old_ = old;
    if (value != nullptr) {
      setenv(name, value, 1);
    } else {
      unsetenv(name);
    }
  }
  ~Setting() {
    if (old_) {
      setenv(name_, old_->c_str(), 1);
    } else {
      unsetenv(name_);
    }
  }
  Setting(const Setting&) = delete;

 private:
  const char* name_;
  std::optional<std::string> old_;
};

}  // namespace headroom::test
