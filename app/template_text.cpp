// Checks and describes a file's chat template. See template_text.h.
#include "app/template_text.h"

#include "app/format.h"
#include "engine/base/error.h"
#include "engine/text/named_templates.h"

namespace headroom {
namespace {

std::string first_line_of(const std::string& text) {
  constexpr const char* blanks = " \t\r\n";
  const size_t begin = text.find_first_not_of(blanks);
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find('\n', begin) - begin);
}

const char* state_name(TemplateReport::State state) {
  switch (state) {
    case TemplateReport::State::missing:
      return "missing";
    case TemplateReport::State::named:
      return "named";
    case TemplateReport::State::usable:
      return "usable";
    case TemplateReport::State::refused:
      return "refused";
  }
  return "";
}

}  // namespace

TemplateReport judge_template(const GgufFile& file) {
  const Vocab vocab = read_vocab(file);
  TemplateReport report;
  report.first_line = first_line_of(vocab.chat_template);
  report.n_bytes = vocab.chat_template.size();
  if (report.first_line.empty()) {
    if (const std::optional<Scaffold> scaffold = find_scaffold(vocab)) {
      report.scaffold = scaffold->token;
      report.suggested = scaffold->template_name;
    }
    return report;
  }
  if (const NamedTemplate* named = find_named_template(vocab.chat_template)) {
    report.state = TemplateReport::State::named;
    report.name = named->name;
    return report;
  }
  try {
    const ChatTemplate chat_template(vocab.chat_template);
    report.state = TemplateReport::State::usable;
    report.name = name_of_equal_template(chat_template);
  } catch (const Error& error) {
    report.state = TemplateReport::State::refused;
    report.reason = error.what();
  }
  return report;
}

std::string template_text(const TemplateReport& report) {
  std::string text = "chat template: ";
  switch (report.state) {
    case TemplateReport::State::missing:
      if (report.scaffold.empty()) return text + "none (a base model); texts are continued as plain completion\n";
      return text + "missing, although the vocabulary has " + printable(report.scaffold) +
             "; texts are continued as plain completion; --chat-template " +
             (report.suggested.empty() ? "FILE gives it one" : report.suggested + " makes it a chat") + "\n";
    case TemplateReport::State::named:
      return text + "the name " + report.name + " alone; the template of this name is taken\n";
    case TemplateReport::State::usable:
      text += format("%zu bytes%s\n", report.n_bytes,
                     report.name.empty() ? "" : (", writes what " + report.name + " writes").c_str());
      break;
    case TemplateReport::State::refused:
      text += "cannot be used, so messages are refused: " + printable(report.reason) +
              "; --chat-template NAME or FILE takes another in its place\n";
      break;
  }
  return text + "  begins with \"" + printable(shortened(report.first_line, 100)) + "\"\n";
}

nlohmann::ordered_json template_json(const TemplateReport& report) {
  const auto text_or_null = [](const std::string& text) {
    return text.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(text);
  };
  return {{"state", state_name(report.state)},
          {"name", text_or_null(report.name)},
          {"reason", text_or_null(report.reason)},
          {"first_line", text_or_null(shortened(report.first_line, 200))},
          {"bytes", report.n_bytes},
          {"scaffold", text_or_null(report.scaffold)},
          {"suggested", text_or_null(report.suggested)}};
}

}  // namespace headroom
