"""Writes seam.json: prompts in the vocabulary of SmolLM2-135M-Instruct under several templates, and their ids by the
`tokenizers` library, which tokenises the rendered text as a whole. usage: make_seam.py MODEL.gguf  (needs the packages
gguf, jinja2 and tokenizers). The cases of llama.cpp are kept as they are in llama_cpp.json."""
import json, pathlib, sys
import gguf, jinja2
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

HERE = pathlib.Path(__file__).parent
reader = gguf.GGUFReader(sys.argv[1])
field = lambda name: reader.fields[name].contents()
tokens, types = field("tokenizer.ggml.tokens"), field("tokenizer.ggml.token_type")
tokenizer = Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)},
                                 [tuple(m.split(" ", 1)) for m in field("tokenizer.ggml.merges")]))
tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
    [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t, y in zip(tokens, types) if y == 3])

MESSAGES = ["Hello there", "  Hello", "\n\nHello there", "Hello\n", "Hello  ", "\n    def f():\n        return 1", "\t",
            " ", "42", "!", "'s", "\nline one\nline two\n\n", "é", "   \n  mixed", "x\r\n", "\u3000wide"]
CONVERSATIONS = [[("user", m)] for m in MESSAGES] + [
    [("system", "Be brief."), ("user", m)] for m in ("Hello", "\nHello")] + [
    [("user", "Hi"), ("assistant", a), ("user", "\n\ngo on")] for a in ("Yes", " Yes\n", "\n")]

cases = []
env = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
for name in ("chatml", "vicuna", "mistral", "alpaca", "openchat"):
    source = field("tokenizer.chat_template") if name == "chatml" else (HERE / f"{name}.jinja").read_text()
    for conversation in CONVERSATIONS:
        if name == "mistral" and conversation[0][0] == "system": continue
        messages = [{"role": r, "content": c} for r, c in conversation]
        text = env.from_string(source).render(messages=messages, add_generation_prompt=True, tools=None, documents=None,
                                              bos_token=tokens[field("tokenizer.ggml.bos_token_id")],
                                              eos_token=tokens[field("tokenizer.ggml.eos_token_id")])
        cases.append({"template": name, "messages": conversation, "ids": tokenizer.encode(text, add_special_tokens=False).ids})
lines = ",\n  ".join(json.dumps(case, ensure_ascii=True) for case in cases)
(HERE / "seam.json").write_text('{\n "oracle": "tokenizers, the rendered text as a whole",\n "cases": [\n  ' + lines + "\n ]\n}\n")
