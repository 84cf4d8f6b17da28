// Messages ─► the text of a prompt, by the Jinja template in a model file. A template is an untrusted program, so it
// runs in a small interpreter with limits. Every character that users wrote stays marked as theirs, so that it can
// never become part of a control token.
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

/// A part of the rendered text with one origin.
struct TextSpan {
  std::string text;
  bool from_user = false;  // content of a message: no control tokens are matched in it
};

struct TemplateInput {
  std::vector<Message> messages;
  std::string bos_token;
  std::string eos_token;
  bool add_generation_prompt = true;
  std::string date;  // "26 Jul 2024", for strftime_now; empty: today
};

/// The limits for a conversation of this size. They grow with the square of the number of messages, since templates may
/// compare every message with every other one. They also grow with the bytes, since some search each content many
/// times.
TemplateLimits limits_for(const TemplateInput& input, TemplateLimits limits);

class ChatTemplate {
 public:
  /// Parses the template. Throws Error(bad_input) with the line and what was expected, Error(unsupported) for a Jinja
  /// statement that is not supported. Filters, tests and methods are looked up only when render() reaches them.
  explicit ChatTemplate(std::string_view source, TemplateLimits limits = {});
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

  /// The text that transformers' apply_chat_template returns (with tools and documents None), in spans. Neighbouring
  /// spans have different origins. The user's are the characters of every message's content, of a role other than
  /// system, user, assistant and tool, and of numbers parsed from them. Other derived values (a length, a comparison)
  /// are the template's. Throws Error if a limit is reached, if the template raises an exception, or if it needs
  /// something unsupported. Throws Cancelled soon after `stop` returns true. `use` is always filled.
  std::vector<TextSpan> render(const TemplateInput& input, const StopQuestion& stop = {},
                               TemplateUse* use = nullptr) const;

  /// All texts that the template itself can write: its string literals and literal text, and the known role names.
  std::vector<std::string> literals() const;

 private:
  struct Impl;
  std::unique_ptr<const Impl> impl_;
};

}  // namespace headroom
