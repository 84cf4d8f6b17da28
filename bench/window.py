#!/usr/bin/env python3
"""Measures what the window costs, on a separate display (Xvfb) with the driver that Vulkan finds there.

  speed    generation speed in the window divided by that of `headroom run`: same prompt, interleaved, one round each
  idle     processor time of window and engine while nothing happens, in percent of one core
  closing  time from Ctrl+Q in the middle of an answer to the end of both processes, and what was kept

Prints each round and the medians. Needs Xvfb and xdotool; the model is HEADROOM_MODEL or the default one.
Usage: bench/window.py [--headroom BINARY] [--rounds N] [--tokens N] [--idle-seconds N]
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

PROMPT = "Write a long story about a lighthouse keeper and the sea."


@contextlib.contextmanager
def display(size="1600x1000"):
    """Starts a separate X server; yields the name of its display."""
    read, write = os.pipe()
    server = subprocess.Popen(["Xvfb", "-displayfd", str(write), "-noreset", "-screen", "0", size + "x24"], pass_fds=[write],
                              stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as answer:
        name = ":" + answer.readline().strip()
    try:
        yield name
    finally:
        server.kill()
        server.wait()


def cpu_seconds(pid):
    """Processor time used so far by a process and its living children."""
    total = 0.0
    for one in [pid] + children(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = pathlib.Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def children(pid):
    text = pathlib.Path(f"/proc/{pid}/task/{pid}/children")
    return [int(one) for one in text.read_text().split()] if text.exists() else []


def wait_for(what, test, seconds=60):
    """Polls until test() returns something true, and returns it. Polls rarely, since a poll uses the engine's time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = test()
        if found:
            return found
        time.sleep(0.25)
    sys.exit(f"window.py: waited {seconds} s for {what}")


class Window:
    """The program on a display, with a separate data folder."""

    def __init__(self, binary, display_name, folder, tokens):
        self.environment = dict(os.environ, DISPLAY=display_name, XDG_DATA_HOME=folder, XDG_CONFIG_HOME=folder)
        self.environment.pop("WAYLAND_DISPLAY", None)
        self.database = pathlib.Path(folder, "headroom", "chats.sqlite")
        # The configuration that `headroom run` uses, with which it is compared.
        self.process = subprocess.Popen([binary, "chat", "--config", "paper", "--temp", "0", "-n", str(tokens)],
                                        env=self.environment, stdin=subprocess.DEVNULL)
        self.window = wait_for("the window", self.find)

    def find(self):
        found = self.xdotool("search", "--onlyvisible", "--pid", str(self.process.pid))
        return found.split()[0] if found else None

    def xdotool(self, *args):
        return subprocess.run(["xdotool", *args], env=self.environment, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True).stdout.strip()

    def send(self, text):
        self.xdotool("windowfocus", self.window)
        self.xdotool("type", "--delay", "5", text)
        time.sleep(0.3)
        for action in ("keydown", "keyup"):
            self.xdotool(action, "Return")
            time.sleep(0.06)  # a press and release in one frame is sometimes lost

    def answers(self):
        """(text, numbers) of every answer in the database."""
        if not self.database.exists():
            return []
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as base:
            try:
                return [row for row in base.execute(ANSWERS)]
            except sqlite3.Error:
                return []

    def close(self):
        for action, key in (("keydown", "ctrl"), ("keydown", "q"), ("keyup", "q"), ("keyup", "ctrl")):
            self.xdotool(action, key)
        return self.process.wait(10)


# The text of an unfinished answer is in the table pieces.
ANSWERS = """SELECT CAST(content AS TEXT) || coalesce((SELECT group_concat(CAST(content AS TEXT), '') FROM
               (SELECT content FROM pieces WHERE message = messages.id ORDER BY id)), ''), CAST(numbers AS TEXT)
             FROM messages WHERE role = 'assistant' ORDER BY id"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--headroom", default="build/release/app/headroom")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--idle-seconds", type=float, default=10)
    options = parser.parse_args()

    ratios, idles, closings = [], [], []
    with display() as name:
        for number in range(options.rounds):
            alone = json.loads(subprocess.run(
                [options.headroom, "run", "-p", PROMPT, "--temp", "0", "-n", str(options.tokens), "--json"],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout)["generate_tokens_per_s"]
            with tempfile.TemporaryDirectory() as folder:
                window = Window(options.headroom, name, folder, options.tokens)
                time.sleep(2)
                window.send(PROMPT)
                numbers = wait_for("the answer", lambda: window.answers() and window.answers()[0][1])
                shown = float(re.search(r"answer [\d,]+ tokens, ([\d.]+)/s", numbers)[1])
                time.sleep(2)
                before = cpu_seconds(window.process.pid)
                time.sleep(options.idle_seconds)
                idle = 100 * (cpu_seconds(window.process.pid) - before) / options.idle_seconds
                window.close()
            with tempfile.TemporaryDirectory() as folder:
                window = Window(options.headroom, name, folder, 2000)
                time.sleep(2)
                window.send(PROMPT)
                wait_for("an answer", lambda: window.answers() and window.answers()[0][0])
                time.sleep(1)
                kept_before = len(window.answers()[0][0])
                start = time.monotonic()
                window.close()
                closing = time.monotonic() - start
                kept = len(window.answers()[0][0])
            ratios.append(shown / alone)
            idles.append(idle)
            closings.append(closing)
            print(f"round {number + 1}: alone {alone:.1f} tokens/s, in the window {shown:.1f}, ratio {ratios[-1]:.3f}; "
                  f"idle {idle:.2f} % of a core; closed in {closing:.2f} s, kept {kept} bytes of an answer that had "
                  f"{kept_before} a moment before", flush=True)
    print(f"median: ratio {statistics.median(ratios):.3f}, idle {statistics.median(idles):.2f} %, "
          f"closing {statistics.median(closings):.2f} s")


if __name__ == "__main__":
    main()
