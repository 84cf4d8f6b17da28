// The chat template of a GGUF file ─► what `inspect` says about it: whether there is one, what it writes, and whether
// it can be used. Needs only the vocabulary, so it also works for a file that the engine cannot run.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "engine/model/model_file.h"

namespace headroom {

struct TemplateReport {
  enum class State { missing, named, usable, refused };
  State state = State::missing;
  std::string name;        // of the named template that equals it or gives the same text; may be empty
  std::string reason;      // refused: why
  std::string first_line;  // of its text
  size_t n_bytes = 0;
  std::string scaffold;   // missing: a token of the vocabulary that only chat models have; may be empty
  std::string suggested;  // missing: the named template that writes this token; may be empty
};

/// Throws Error if the file has no readable vocabulary.
TemplateReport judge_template(const GgufFile& file);

/// Lines that end in line feeds.
std::string template_text(const TemplateReport& report);
nlohmann::ordered_json template_json(const TemplateReport& report);

}  // namespace headroom
