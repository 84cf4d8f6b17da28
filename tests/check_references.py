"""References that lead nowhere: checks that what comments and documents name exists, and prints file:line of each.

Looked at: files with an ending of ours (`engine/kv/page_pool.h`, `page_pool.cpp`), sections of our documents
("docs/fastgen.md, section 3"), test programs with their tags and names of test cases (`test_kv "[evict]"`), options
(`--keep`), commands (`headroom profile`) and variables (`HEADROOM_MODEL`). What belongs to others is in EXTERNAL.
Usage: check_references.py [ROOT] | check_references.py --self-test
"""

import fnmatch
import pathlib
import re
import sys
import tempfile
import unittest

CODE = {".cpp", ".h", ".cu", ".cuh", ".comp", ".glsl", ".fbs"}
SCRIPTS = {".py", ".sh", ".cmake", ".yml", ".json"}
TEXTS = {".md", ".1"}
ENDINGS = r"(?:cpp|h|cu|cuh|comp|glsl|fbs|md|sh|py|cmake|jinja)"

# Names of other projects, files that a build or a user makes, and options of other programs.
EXTERNAL_FILES = {"llama.cpp", "stream_generated.h", "chats.md"}
EXTERNAL_OPTIONS = {"--preset", "--build", "--wrap"}
# The history of figures names what stood there on its date.
HISTORY = {"docs/measurements.md"}

FILE = re.compile(r"(?<![\w./*<>$}-])((?:[\w-]+/)*[\w-]+\." + ENDINGS + r")(?![\w/]|\.\w)")
SECTION = re.compile(r"([\w./-]+\.md)`?\)?,? section (\d+)")
TEST = re.compile(r"\b(test_\w+) (?:\"([^\"\n]+)\"|'([^'\n]+)')")
OPTION = re.compile(r"(?<![\w-])(--[a-z][a-z0-9-]+)")
COMMAND = re.compile(r"(?:`|\s{4})headroom ([a-z][a-z-]*)(?=[ `\n])")
VARIABLE = re.compile(r"\bHEADROOM_[A-Z][A-Z_]*[A-Z]\b")
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.S)
STRING = re.compile(r'"(?:\\.|[^"\\\n])*"')


def prose_of(path, text):
    """The comments of code, blank elsewhere so that line numbers stay; the whole of a document."""
    if path.suffix in TEXTS:
        return text
    if path.suffix in CODE:
        # Strings first, so that "http://" begins no comment.
        bare = STRING.sub(lambda m: " " * len(m.group()), text)
        out = [c if c == "\n" else " " for c in text]
        for match in COMMENT.finditer(bare):
            out[match.start():match.end()] = text[match.start():match.end()]
        return "".join(out)
    return "\n".join(line if re.match(r"\s*#(?!!)", line) else " " * len(line) for line in text.split("\n"))


class Tree:
    """What exists: files, options, commands, tests, variables."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.files = {str(p.relative_to(self.root)) for p in self.root.rglob("*")
                      if p.is_file() and not {"build", ".git", ".cache"} & set(p.relative_to(self.root).parts)}
        self.names = {f.rsplit("/", 1)[-1] for f in self.files}
        self.texts = {}
        for name in sorted(self.files):
            path = self.root / name
            is_text = path.suffix in CODE | SCRIPTS | TEXTS or path.name in ("CMakeLists.txt", "run")
            if is_text and not name.startswith("tests/data/"):
                self.texts[name] = path.read_text(errors="replace")
        code = {n: t for n, t in self.texts.items() if not n.endswith(tuple(TEXTS))}
        bare = {}
        for name, text in code.items():
            prose = prose_of(pathlib.Path(name), text)
            bare[name] = "".join(" " if p != " " and p != "\n" else t for t, p in zip(text, prose))
        everything = "\n".join(bare.values())
        self.options = set(OPTION.findall(everything))
        self.variables = set(VARIABLE.findall(everything))
        self.commands = set(re.findall(r'"([a-z][a-z-]+)"', "\n".join(t for n, t in bare.items() if n.startswith("app/"))))
        self.tests = {}
        for name, text in bare.items():
            match = re.fullmatch(r"tests/(\w+)/.*\.cpp", name)
            if match:
                names, tags = self.tests.setdefault("test_" + match.group(1), (set(), set()))
                for case, tag_text in re.findall(
                        r'TEST_CASE\(\s*"((?:\\.|[^"\\])*(?:"\s*"(?:\\.|[^"\\])*)*)"(?:,\s*"([^"]*)")?', text):
                    names.add(re.sub(r'"\s*"', "", case).replace('\\"', '"'))
                    tags.update(re.findall(r"\[([^\]]+)\]", tag_text))

    def has_file(self, name, beside):
        if name in self.files or name in EXTERNAL_FILES:
            return True
        if "/" not in name:
            return name in self.names
        return f"{pathlib.PurePosixPath(beside).parent}/{name}" in self.files or \
            any(f.endswith("/" + name) for f in self.files) or name.rsplit("/", 1)[0] in ("build", "generated")

    def has_section(self, document, number, beside):
        for name in (document, f"{pathlib.PurePosixPath(beside).parent}/{document}", "docs/" + document):
            if name in self.texts:
                return re.search(rf"^#+ {number}[.:) ]", self.texts[name], re.M) is not None
        return False

    def has_test(self, program, pattern):
        if program not in self.tests:
            return False
        names, tags = self.tests[program]
        for part in pattern.split(","):
            wanted = re.findall(r"\[([^\]]+)\]", part)
            if wanted:
                if not all(t in tags or t.startswith(("#", ".")) for t in wanted):
                    return False
            elif not any(fnmatch.fnmatchcase(n, part.replace("[", "[[]")) for n in names):
                return False
        return True


def breaches(root):
    tree = Tree(root)
    found = []
    for name, text in tree.texts.items():
        if name in HISTORY or name.endswith(".json"):
            continue
        prose = prose_of(pathlib.Path(name), text)

        def report(match, what):
            found.append(f"{name}:{prose.count(chr(10), 0, match.start()) + 1}: {what} does not exist")

        for match in FILE.finditer(prose):
            if not tree.has_file(match.group(1), name):
                report(match, f"the file {match.group(1)}")
        for match in SECTION.finditer(prose):
            if not tree.has_section(match.group(1), match.group(2), name):
                report(match, f"section {match.group(2)} of {match.group(1)}")
        for match in TEST.finditer(prose):
            if not tree.has_test(match.group(1), match.group(2) or match.group(3)):
                report(match, f"the test {match.group()}")
        for match in OPTION.finditer(prose):
            if match.group(1) not in tree.options | EXTERNAL_OPTIONS:
                report(match, f"the option {match.group(1)}")
        for match in COMMAND.finditer(prose):
            if match.group(1) not in tree.commands:
                report(match, f"the command headroom {match.group(1)}")
        for match in VARIABLE.finditer(prose):
            if match.group() not in tree.variables:
                report(match, f"the variable {match.group()}")
    return found


class SelfTest(unittest.TestCase):
    def breaches_of(self, files):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                path = pathlib.Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return breaches(folder)

    def test_what_exists_passes(self):
        self.assertEqual(self.breaches_of({
            "app/a.cpp": '// See a.h, docs/b.md, section 2, and --keep.\nadd("--keep", "profile", getenv("HEADROOM_X"));\n',
            "app/a.h": "// As llama.cpp does it; http://x.org/page.html\n",
            "docs/b.md": "# B\n\n## 2. Two\n\n`headroom profile --keep 1` with HEADROOM_X, `test_kv \"[evict]\"`, "
                         "`test_kv \"a head*\"`, [a](b.md)\n",
            "tests/kv/a_test.cpp": 'TEST_CASE("a head of "\n "four", "[evict]") {}\n',
        }), [])

    def test_what_does_not_is_named_with_its_line(self):
        self.assertEqual(self.breaches_of({
            "app/a.cpp": 'int x;  // c.h\n// docs/b.md, section 3\nauto s = "d.h --gone";\n',
            "docs/b.md": "## 2. Two\n`headroom fly`, --none, HEADROOM_NONE, `test_kv \"[none]\"`\n",
        }), [
            "app/a.cpp:1: the file c.h does not exist",
            "app/a.cpp:2: section 3 of docs/b.md does not exist",
            "docs/b.md:2: the test test_kv \"[none]\" does not exist",
            "docs/b.md:2: the option --none does not exist",
            "docs/b.md:2: the command headroom fly does not exist",
            "docs/b.md:2: the variable HEADROOM_NONE does not exist",
        ])


if __name__ == "__main__":
    if sys.argv[1:] == ["--self-test"]:
        unittest.main(argv=sys.argv[:1])
    lines = breaches(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent)
    print("".join(line + "\n" for line in lines), end="")
    print(f"references: {len(lines)} lead nowhere" if lines else "references: all lead somewhere")
    sys.exit(1 if lines else 0)
