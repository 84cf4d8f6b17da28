// Chat templates by name, for files that have no template or only its name. Names and texts are those of llama.cpp, so
// that `--chat-template chatml` means the same here. llama2 and mistral are as their makers publish them, alpaca as
// Stanford published it. Knows vocabularies and no files.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/vocab.h"
#include "engine/text/chat_template.h"

namespace headroom {

struct NamedTemplate {
  std::string_view name;
  std::string_view source;  // Jinja; without a leading BOS if the model's own flag decides about it
  std::string_view mark;    // a token in its text that only vocabularies made for this template have; empty: none
};

/// Null for an unknown name. White space around the name is ignored.
const NamedTemplate* find_named_template(std::string_view name);
std::vector<std::string> template_names();
/// "chatml, llama2, …"
std::string template_name_list();

/// A token that only models trained for chat have.
struct Scaffold {
  std::string token;
  std::string template_name;  // the template that writes the token; empty: none of the named ones
};
/// The most specific scaffold token of the vocabulary; nothing if it has none.
std::optional<Scaffold> find_scaffold(const Vocab& vocab);

/// The name of the template that renders a short conversation to the same text, apart from a leading BOS. Empty if
/// there is none.
std::string name_of_equal_template(const ChatTemplate& chat_template);

}  // namespace headroom
