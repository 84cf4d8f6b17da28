// Each named template on one conversation, against the text that its makers or llama.cpp publish. Also the template
// guessed from a vocabulary if the file has none, and the name recognised for a given template.
#include "engine/text/named_templates.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

using namespace headroom;

namespace {

std::string rendered(const ChatTemplate& chat_template, bool with_system) {
  TemplateInput input{
      .messages = {}, .bos_token = "<s>", .eos_token = "</s>", .add_generation_prompt = true, .date = {}};
  if (with_system) input.messages.push_back({"system", "S"});
  input.messages.insert(input.messages.end(), {{"user", " A "}, {"assistant", " B "}, {"user", "C"}});
  std::string text;
  for (const TextSpan& span : chat_template.render(input)) {
    // User text is marked as such wherever the template puts it.
    if (span.from_user) CHECK(span.text.find_first_of("<[#:") == std::string::npos);
    text += span.text;
  }
  return text;
}

std::string rendered(const std::string& name, bool with_system) {
  const NamedTemplate* named = find_named_template(name);
  REQUIRE(named != nullptr);
  return rendered(ChatTemplate(named->source), with_system);
}

Vocab vocab_of(std::vector<std::string> tokens) {
  Vocab vocab;
  vocab.tokens = std::move(tokens);
  return vocab;
}

}  // namespace

TEST_CASE("named templates write what is published for them") {
  const std::map<std::string, std::string> expected{
      {"chatml",
       "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\n A <|im_end|>\n<|im_start|>assistant\n B <|im_end|>\n"
       "<|im_start|>user\nC<|im_end|>\n<|im_start|>assistant\n"},
      {"llama2", "<s>[INST] <<SYS>>\nS\n<</SYS>>\n\n A [/INST] B </s><s>[INST] C [/INST]"},
      {"llama2-sys", "[INST] <<SYS>>\nS\n<</SYS>>\n\n A  [/INST] B </s>[INST] C [/INST]"},
      {"llama2-sys-bos", "[INST] <<SYS>>\nS\n<</SYS>>\n\n A  [/INST] B </s><s>[INST] C [/INST]"},
      {"llama2-sys-strip", "[INST] <<SYS>>\nS\n<</SYS>>\n\nA [/INST]B</s>[INST] C [/INST]"},
      {"llama3",
       "<|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nA<|eot_id|"
       ">"
       "<|start_header_id|>assistant<|end_header_id|>\n\nB<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n"
       "C<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"},
      {"llama4",
       "<|header_start|>system<|header_end|>\n\nS<|eot|><|header_start|>user<|header_end|>\n\nA<|eot|>"
       "<|header_start|>assistant<|header_end|>\n\nB<|eot|><|header_start|>user<|header_end|>\n\nC<|eot|>"
       "<|header_start|>assistant<|header_end|>\n\n"},
      {"mistral", "[INST] S\n\n A  [/INST] B </s>[INST] C [/INST]"},
      {"mistral-v1", " [INST] S\n\n A  [/INST]  B </s> [INST] C [/INST]"},
      {"mistral-v3", "[INST] S\n\n A [/INST] B</s>[INST] C[/INST]"},
      {"mistral-v3-tekken", "[INST]S\n\n A [/INST] B </s>[INST]C[/INST]"},
      {"mistral-v7", "[SYSTEM_PROMPT] S[/SYSTEM_PROMPT][INST]  A [/INST]  B </s>[INST] C[/INST]"},
      {"mistral-v7-tekken", "[SYSTEM_PROMPT]S[/SYSTEM_PROMPT][INST] A [/INST] B </s>[INST]C[/INST]"},
      {"gemma",
       "<start_of_turn>user\nS\n\nA<end_of_turn>\n<start_of_turn>model\nB<end_of_turn>\n<start_of_turn>user\n"
       "C<end_of_turn>\n<start_of_turn>model\n"},
      {"phi3",
       "<|system|>\nS<|end|>\n<|user|>\n A <|end|>\n<|assistant|>\n B <|end|>\n<|user|>\nC<|end|>\n<|assistant|>\n"},
      {"phi4",
       "<|im_start|>system<|im_sep|>S<|im_end|><|im_start|>user<|im_sep|> A <|im_end|><|im_start|>assistant<|im_sep|>"
       " B <|im_end|><|im_start|>user<|im_sep|>C<|im_end|><|im_start|>assistant<|im_sep|>"},
      {"zephyr", "<|system|>\nS</s>\n<|user|>\n A </s>\n<|assistant|>\n B </s>\n<|user|>\nC</s>\n<|assistant|>\n"},
      {"vicuna", "S\n\nUSER:  A \nASSISTANT:  B </s>\nUSER: C\nASSISTANT:"},
      {"vicuna-orca", "SYSTEM: S\nUSER:  A \nASSISTANT:  B </s>\nUSER: C\nASSISTANT:"},
      {"alpaca", "S\n\n### Instruction:\n A \n\n### Response: B </s>\n\n### Instruction:\nC\n\n### Response:"},
      {"openchat",
       "S<|end_of_turn|>GPT4 Correct User:  A <|end_of_turn|>GPT4 Correct Assistant:  B <|end_of_turn|>"
       "GPT4 Correct User: C<|end_of_turn|>GPT4 Correct Assistant:"},
      {"deepseek", "S### Instruction:\n A \n### Response:\n B \n<|EOT|>\n### Instruction:\nC\n### Response:\n"},
      {"deepseek2", "S\n\nUser:  A \n\nAssistant:  B <｜end▁of▁sentence｜>User: C\n\nAssistant:"},
      {"deepseek3", "S\n\n<｜User｜> A <｜Assistant｜> B <｜end▁of▁sentence｜><｜User｜>C<｜Assistant｜>"},
      {"command-r",
       "<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>S<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|USER_TOKEN|>A"
       "<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>B<|END_OF_TURN_TOKEN|>"
       "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>C<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>"},
      {"granite",
       "<|start_of_role|>system<|end_of_role|>S<|end_of_text|>\n<|start_of_role|>user<|end_of_role|> A "
       "<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|> B <|end_of_text|>\n"
       "<|start_of_role|>user<|end_of_role|>C<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>"},
      {"falcon3", "<|system|>\nS\n<|user|>\n A \n<|assistant|>\n B \n<|user|>\nC\n<|assistant|>\n"},
      {"exaone3", "[|system|]S[|endofturn|]\n[|user|]A\n[|assistant|]B[|endofturn|]\n[|user|]C\n[|assistant|]"},
      {"minicpm", "S<用户>A<AI>B<用户>C<AI>"},
      {"monarch", "system\nS</s>\n<s>user\n A </s>\n<s>assistant\n B </s>\n<s>user\nC</s>\n<s>assistant\n"},
      {"orion", "Human: S\n\n A \n\nAssistant: </s> B </s>Human: C\n\nAssistant: </s>"},
  };
  std::set<std::string> names;
  for (const std::string& name : template_names()) {
    CAPTURE(name);
    CHECK(names.insert(name).second);
    REQUIRE(expected.count(name) == 1);
    CHECK(rendered(name, true) == expected.at(name));
  }
  CHECK(names.size() == expected.size());
}

TEST_CASE("without a system message there is none, but alpaca's own") {
  CHECK(rendered("llama2", false) == "<s>[INST] A [/INST] B </s><s>[INST] C [/INST]");
  CHECK(rendered("mistral", false) == "[INST]  A  [/INST] B </s>[INST] C [/INST]");
  CHECK(rendered("gemma", false).find("<start_of_turn>user\nA<end_of_turn>") == 0);
  CHECK(rendered("alpaca", false) ==
        "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
        "### Instruction:\n A \n\n### Response: B </s>\n\n### Instruction:\nC\n\n### Response:");
}

TEST_CASE("a name is found with white space around it, and nothing else is one") {
  CHECK(find_named_template(" chatml\n")->name == "chatml");
  for (const char* other : {"", " ", "ChatML", "chatml2", "{{ chatml }}", "chat ml"})
    CHECK(find_named_template(other) == nullptr);
  CHECK(template_name_list().find("chatml, llama2, ") == 0);
}

TEST_CASE("a token that only chat models have names the template that writes it") {
  const auto scaffold = [](std::vector<std::string> tokens) {
    tokens.insert(tokens.begin(), {"a", "<unk>", "<s>", "</s>", "<|endoftext|>", "[PAD]", "<0x41>"});
    const auto found = find_scaffold(vocab_of(std::move(tokens)));
    return found ? found->token + " " + found->template_name : "none";
  };
  CHECK(scaffold({}) == "none");
  CHECK(scaffold({"<|im_start|>", "<|im_end|>"}) == "<|im_start|> chatml");
  CHECK(scaffold({"<|im_start|>", "<|im_sep|>"}) == "<|im_sep|> phi4");
  CHECK(scaffold({"<|begin_of_text|>", "<|start_header_id|>"}) == "<|start_header_id|> llama3");
  CHECK(scaffold({"<start_of_turn>"}) == "<start_of_turn> gemma");
  CHECK(scaffold({"[INST]", "[/INST]"}) == "[INST] mistral-v3");
  CHECK(scaffold({"[INST]", "[SYSTEM_PROMPT]"}) == "[SYSTEM_PROMPT] mistral-v7");
  CHECK(scaffold({"<|user|>", "<|assistant|>", "<|end|>"}) == "<|end|> phi3");
  CHECK(scaffold({"<|user|>", "<|assistant|>"}) == "<|assistant|> zephyr");
  CHECK(scaffold({"<｜User｜>"}) == "<｜User｜> deepseek3");
  for (const std::string& name : template_names()) {
    const NamedTemplate& named = *find_named_template(name);
    if (!named.mark.empty()) CHECK(find_scaffold(vocab_of({std::string(named.mark)})).has_value());
  }
}

TEST_CASE("a template that gives the same text as a named one has its name") {
  const auto name_of_file = [](const std::string& file) {
    std::ostringstream source;
    source << std::ifstream(std::string(HEADROOM_TEST_DATA) + "/templates/" + file, std::ios::binary).rdbuf();
    REQUIRE(!source.str().empty());
    return name_of_equal_template(ChatTemplate(source.str()));
  };
  CHECK(name_of_file("SmolLM2-135M-Instruct.jinja") == "chatml");
  CHECK(name_of_file("google-gemma-2-2b-it.jinja") == "gemma");
  CHECK(name_of_file("openai-gpt-oss-120b.jinja") == "");
  for (const std::string& name : template_names()) {
    CAPTURE(name);
    CHECK(name_of_equal_template(ChatTemplate(find_named_template(name)->source)) == name);
  }
  CHECK(name_of_equal_template(ChatTemplate("{{ raise_exception('never') }}")) == "");
}
