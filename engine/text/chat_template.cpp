// Messages ─► marked spans of a prompt: sets the variables as transformers does, runs the interpreter, and splits its
// text where the origin changes. See chat_template.h.
#include "engine/text/chat_template.h"

#include <algorithm>
#include <iterator>

#include "engine/base/error.h"
#include "engine/text/jinja/builtins.h"
#include "engine/text/jinja/eval.h"
#include "engine/text/jinja/literals.h"
#include "engine/text/jinja/parser.h"

namespace headroom {

namespace {

using namespace jinja;

constexpr std::string_view known_roles[] = {"system", "user", "assistant", "tool"};

Value make_messages(Runtime& runtime, const std::vector<Message>& messages) {
  Vector<Value> list;
  list.reserve(messages.size());
  const Value role_key = runtime.make_string("role");
  const Value content_key = runtime.make_string("content");
  for (const Message& message : messages) {
    const std::string& role = message.role;
    const bool known = std::find(std::begin(known_roles), std::end(known_roles), role) != std::end(known_roles);
    Dict* dict = runtime.make<Dict>();
    dict->entries.emplace_back(role_key, runtime.make_string(Text(role, !known)));
    dict->entries.emplace_back(content_key, runtime.make_string(Text(message.content, true)));
    list.emplace_back(dict);
  }
  return runtime.make_list(std::move(list));
}

std::vector<TextSpan> cut_spans(Runtime& runtime, const Text& text) {
  // Each range of user text has template text before and after it. The spans and the text exist at the same time until
  // rendering ends, so both count as memory.
  const size_t n_spans = 2 * text.user_ranges().size() + 1;
  runtime.take_memory(n_spans * sizeof(TextSpan) + text.size());
  std::vector<TextSpan> spans;
  spans.reserve(n_spans);
  size_t position = 0;
  const auto add = [&](size_t end, bool from_user) {
    if (end > position)
      spans.push_back({std::string(std::string_view(text.bytes()).substr(position, end - position)), from_user});
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

TemplateLimits limits_for(const TemplateInput& input, TemplateLimits limits) {
  constexpr size_t max_memory_growth = size_t{1} << 30;
  const size_t n = std::min<size_t>(input.messages.size(), 1 << 20);
  size_t n_bytes = 0;
  for (const Message& message : input.messages) n_bytes += message.role.size() + message.content.size();
  n_bytes = std::min(n_bytes, size_t{1} << 32);
  const auto grow = [](size_t& limit, size_t by) { limit = by < SIZE_MAX / 2 - limit ? limit + by : SIZE_MAX / 2; };
  size_t steps = 0;
  grow(steps, 16 * n * n + 1'000 * n + n_bytes);
  limits.max_steps += static_cast<int64_t>(std::min<size_t>(steps, INT64_MAX / 2));
  limits.max_range = std::max(limits.max_range, static_cast<int64_t>(n));
  grow(limits.max_output_bytes, 4 * n_bytes + 1'024 * n);
  grow(limits.max_work, 1'024 * (n * n + n_bytes) + (n << 16));
  grow(limits.max_memory_bytes, std::min(max_memory_growth, 16 * n_bytes + (n << 13)));
  return limits;
}

namespace {

/// Fills `use` with what the rendering used, also if it ends with an exception.
struct Telling {
  const Budget& budget;
  TemplateUse* use;
  ~Telling() {
    if (use != nullptr) *use = budget.use();
  }
};

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

std::vector<TextSpan> ChatTemplate::render(const TemplateInput& input, const StopQuestion& stop,
                                           TemplateUse* use) const {
  Runtime runtime(limits_for(input, impl_->limits), stop);
  const Telling telling{runtime, use};
  Variables variables = make_globals(runtime, input.date);
  variables.emplace_back("messages", make_messages(runtime, input.messages));
  variables.emplace_back("tools", Value::none());
  variables.emplace_back("documents", Value::none());
  variables.emplace_back("add_generation_prompt", Value::of(input.add_generation_prompt));
  variables.emplace_back("bos_token", runtime.make_string(input.bos_token));
  variables.emplace_back("eos_token", runtime.make_string(input.eos_token));
  return cut_spans(runtime, render_template(runtime, impl_->tree, variables));
}

std::vector<std::string> ChatTemplate::literals() const {
  std::vector<std::string> found = find_literals(impl_->tree);
  found.insert(found.end(), std::begin(known_roles), std::end(known_roles));
  return found;
}

}  // namespace headroom
