// The model files that the tests of the commands run on.
#include "tests/app/program.h"

#include <cstdio>

namespace headroom::test {
namespace {

struct TemporaryModel {
  std::string path;

  explicit TemporaryModel(const TinyModelOptions& options) : path(temporary_path("tiny.gguf")) {
    make_tiny_model(options).write(path);
  }
  ~TemporaryModel() { std::remove(path.c_str()); }
  TemporaryModel(const TemporaryModel&) = delete;
  TemporaryModel& operator=(const TemporaryModel&) = delete;
};

}  // namespace

const std::string& tiny_model_path() {
  static const TemporaryModel model(tiny_model_options(Architecture::llama));
  return model.path;
}

const std::string& tiny_base_model_path() {
  static const TemporaryModel model([] {
    TinyModelOptions options = tiny_model_options(Architecture::llama);
    options.chat_template = false;
    return options;
  }());
  return model.path;
}

}  // namespace headroom::test
