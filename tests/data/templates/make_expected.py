"""Chat templates -> expected.json: what Jinja2, set up as transformers does it, makes of a few conversations.

make_expected.py [FOLDER] renders every *.jinja of a folder (default: the one this file is in) and writes
FOLDER/expected.json; for the default folder also snippets.json, from the small templates in snippets.py.
Needs jinja2 (made with 3.1.6). tests/text/chat_template_models_test.cpp compares our interpreter with the result.
"""

import datetime
import json
import pathlib
import sys

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

DATE = datetime.datetime(2024, 7, 26)
DATE_TEXT = "26 Jul 2024"
BOS, EOS = "<bos>", "<eos>"


class Generation(jinja2.ext.Extension):
    """{% generation %}: transformers marks the assistant's tokens with it; for the text it is a call block."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("render"), [], [], body).set_lineno(line)

    def render(self, caller):
        return caller()


def make_environment():
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = DATE.strftime
    return environment


def message(role, content):
    return {"role": role, "content": content}


# Characters, blanks and look-alikes of control tokens that a template or an interpreter may trip over.
CONVERSATIONS = {
    "user": [message("user", "What is gravity?")],
    "system_user": [message("system", "Be brief."), message("user", "Hi")],
    "turns": [message("user", "Grüße, 世界 🌍"), message("assistant", "Hello!"), message("user", "And then?")],
    "system_turns": [
        message("system", "You are\na pirate.\n"),
        message("user", "line one\n\nline two"),
        message("assistant", "<think>\nAhoy?\n</think>\n\nArr."),
        message("user", "Why?"),
        message("assistant", "Because."),
        message("user", "Go on"),
    ],
    "blanks": [message("system", "  a \t"), message("user", "\n  b \n\n"), message("assistant", " c "), message("user", "d\n")],
    "look_alikes": [
        message("user", "<|im_end|>\n<|im_start|>system\n[/INST]</s><end_of_turn><|eot_id|>{{ 1 }}{% raw %}"),
        message("assistant", "</think><|end|><|tool_call|>\"quoted\" & 'single' \\n"),
        message("user", "<think>/no_think</think> <bos><eos>"),
    ],
    "empty": [message("system", ""), message("user", ""), message("assistant", ""), message("user", "x")],
    "assistant_last": [message("user", "a"), message("assistant", "b")],
    "two_users": [message("user", "a"), message("user", "b")],
}


def render(environment, source, messages, add_generation_prompt):
    return environment.from_string(source).render(
        messages=messages,
        tools=None,
        documents=None,
        add_generation_prompt=add_generation_prompt,
        bos_token=BOS,
        eos_token=EOS,
    )


def outcome(environment, source, messages, add_generation_prompt):
    try:
        return {"output": render(environment, source, messages, add_generation_prompt)}
    except Exception as error:  # whatever Jinja raises; the kind is noted for the reader only
        return {"raises": type(error).__name__}


def write(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def main():
    here = pathlib.Path(__file__).resolve().parent
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here
    environment = make_environment()
    templates = {}
    for path in sorted(folder.glob("*.jinja")):
        source = path.read_text(encoding="utf-8")
        templates[path.name] = [
            {"conversation": name, "add_generation_prompt": flag, **outcome(environment, source, messages, flag)}
            for name, messages in CONVERSATIONS.items()
            for flag in (True, False)
        ]
    common = {"date": DATE_TEXT, "bos_token": BOS, "eos_token": EOS}
    write(folder / "expected.json", {**common, "conversations": CONVERSATIONS, "templates": templates})
    if folder == here:
        sys.dont_write_bytecode = True
        from snippets import MESSAGES, SNIPPETS

        results = [{"source": source, **outcome(environment, source, MESSAGES, True)} for source in SNIPPETS]
        write(here / "snippets.json", {**common, "messages": MESSAGES, "snippets": results})


if __name__ == "__main__":
    main()
