// model.gguf ─► everything about a model that needs no device: numbers, weights as views, tokenizer, chat template.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "engine/model/model_file.h"
#include "engine/text/chat_template.h"
#include "engine/text/tokenizer.h"

namespace headroom {

/// A chat template that somebody brought along; it takes the place of the file's own.
struct TemplateChoice {
  std::string name;    // for people: "chatml", or the path of a file
  std::string source;  // Jinja

  bool is_given() const { return !name.empty(); }
};

/// Immutable; must outlive the sessions that use it.
class Model {
 public:
  /// Throws Error: found, expected, where; also for a template that was brought along and cannot be used.
  explicit Model(const std::string& path, const TemplateChoice& choice = {});
  explicit Model(ModelFile file, const TemplateChoice& choice = {});

  const std::string& path() const { return file_.file.path(); }
  const ModelConfig& config() const { return file_.config; }
  const ModelTensors& tensors() const { return file_.tensors; }
  const GgufFile& file() const { return file_.file; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  /// Null where there is none, or where the file's own cannot be used.
  const ChatTemplate* chat_template() const { return template_ ? &*template_ : nullptr; }
  /// Of one that was brought along or that the file names; empty for one that the file holds.
  const std::string& template_name() const { return template_name_; }
  /// What the user should know of it: that there is none, that it writes what the vocabulary lacks, or
  /// template_problem.
  const std::string& template_note() const { return template_note_; }
  /// Why the file's own template cannot be used. Then messages are refused with this sentence, since texts that are
  /// glued together without roles would be answered as if nothing were wrong. Empty: it can, or there is none.
  const std::string& template_problem() const { return template_problem_; }

 private:
  void take_template(const TemplateChoice& choice);

  ModelFile file_;
  std::optional<Tokenizer> tokenizer_;  // after the template, whose scaffold it closes
  std::optional<ChatTemplate> template_;
  std::string template_name_, template_note_, template_problem_;
};

}  // namespace headroom
