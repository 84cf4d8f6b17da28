// Opens a model file and judges what its text side needs: tokenizer and chat template.
#include "engine/run/model.h"

#include "engine/base/error.h"

namespace headroom {

Model::Model(const std::string& path) : Model(load_model_file(path)) {}

Model::Model(ModelFile file) : file_(std::move(file)) {
  take_template();
  tokenizer_.emplace(file_.vocab, template_ ? template_->literals() : std::vector<std::string>());
}

void Model::take_template() {
  const std::string& source = file_.vocab.chat_template;
  if (source.empty()) {
    template_note_ = "this model has no chat template (a base model): it continues the text as plain completion";
    return;
  }
  try {
    template_.emplace(source);
  } catch (const Error& error) {
    template_note_ =
        std::string("the model's chat template cannot be used, so texts are continued as they are: ") + error.what();
  }
}

}  // namespace headroom
