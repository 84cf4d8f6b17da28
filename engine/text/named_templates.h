// Chat templates by name, for files that bring none or only its name: the names and texts that llama.cpp has, so that
// `--chat-template chatml` means the same here; llama2 and mistral are as their makers publish them, alpaca as Stanford
// did. Beside chat_template.h; knows vocabularies and no files.
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
  std::string_view source;  // Jinja; no BOS in front where the model's own flag decides about it
  std::string_view mark;    // a token that it writes and that only a vocabulary made for it has; empty: none
};

/// Null for an unknown name. White space around it does not count.
const NamedTemplate* find_named_template(std::string_view name);
std::vector<std::string> template_names();
/// "chatml, llama2, …"
std::string template_name_list();

/// A token that only models trained for a chat have.
struct Scaffold {
  std::string token;
  std::string template_name;  // of what writes it; empty: none of the named ones
};
/// The first that the vocabulary has.
std::optional<Scaffold> find_scaffold(const Vocab& vocab);

/// The named template that gives the same text, but for a BOS in front, for a short conversation; empty: none does.
std::string name_of_equal_template(const ChatTemplate& chat_template);

}  // namespace headroom
