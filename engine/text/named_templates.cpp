// The table of named templates and scaffold tokens, and searches in it. See named_templates.h.
#include "engine/text/named_templates.h"

#include <unordered_set>

#include "engine/base/error.h"

namespace headroom {
namespace {

// Each source is one line, because Jinja's settings decide whether a line feed after a tag is kept.
constexpr NamedTemplate named_templates[] = {
    {"chatml",
     R"({% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %})"
     R"({% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %})",
     "<|im_start|>"},
    {"llama2",
     R"({% set ns = namespace(system='') %}{% for m in messages %}{% if m.role == 'system' %})"
     R"({% set ns.system = '<<SYS>>\n' + m.content + '\n<</SYS>>\n\n' %}{% elif m.role == 'user' %})"
     R"({{ bos_token + '[INST] ' + (ns.system + m.content).strip() + ' [/INST]' }}{% set ns.system = '' %})"
     R"({% else %}{{ ' ' + m.content.strip() + ' ' + eos_token }}{% endif %}{% endfor %})",
     ""},
    {"llama2-sys",
     R"({% set ns = namespace(open=true) %}{{ '[INST] ' }}{% for m in messages %}{% if not ns.open %})"
     R"({{ '[INST] ' }}{% set ns.open = true %}{% endif %}{% if m.role == 'system' %})"
     R"({{ '<<SYS>>\n' + m.content + '\n<</SYS>>\n\n' }}{% elif m.role == 'user' %}{{ m.content + ' [/INST]' }})"
     R"({% else %}{{ m.content + eos_token }}{% set ns.open = false %}{% endif %}{% endfor %})",
     ""},
    {"llama2-sys-bos",
     R"({% set ns = namespace(open=true) %}{{ '[INST] ' }}{% for m in messages %}{% if not ns.open %})"
     R"({{ bos_token + '[INST] ' }}{% set ns.open = true %}{% endif %}{% if m.role == 'system' %})"
     R"({{ '<<SYS>>\n' + m.content + '\n<</SYS>>\n\n' }}{% elif m.role == 'user' %}{{ m.content + ' [/INST]' }})"
     R"({% else %}{{ m.content + eos_token }}{% set ns.open = false %}{% endif %}{% endfor %})",
     ""},
    {"llama2-sys-strip",
     R"({% set ns = namespace(open=true) %}{{ '[INST] ' }}{% for m in messages %}{% if not ns.open %})"
     R"({{ '[INST] ' }}{% set ns.open = true %}{% endif %}{% if m.role == 'system' %})"
     R"({{ '<<SYS>>\n' + m.content.strip() + '\n<</SYS>>\n\n' }}{% elif m.role == 'user' %})"
     R"({{ m.content.strip() + ' [/INST]' }}{% else %}{{ m.content.strip() + eos_token }})"
     R"({% set ns.open = false %}{% endif %}{% endfor %})",
     ""},
    {"llama3",
     R"({% for m in messages %}{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' + m.content.strip() )"
     R"(+ '<|eot_id|>' }}{% endfor %})"
     R"({% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %})",
     "<|start_header_id|>"},
    {"llama4",
     R"({% for m in messages %}{{ '<|header_start|>' + m.role + '<|header_end|>\n\n' + m.content.strip() )"
     R"(+ '<|eot|>' }}{% endfor %})"
     R"({% if add_generation_prompt %}{{ '<|header_start|>assistant<|header_end|>\n\n' }}{% endif %})",
     "<|header_start|>"},
    {"mistral",
     R"({% set ns = namespace(system='') %}{% for m in messages %}{% if m.role == 'system' %})"
     R"({% set ns.system = m.content + '\n\n' %}{% elif m.role == 'user' %})"
     R"({{ '[INST] ' + ns.system + m.content + ' [/INST]' }}{% set ns.system = '' %})"
     R"({% else %}{{ m.content + eos_token }}{% endif %}{% endfor %})",
     ""},
    {"mistral-v1",
     R"({% set ns = namespace(open=false) %}{% for m in messages %}{% if not ns.open %}{{ ' [INST] ' }})"
     R"({% set ns.open = true %}{% endif %}{% if m.role == 'system' %}{{ m.content + '\n\n' }})"
     R"({% elif m.role == 'user' %}{{ m.content + ' [/INST]' }})"
     R"({% else %}{{ ' ' + m.content + eos_token }}{% set ns.open = false %}{% endif %}{% endfor %})",
     ""},
    {"mistral-v3",
     R"({% set ns = namespace(open=false) %}{% for m in messages %}{% if not ns.open %}{{ '[INST] ' }})"
     R"({% set ns.open = true %}{% endif %}{% if m.role == 'system' %}{{ m.content + '\n\n' }})"
     R"({% elif m.role == 'user' %}{{ m.content + '[/INST]' }})"
     R"({% else %}{{ ' ' + m.content.strip() + eos_token }}{% set ns.open = false %}{% endif %}{% endfor %})",
     "[INST]"},
    {"mistral-v3-tekken",
     R"({% set ns = namespace(open=false) %}{% for m in messages %}{% if not ns.open %}{{ '[INST]' }})"
     R"({% set ns.open = true %}{% endif %}{% if m.role == 'system' %}{{ m.content + '\n\n' }})"
     R"({% elif m.role == 'user' %}{{ m.content + '[/INST]' }})"
     R"({% else %}{{ m.content + eos_token }}{% set ns.open = false %}{% endif %}{% endfor %})",
     "[INST]"},
    {"mistral-v7",
     R"({% for m in messages %}{% if m.role == 'system' %}{{ '[SYSTEM_PROMPT] ' + m.content + '[/SYSTEM_PROMPT]' }})"
     R"({% elif m.role == 'user' %}{{ '[INST] ' + m.content + '[/INST]' }})"
     R"({% else %}{{ ' ' + m.content + eos_token }}{% endif %}{% endfor %})",
     "[SYSTEM_PROMPT]"},
    {"mistral-v7-tekken",
     R"({% for m in messages %}{% if m.role == 'system' %}{{ '[SYSTEM_PROMPT]' + m.content + '[/SYSTEM_PROMPT]' }})"
     R"({% elif m.role == 'user' %}{{ '[INST]' + m.content + '[/INST]' }})"
     R"({% else %}{{ m.content + eos_token }}{% endif %}{% endfor %})",
     "[SYSTEM_PROMPT]"},
    {"gemma",
     R"({% set ns = namespace(system='') %}{% for m in messages %}{% if m.role == 'system' %})"
     R"({% set ns.system = m.content.strip() + '\n\n' %}{% else %})"
     R"({{ '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\n' }})"
     R"({% if m.role != 'assistant' %}{{ ns.system }}{% set ns.system = '' %}{% endif %})"
     R"({{ m.content.strip() + '<end_of_turn>\n' }}{% endif %}{% endfor %})"
     R"({% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %})",
     "<start_of_turn>"},
    {"phi3",
     R"({% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + '<|end|>\n' }}{% endfor %})"
     R"({% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %})",
     "<|end|>"},
    {"phi4",
     R"({% for m in messages %}{{ '<|im_start|>' + m.role + '<|im_sep|>' + m.content + '<|im_end|>' }}{% endfor %})"
     R"({% if add_generation_prompt %}{{ '<|im_start|>assistant<|im_sep|>' }}{% endif %})",
     "<|im_sep|>"},
    {"zephyr",
     R"({% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + eos_token + '\n' }}{% endfor %})"
     R"({% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %})",
     ""},
    {"vicuna",
     R"({% for m in messages %}{% if m.role == 'system' %}{{ m.content + '\n\n' }})"
     R"({% elif m.role == 'user' %}{{ 'USER: ' + m.content + '\n' }})"
     R"({% else %}{{ 'ASSISTANT: ' + m.content + eos_token + '\n' }}{% endif %}{% endfor %})"
     R"({% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %})",
     ""},
    {"vicuna-orca",
     R"({% for m in messages %}{% if m.role == 'system' %}{{ 'SYSTEM: ' + m.content + '\n' }})"
     R"({% elif m.role == 'user' %}{{ 'USER: ' + m.content + '\n' }})"
     R"({% else %}{{ 'ASSISTANT: ' + m.content + eos_token + '\n' }}{% endif %}{% endfor %})"
     R"({% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %})",
     ""},
    {"alpaca",
     R"({% if messages[0].role != 'system' %}{{ 'Below is an instruction that describes a task. )"
     R"(Write a response that appropriately completes the request.\n\n' }}{% endif %}{% for m in messages %})"
     R"({% if m.role == 'system' %}{{ m.content + '\n\n' }})"
     R"({% elif m.role == 'user' %}{{ '### Instruction:\n' + m.content + '\n\n' }})"
     R"({% else %}{{ '### Response:' + m.content + eos_token + '\n\n' }}{% endif %}{% endfor %})"
     R"({% if add_generation_prompt %}{{ '### Response:' }}{% endif %})",
     ""},
    {"openchat",
     R"({% for m in messages %}{% if m.role == 'system' %}{{ m.content + '<|end_of_turn|>' }})"
     R"({% else %}{{ 'GPT4 Correct ' + m.role.title() + ': ' + m.content + '<|end_of_turn|>' }}{% endif %})"
     R"({% endfor %}{% if add_generation_prompt %}{{ 'GPT4 Correct Assistant:' }}{% endif %})",
     "<|end_of_turn|>"},
    {"deepseek",
     R"({% for m in messages %}{% if m.role == 'system' %}{{ m.content }})"
     R"({% elif m.role == 'user' %}{{ '### Instruction:\n' + m.content + '\n' }})"
     R"({% else %}{{ '### Response:\n' + m.content + '\n<|EOT|>\n' }}{% endif %}{% endfor %})"
     R"({% if add_generation_prompt %}{{ '### Response:\n' }}{% endif %})",
     "<|EOT|>"},
    {"deepseek2",
     R"({% for m in messages %}{% if m.role == 'system' %}{{ m.content + '\n\n' }})"
     R"({% elif m.role == 'user' %}{{ 'User: ' + m.content + '\n\n' }})"
     R"({% else %}{{ 'Assistant: ' + m.content + '<｜end▁of▁sentence｜>' }}{% endif %}{% endfor %})"
     R"({% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %})",
     ""},
    {"deepseek3",
     R"({% for m in messages %}{% if m.role == 'system' %}{{ m.content + '\n\n' }})"
     R"({% elif m.role == 'user' %}{{ '<｜User｜>' + m.content }})"
     R"({% else %}{{ '<｜Assistant｜>' + m.content + '<｜end▁of▁sentence｜>' }}{% endif %}{% endfor %})"
     R"({% if add_generation_prompt %}{{ '<｜Assistant｜>' }}{% endif %})",
     "<｜User｜>"},
    {"command-r",
     R"({% for m in messages %}{{ '<|START_OF_TURN_TOKEN|>' + ('<|SYSTEM_TOKEN|>' if m.role == 'system' else )"
     R"('<|USER_TOKEN|>' if m.role == 'user' else '<|CHATBOT_TOKEN|>') + m.content.strip() + )"
     R"('<|END_OF_TURN_TOKEN|>' }}{% endfor %})"
     R"({% if add_generation_prompt %}{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' }}{% endif %})",
     "<|START_OF_TURN_TOKEN|>"},
    {"granite",
     R"({% for m in messages %}{{ '<|start_of_role|>' + m.role + '<|end_of_role|>' + m.content + )"
     R"('<|end_of_text|>\n' }}{% endfor %})"
     R"({% if add_generation_prompt %}{{ '<|start_of_role|>assistant<|end_of_role|>' }}{% endif %})",
     "<|start_of_role|>"},
    {"falcon3",
     R"({% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + '\n' }}{% endfor %})"
     R"({% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %})",
     ""},
    {"exaone3",
     R"({% for m in messages %}{% if m.role == 'user' %}{{ '[|user|]' + m.content.strip() + '\n' }})"
     R"({% else %}{{ '[|' + m.role + '|]' + m.content.strip() + '[|endofturn|]\n' }}{% endif %}{% endfor %})"
     R"({% if add_generation_prompt %}{{ '[|assistant|]' }}{% endif %})",
     "[|endofturn|]"},
    {"minicpm",
     R"({% for m in messages %}{% if m.role == 'user' %}{{ '<用户>' + m.content.strip() + '<AI>' }})"
     R"({% else %}{{ m.content.strip() }}{% endif %}{% endfor %})",
     "<用户>"},
    {"monarch",
     R"({% for m in messages %}{% if not loop.first %}{{ bos_token }}{% endif %})"
     R"({{ m.role + '\n' + m.content + eos_token + '\n' }}{% endfor %})"
     R"({% if add_generation_prompt %}{{ bos_token + 'assistant\n' }}{% endif %})",
     ""},
    {"orion",
     R"({% set ns = namespace(system='') %}{% for m in messages %}{% if m.role == 'system' %})"
     R"({% set ns.system = m.content + '\n\n' %}{% elif m.role == 'user' %})"
     R"({{ 'Human: ' + ns.system + m.content + '\n\nAssistant: ' + eos_token }}{% set ns.system = '' %})"
     R"({% else %}{{ m.content + eos_token }}{% endif %}{% endfor %})",
     ""},
};

struct ScaffoldToken {
  std::string_view token, template_name;
};

// More specific tokens come first.
constexpr ScaffoldToken scaffold_tokens[] = {
    {"<|im_sep|>", "phi4"},
    {"<|im_start|>", "chatml"},
    {"<|start_header_id|>", "llama3"},
    {"<|header_start|>", "llama4"},
    {"<start_of_turn>", "gemma"},
    {"<|turn>", ""},
    {"[SYSTEM_PROMPT]", "mistral-v7"},
    {"[INST]", "mistral-v3"},
    {"<｜User｜>", "deepseek3"},
    {"<|EOT|>", "deepseek"},
    {"<|START_OF_TURN_TOKEN|>", "command-r"},
    {"<|start_of_role|>", "granite"},
    {"[|endofturn|]", "exaone3"},
    {"<|end_of_turn|>", "openchat"},
    {"<用户>", "minicpm"},
    {"<|channel|>", ""},
    {"<|role_start|>", ""},
    {"[gMASK]", ""},
    {"<|im_user|>", ""},
    {"<|end|>", "phi3"},
    {"<|assistant|>", "zephyr"},
    {"<|user|>", "zephyr"},
};

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n";
  const size_t begin = text.find_first_not_of(blanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

/// The text of a sample conversation that shows how a template formats messages; nothing if the template refuses it.
std::optional<std::string> sample_text(const ChatTemplate& chat_template, bool with_system) {
  TemplateInput input{
      .messages = {}, .bos_token = "<s>", .eos_token = "</s>", .add_generation_prompt = true, .date = {}};
  if (with_system) input.messages.push_back({"system", "Be brief."});
  input.messages.insert(input.messages.end(), {{"user", " One? "}, {"assistant", " Two. "}, {"user", " Three? "}});
  try {
    std::string text;
    for (const TextSpan& span : chat_template.render(input)) text += span.text;
    return text.starts_with(input.bos_token) ? text.substr(input.bos_token.size()) : text;
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

const NamedTemplate* find_named_template(std::string_view name) {
  const std::string_view wanted = trimmed(name);
  for (const NamedTemplate& named : named_templates)
    if (named.name == wanted) return &named;
  return nullptr;
}

std::vector<std::string> template_names() {
  std::vector<std::string> names;
  for (const NamedTemplate& named : named_templates) names.emplace_back(named.name);
  return names;
}

std::string template_name_list() {
  std::string list;
  for (const NamedTemplate& named : named_templates) list.append(list.empty() ? "" : ", ").append(named.name);
  return list;
}

std::optional<Scaffold> find_scaffold(const Vocab& vocab) {
  std::unordered_set<std::string_view> found;
  for (const std::string& token : vocab.tokens)
    if (token.size() > 2 && (token[0] == '<' || token[0] == '[')) found.insert(token);
  for (const ScaffoldToken& scaffold : scaffold_tokens)
    if (found.contains(scaffold.token))
      return Scaffold{std::string(scaffold.token), std::string(scaffold.template_name)};
  return std::nullopt;
}

std::string name_of_equal_template(const ChatTemplate& chat_template) {
  // Some templates refuse a system message.
  for (const bool with_system : {true, false}) {
    const std::optional<std::string> text = sample_text(chat_template, with_system);
    if (!text) continue;
    for (const NamedTemplate& named : named_templates)
      if (sample_text(ChatTemplate(named.source), with_system) == text) return std::string(named.name);
    return "";
  }
  return "";
}

}  // namespace headroom
