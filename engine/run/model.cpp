// Opens a model file and judges what its text side needs: tokenizer and chat template.
#include "engine/run/model.h"

#include <algorithm>

#include "engine/base/error.h"
#include "engine/text/named_templates.h"

namespace headroom {
namespace {

std::string no_template_note(const Vocab& vocab) {
  const std::optional<Scaffold> scaffold = find_scaffold(vocab);
  if (!scaffold)
    return "this model has no chat template (a base model): it continues the text as plain completion; "
           "--chat-template NAME gives it one";
  return "this file has no chat template, although its vocabulary has " + scaffold->token +
         ", as chat models have: it continues the text as plain completion; --chat-template " +
         (scaffold->template_name.empty() ? "FILE gives it one" : scaffold->template_name + " makes it a chat");
}

/// A template whose scaffold the model never saw is taken, but its user should know.
std::string foreign_template_note(const NamedTemplate& named, const Vocab& vocab) {
  if (named.mark.empty() || std::find(vocab.tokens.begin(), vocab.tokens.end(), named.mark) != vocab.tokens.end())
    return "";
  return "the chat template " + std::string(named.name) + " writes " + std::string(named.mark) +
         ", which this vocabulary has no token for: the model reads it as plain text";
}

}  // namespace

Model::Model(const std::string& path, const TemplateChoice& choice) : Model(load_model_file(path), choice) {}

Model::Model(ModelFile file, const TemplateChoice& choice) : file_(std::move(file)) {
  take_template(choice);
  tokenizer_.emplace(file_.vocab, template_ ? template_->literals() : std::vector<std::string>());
}

void Model::take_template(const TemplateChoice& choice) {
  if (choice.is_given()) {
    template_name_ = choice.name;
    try {
      template_.emplace(choice.source);
    } catch (const Error& error) {
      throw Error(error.kind(), "the chat template " + choice.name + " cannot be used: " + error.what());
    }
    if (const NamedTemplate* named = find_named_template(choice.name); named && named->source == choice.source)
      template_note_ = foreign_template_note(*named, file_.vocab);
    return;
  }
  const std::string& source = file_.vocab.chat_template;
  if (source.find_first_not_of(" \t\r\n") == std::string::npos) {
    template_note_ = no_template_note(file_.vocab);
    return;
  }
  // Some files hold a template's name where its text should be.
  if (const NamedTemplate* named = find_named_template(source)) {
    template_name_ = named->name;
    template_.emplace(named->source);
    template_note_ = foreign_template_note(*named, file_.vocab);
    return;
  }
  try {
    template_.emplace(source);
  } catch (const Error& error) {
    template_problem_ = std::string("the model's chat template cannot be used: ") + error.what() +
                        "; --chat-template NAME or FILE takes another in its place";
    template_note_ = template_problem_;
  }
}

}  // namespace headroom
