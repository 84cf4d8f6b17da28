// Messages ─► the text of a prompt, by the Jinja template that a model file carries. A template is a program from a
// stranger, so it runs in a small interpreter with limits; what users wrote stays marked as theirs character by
// character, so that it can never become a control token.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/cancelled.h"
#include "engine/text/jinja/limits.h"

namespace headroom {

struct Message {
  std::string role;  // "system", "user", "assistant"
  std::string content;
};

/// A stretch of rendered text with one origin.
struct TextSpan {
  std::string text;
  bool from_user = false;  // content of a message: no control tokens in it
};

struct TemplateInput {
  std::vector<Message> messages;
  std::string bos_token;
  std::string eos_token;
  bool add_generation_prompt = true;
  std::string date;  // "26 Jul 2024", for strftime_now; empty: today
};

/// Templates look at every message for every other one, and some look through each content many times.
TemplateLimits limits_for(const TemplateInput& input, TemplateLimits limits);

class ChatTemplate {
 public:
  /// Parses. Throws Error(bad_input) with line and what was expected, Error(unsupported) for a statement of Jinja that
  /// is not offered. Filters, tests and methods are looked up when render() reaches them, as Jinja does in a branch.
  explicit ChatTemplate(std::string_view source, TemplateLimits limits = {});
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

  /// The text that transformers' apply_chat_template gives (tools and documents are None), in stretches; neighbouring
  /// ones of the same origin are joined. Marked as the user's are the characters of every message's content, of a role
  /// other than system, user, assistant and tool, and of numbers read from them; what a template derives from them
  /// otherwise (a length, a comparison) is its own. Throws Error where a limit is reached, the template itself raises
  /// an exception, or something is not offered; Cancelled soon after `stop` says yes. `use` is told in every case.
  std::vector<TextSpan> render(const TemplateInput& input, const StopQuestion& stop = {},
                               TemplateUse* use = nullptr) const;

  /// What it can write by itself: the texts that stand in it, and the names of the roles that it knows.
  std::vector<std::string> literals() const;

 private:
  struct Impl;
  std::unique_ptr<const Impl> impl_;
};

}  // namespace headroom
