// model.gguf ─► everything about a model that needs no device: numbers, weights as views, tokenizer, chat template.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "engine/model/model_file.h"
#include "engine/text/chat_template.h"
#include "engine/text/tokenizer.h"

namespace headroom {

/// Immutable; must outlive the sessions that use it.
class Model {
 public:
  /// Throws Error: found, expected, where.
  explicit Model(const std::string& path);
  explicit Model(ModelFile file);

  const std::string& path() const { return file_.file.path(); }
  const ModelConfig& config() const { return file_.config; }
  const ModelTensors& tensors() const { return file_.tensors; }
  const GgufFile& file() const { return file_.file; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  /// Null for a base model, or where the template cannot be used; then template_note says why, for the user.
  const ChatTemplate* chat_template() const { return template_ ? &*template_ : nullptr; }
  const std::string& template_note() const { return template_note_; }

 private:
  void take_template();

  ModelFile file_;
  std::optional<Tokenizer> tokenizer_;  // after the template, whose scaffold it closes
  std::optional<ChatTemplate> template_;
  std::string template_note_;
};

}  // namespace headroom
