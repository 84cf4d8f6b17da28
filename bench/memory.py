"""Shows whether freed cache is really returned to the system: one long prompt with FastGen and with the full cache.

Prints three numbers side by side: what headroom counts (live and pool bytes), what the kept tokens need, and the
resident set of the process as the system sees it. The resident set is read while headroom waits until its output is
read, so the whole cache is still in place.
Usage: memory.py [--headroom FILE] [-m MODEL] [-t THREADS] [--tokens N] [--text FILE] [-n N]
"""

import argparse
import fcntl
import json
import math
import pathlib
import struct
import subprocess
import sys
import tempfile
import termios
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE_TOKENS = 16
F_SETPIPE_SZ = 1031  # Linux; fcntl names it from Python 3.10 on
PIPE_BYTES = 4096    # less than headroom's JSON, so that it blocks while writing it


def resident_bytes(pid):
    """VmRSS and its part that is not a mapped file."""
    fields = dict(line.split(":", 1) for line in open(f"/proc/{pid}/status") if ":" in line)
    return tuple(int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "RssAnon"))


def bytes_waiting(pipe):
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4))[0]


def run(options, prompt_file, cache):
    """One `headroom run`: its JSON, its resident set and the anonymous part of it at the end."""
    command = [options.headroom, "run", "-f", prompt_file, "--raw", "-n", options.generate, "--temp", 0,
               "--cache", cache, "-t", options.threads, "--json"]
    command += ["-m", options.model] if options.model else []
    process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    fcntl.fcntl(process.stdout, F_SETPIPE_SZ, PIPE_BYTES)
    while bytes_waiting(process.stdout) < PIPE_BYTES and process.poll() is None:
        time.sleep(0.01)
    if process.poll() is not None:
        sys.exit(f"memory: headroom ended with status {process.returncode} and too little output")
    time.sleep(0.05)
    rss, anonymous = resident_bytes(process.pid)
    output = process.stdout.read()
    if process.wait() != 0:
        sys.exit(f"memory: headroom ended with status {process.returncode}")
    return json.loads(output), rss, anonymous


def count_tokens(options, text):
    command = [str(options.headroom), "tokenize", "--json"] + (["-m", str(options.model)] if options.model else [])
    done = subprocess.run(command, input=text.encode(), stdout=subprocess.PIPE, check=True)
    return len(json.loads(done.stdout)["ids"])


def cut_to_tokens(options, text, n_tokens):
    """The longest prefix of whole words that has at most n_tokens tokens."""
    words = text.split(" ")
    low, high = 1, len(words)
    if count_tokens(options, text) < n_tokens:
        sys.exit(f"memory: {options.text} has fewer than {n_tokens} tokens")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count_tokens(options, " ".join(words[:middle])) <= n_tokens else (low, middle)
    return " ".join(words[:low])


def kept_bytes(state):
    """What the kept tokens need, K, V and metadata, without the unused slots of part-filled pages."""
    total = 0.0
    for head in state["heads"]:
        pages = math.ceil(head["kept_tokens"] / PAGE_TOKENS)
        total += head["kept_tokens"] * head["bytes"] / (pages * PAGE_TOKENS) if pages else 0
    return round(total)


def main():
    parser = argparse.ArgumentParser(description="bytes of the KV cache, counted and as the system sees them")
    parser.add_argument("--headroom", type=pathlib.Path, default=ROOT / "build/release/app/headroom")
    parser.add_argument("-m", "--model", type=pathlib.Path)
    parser.add_argument("-t", "--threads", type=int, default=2)
    parser.add_argument("-n", "--generate", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=4000)
    parser.add_argument("--text", type=pathlib.Path, default=pathlib.Path("/usr/share/common-licenses/GPL-3"))
    options = parser.parse_args()

    text = options.text.read_text(encoding="utf-8")
    results = {}
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as prompt:
        prompt.write(cut_to_tokens(options, text, options.tokens))
        prompt.flush()
        for cache in ("full", "fastgen"):
            results[cache] = run(options, prompt.name, cache)

    print(f"{results['full'][0]['n_tokens']} tokens of {options.text}, bytes:")
    print(f"  {'':<32}{'full':>14}{'fastgen':>14}{'difference':>14}")

    def row(name, full, fastgen):
        print(f"  {name:<32}{full:>14,}{fastgen:>14,}{full - fastgen:>14,}")
        return full - fastgen

    full, fastgen = results["full"][0], results["fastgen"][0]
    kept = kept_bytes(fastgen)
    row("kept tokens and their metadata", kept_bytes(full), kept)
    for name in ("kv_live_bytes", "kv_pool_bytes", "kv_full_bytes", "kv_peak_bytes", "turn_log_bytes"):
        if name in full:
            row(name, full[name], fastgen[name])
    saved_resident = row("resident set (VmRSS)", results["full"][1], results["fastgen"][1])
    row("  of it anonymous (RssAnon)", results["full"][2], results["fastgen"][2])
    if "resident_bytes" in full:
        row("  as headroom reads it", full["resident_bytes"], fastgen["resident_bytes"])

    saved_pool = full["kv_pool_bytes"] - fastgen["kv_pool_bytes"]
    print(f"kv_pool_bytes / kept bytes, fastgen            {fastgen['kv_pool_bytes'] / kept:.3f}")
    print(f"resident set saved / pool bytes saved          {saved_resident / saved_pool:.3f}")
    if "kv_peak_bytes" in fastgen:
        n_layers = 1 + max(head["layer"] for head in fastgen["heads"])
        bound = fastgen["kv_pool_bytes"] + full["kv_full_bytes"] / n_layers
        print(f"KV peak / (pool + one layer's full K and V)    {fastgen['kv_peak_bytes'] / bound:.3f}")


if __name__ == "__main__":
    main()
