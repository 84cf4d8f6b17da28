// Messages ─► marked spans of a prompt: sets up the variables as transformers does, runs the interpreter, and cuts its
// text where the origin changes. See chat_template.h.
#include "engine/text/chat_template.h"

#include "engine/base/error.h"
#include "engine/text/template_builtins.h"
#include "engine/text/template_eval.h"
#include "engine/text/template_parser.h"

namespace headroom {

namespace {

using namespace jinja;

Value make_messages(Runtime& runtime, const std::vector<Message>& messages) {
  std::vector<Value> list;
  list.reserve(messages.size());
  const Value role_key = runtime.make_string("role");
  const Value content_key = runtime.make_string("content");
  for (const Message& message : messages) {
    const std::string& role = message.role;
    const bool known = role == "system" || role == "user" || role == "assistant" || role == "tool";
    runtime.check_memory(message.content.size());
    Dict* dict = runtime.make<Dict>();
    dict->entries.emplace_back(role_key, runtime.make_string(Text(role, !known)));
    dict->entries.emplace_back(content_key, runtime.make_string(Text(message.content, true)));
    list.emplace_back(dict);
  }
  return runtime.make_list(std::move(list));
}

std::vector<TextSpan> cut_spans(Runtime& runtime, const Text& text) {
  // Each range of a user's text has the template's text before and behind it.
  runtime.charge_memory(2 * text.user_ranges().size() * sizeof(TextSpan));
  std::vector<TextSpan> spans;
  size_t position = 0;
  const auto add = [&](size_t end, bool from_user) {
    if (end > position) spans.push_back({text.bytes().substr(position, end - position), from_user});
    position = end;
  };
  for (const ByteRange& range : text.user_ranges()) {
    add(range.begin, false);
    add(range.end, true);
  }
  add(text.size(), false);
  return spans;
}

std::string_view check_size(std::string_view source, size_t max_source_bytes) {
  if (source.size() > max_source_bytes) {
    throw Error(ErrorKind::bad_input, "chat template: it has " + std::to_string(source.size()) +
                                          " bytes, expected at most " + std::to_string(max_source_bytes));
  }
  return source;
}

}  // namespace

struct ChatTemplate::Impl {
  Impl(std::string_view source, const TemplateLimits& l)
      : limits(l), tree(parse_template(check_size(source, l.max_source_bytes), l.max_depth)) {}
  TemplateLimits limits;
  Template tree;
};

ChatTemplate::ChatTemplate(std::string_view source, TemplateLimits limits)
    : impl_(std::make_unique<const Impl>(source, limits)) {}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

std::vector<TextSpan> ChatTemplate::render(const TemplateInput& input, const StopQuestion& stop) const {
  Runtime runtime(impl_->limits, stop);
  Variables variables = make_globals(runtime, input.date);
  variables.emplace_back("messages", make_messages(runtime, input.messages));
  variables.emplace_back("tools", Value::none());
  variables.emplace_back("documents", Value::none());
  variables.emplace_back("add_generation_prompt", Value::of(input.add_generation_prompt));
  variables.emplace_back("bos_token", runtime.make_string(input.bos_token));
  variables.emplace_back("eos_token", runtime.make_string(input.eos_token));
  return cut_spans(runtime, render_template(runtime, impl_->tree, variables));
}

}  // namespace headroom
