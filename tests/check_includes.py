"""Who may include whom: checks every #include of the tree against the table below and prints file:line of each breach.

The table is the one that says how the folders depend on each other; a folder that is not in it is a breach too, so that
a new one is placed on purpose. Knows folders and header names only.
Usage: check_includes.py [ROOT] | check_includes.py --self-test
"""

import pathlib
import re
import sys
import tempfile
import unittest

# Our own headers. A path that ends in "/" allows the whole folder; "/*" only the files right inside it.
# The longest key that fits a file decides; a key may be a single file.
TABLE = {
    "engine/base/": ["engine/base/"],
    "engine/model/": ["engine/base/", "engine/model/"],
    "engine/text/": ["engine/base/", "engine/text/"],
    # The interpreter of chat templates knows no vocabulary and no tokenizer.
    "engine/text/jinja/": ["engine/base/", "engine/text/jinja/"],
    "engine/kv/": ["engine/base/", "engine/kv/"],
    "engine/backend/": ["engine/base/", "engine/backend/*"],
    # The registry is the one place that names concrete backends.
    "engine/backend/registry.cpp": ["engine/base/", "engine/backend/"],
    # Both sides of the process that asks the Vulkan drivers, for the registry.
    "engine/backend/vulkan_probe.cpp": ["engine/base/", "engine/backend/"],
    "engine/backend/vulkan_probe.h": ["engine/base/", "engine/backend/"],
    "engine/backend/cpu/": ["engine/base/", "engine/backend/*", "engine/backend/cpu/"],
    # What every GPU needs, with the structs that C++ shares with kernels.
    "engine/backend/device/": ["engine/base/", "engine/backend/*", "engine/backend/device/"],
    "engine/backend/vulkan/": ["engine/base/", "engine/backend/*", "engine/backend/device/", "engine/backend/vulkan/",
                               "shaders/"],
    "shaders/": ["shaders/", "engine/backend/device/"],
    "cuda/": ["engine/base/", "engine/backend/*", "engine/backend/device/", "cuda/"],
    "engine/run/": ["engine/base/", "engine/model/", "engine/text/", "engine/kv/", "engine/backend/*",
                    "engine/run/", "assets/"],
    # Files that the program brings along, as text in it.
    "assets/": ["assets/"],
    # Panels see what came over the stream, not the stream itself.
    "engine/telemetry/": ["engine/base/", "engine/telemetry/"],
    "engine/serve/": ["engine/base/", "engine/model/", "engine/text/", "engine/run/", "engine/backend/*",
                      "engine/telemetry/", "engine/serve/"],
    # The planner is plain numbers: the panels' what-if is its forecast.
    "ui/": ["engine/base/", "engine/telemetry/mirror.h", "engine/kv/keep_plan.h", "ui/"],
    # The commands use the engine in process: its running part, and what they show of a file, a vocabulary or a device.
    "app/": ["engine/base/", "engine/model/", "engine/text/", "engine/run/", "engine/backend/backend.h",
             "engine/backend/registry.h", "engine/telemetry/", "engine/serve/", "ui/", "app/", "assets/"],
    "tests/": ["engine/", "app/", "assets/", "cuda/", "shaders/", "ui/", "tests/"],
    "bench/": ["engine/", "bench/"],
    # The example shows what a program needs of the engine.
    "docs/": ["engine/base/", "engine/backend/registry.h", "engine/run/"],
}

# Headers of others, beside the C++ standard library, which everyone may use: what they are, and who may include them.
# The first pattern that fits the whole name decides; a header that fits none is a breach.
OTHERS = [
    ("the standard library", r"[a-z_0-9]+", list(TABLE)),
    ("Highway", r"hwy/.+", ["engine/backend/cpu/", "tests/"]),
    ("instruction sets", r"(immintrin|x86intrin|cpuid|arm_neon|arm_acle)\.h", ["engine/backend/cpu/", "tests/"]),
    ("utf8proc", r"utf8proc\.h", ["engine/base/utf8.cpp", "engine/text/"]),
    ("PCRE2, sentencepiece", r"(pcre2|sentencepiece.*)\.h", ["engine/text/"]),
    ("JSON", r"nlohmann/.+", ["app/", "engine/run/calibration_table.cpp", "tests/"]),
    ("command line", r"CLI/.+", ["app/", "tests/"]),
    ("xxHash", r"xxhash\.h", ["engine/run/calibration_table.cpp"]),
    ("libedit", r"histedit\.h", ["app/"]),
    ("Catch2", r"catch2/.+", ["tests/"]),
    ("FlatBuffers", r"flatbuffers/.+", ["engine/telemetry/", "tests/"]),
    ("zlib", r"zlib\.h", ["engine/telemetry/", "tests/"]),
    ("Vulkan", r"(vulkan/.+|volk\.h)", ["engine/backend/vulkan/", "app/window/", "tests/vulkan/", "tests/window/"]),
    ("CUDA", r"(cuda|cublas|device_|nv).*\.h|mma\.h|crt/.+", ["cuda/"]),
    ("ImGui, ImPlot, Markdown", r"(imgui|implot).*\.h", ["ui/", "app/window/", "tests/"]),
    ("GLFW, file dialogs", r"(GLFW/.+|portable_file_dialogs\.h)", ["app/window/"]),
    ("SQLite", r"sqlite3\.h", ["app/chats/", "tests/chats/"]),
    ("the sanitizers", r"sanitizer/.+", ["tests/"]),
    ("the operating system", r"((sys|linux)/.+|[a-z]+\.h)", ["engine/base/platform/", "app/", "tests/"]),
]

SUFFIXES = {".h", ".cpp", ".hpp", ".inc", ".cu", ".cuh"}
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:<([^>]+)>|"([^"]+)")')


def fits(path, place):
    """True if the path is the place, lies under it ("/") or right inside it ("/*")."""
    if place.endswith("/*"):
        return path.startswith(place[:-1]) and "/" not in path[len(place) - 1:]
    return path.startswith(place) if place.endswith("/") else path == place


def breach(file, header, quoted):
    """Why a file may not include a header, or None."""
    rows = [key for key in TABLE if fits(file, key)]
    if not rows:
        return "this folder is not in the table of tests/check_includes.py"
    row = max(rows, key=len)
    top = header.split("/")[0] + "/"
    if "/" in header and any(key.startswith(top) for key in TABLE):
        allowed = TABLE[row]
        if any(fits(header, place) for place in allowed):
            return None
        return f"{row} may not include {header}, only {', '.join(allowed)}"
    if quoted and "/" not in header:
        return f'"{header}": quotes are for headers of ours, named by their path from the top'
    for name, pattern, places in OTHERS:
        if re.fullmatch(pattern, header):
            if any(fits(file, place) for place in places):
                return None
            return f"{header} ({name}) belongs to {', '.join(places)} only"
    return f"{header} is in no row of the table of tests/check_includes.py"


def check(root):
    """Returns the number of files read and the breaches, as lines "file:line: why"."""
    root = pathlib.Path(root)
    tops = sorted({key.split("/")[0] for key in TABLE})
    files = sorted(f for top in tops for f in (root / top).rglob("*") if f.suffix in SUFFIXES)
    found = []
    for file in files:
        name = file.relative_to(root).as_posix()
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            match = INCLUDE.match(line)
            why = match and breach(name, match[1] or match[2], quoted=bool(match[2]))
            if why:
                found.append(f"{name}:{number}: {why}")
    return len(files), found


class TableTest(unittest.TestCase):
    """The check can fail: each rule, by an include that keeps it and one that breaks it."""

    CASES = [
        # file, what it may include, what it may not
        ("engine/base/a.h", "<vector>", '"engine/kv/profile.h"'),
        ("engine/base/a.h", '"engine/base/error.h"', "<hwy/highway.h>"),
        ("engine/base/platform/linux.cpp", "<sys/mman.h>", "<nlohmann/json.hpp>"),
        ("engine/base/a.cpp", "<cstdint>", "<unistd.h>"),
        ("engine/model/a.cpp", '"engine/model/gguf.h"', '"engine/text/tokenizer.h"'),
        ("engine/text/a.cpp", "<pcre2.h>", '"engine/model/gguf.h"'),
        ("engine/text/jinja/a.cpp", "<utf8proc.h>", '"engine/text/tokenizer.h"'),
        ("engine/text/a.cpp", "<sentencepiece_processor.h>", "<CLI/CLI.hpp>"),
        ("engine/kv/a.cpp", '"engine/base/policy.h"', '"engine/backend/backend.h"'),
        ("engine/kv/a.cpp", "<algorithm>", "<immintrin.h>"),
        ("engine/backend/backend.h", '"engine/base/types.h"', "<vulkan/vulkan.h>"),
        ("engine/backend/backend.cpp", '"engine/backend/backend.h"', '"engine/backend/cpu/cpu.h"'),
        ("engine/backend/registry.cpp", '"engine/backend/cpu/cpu.h"', '"engine/run/session.h"'),
        ("engine/backend/cpu/a.cpp", "<hwy/highway.h>", '"engine/backend/vulkan/device.h"'),
        ("engine/backend/cpu/reference/a.cpp", '"engine/backend/cpu/b.h"', '"engine/kv/page_pool.h"'),
        ("engine/backend/vulkan/a.cpp", "<vulkan/vulkan.h>", '"engine/backend/cpu/cpu.h"'),
        ("cuda/a.cu", "<cuda_runtime.h>", '"engine/run/session.h"'),
        ("engine/run/a.cpp", '"engine/backend/backend.h"', '"engine/backend/cpu/cpu.h"'),
        ("engine/run/a.cpp", '"engine/kv/profile.h"', '"app/commands.h"'),
        ("ui/panel.cpp", "<imgui.h>", '"engine/run/session.h"'),
        ("ui/panel.cpp", '"engine/telemetry/mirror.h"', "<vulkan/vulkan.h>"),
        ("ui/panel.cpp", '"engine/kv/keep_plan.h"', '"engine/kv/page_pool.h"'),
        ("app/main.cpp", '"engine/run/session.h"', '"engine/kv/page_pool.h"'),
        ("app/main.cpp", "<CLI/CLI.hpp>", "<pcre2.h>"),
        ("tests/kv/a_test.cpp", "<catch2/catch.hpp>", '"error.h"'),
        ("engine/new/a.cpp", None, "<vector>"),
    ]

    def test_each_rule(self):
        for file, good, bad in self.CASES:
            for include, expected in ((good, 0), (bad, 1)):
                with self.subTest(file=file, include=include), tempfile.TemporaryDirectory() as root:
                    path = pathlib.Path(root, file)
                    path.parent.mkdir(parents=True)
                    path.write_text(f"// first line\n#include {include}\n" if include else "")
                    n_files, found = check(root)
                    self.assertEqual((n_files, len(found)), (1, expected), found)
                    self.assertTrue(all(line.startswith(f"{file}:2: ") for line in found), found)

    def test_what_is_not_an_include(self):
        with tempfile.TemporaryDirectory() as root:
            path = pathlib.Path(root, "engine/kv/a.cpp")
            path.parent.mkdir(parents=True)
            path.write_text('// #include "app/main.h"\n#include HWY_TARGET_INCLUDE\n')
            self.assertEqual(check(root), (1, []))


def main():
    if sys.argv[1:] == ["--self-test"]:
        unittest.main(argv=sys.argv[:1])
    n_files, found = check(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent)
    print("\n".join(found) if found else f"includes: {n_files} files follow the table")
    return 1 if found or n_files == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
