"""Speed against llama.cpp in one interleaved run: medians, and the ratio of headroom to llama.cpp pair by pair.

Both run the same tests (a prompt of N tokens, or N generated tokens, either after a given depth) with the same number
of threads. They alternate A B A B, since absolute speeds vary between runs on a shared machine; ratios measured side by
side do not. llama.cpp runs twice, with its default attention and with flash attention off; its cache is whole and in 16
bits. --config may name several configurations of headroom; the ratios belong to the first one. With --profile-cost,
headroom is compared with itself instead: the prefill that measures and compacts under each configuration against the
prefill that does not (full).

Needs the Python package llama-cpp-python (not for --profile-cost) and a built headroom.
Usage: compare_llamacpp.py [options] MODEL.gguf…
"""

import argparse
import ctypes
import datetime
import json
import os
import pathlib
import platform
import random
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


class LlamaCpp:
    """llama.cpp through its C functions: one model, and one context whose cache is kept at a depth between rounds."""

    def __init__(self, model_path, n_threads, n_ctx, flash_attention):
        import llama_cpp  # only here, so that --profile-cost needs no package

        self.api = llama_cpp
        self.quiet = llama_cpp.llama_log_callback(lambda level, text, data: None)
        llama_cpp.llama_log_set(self.quiet, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        model_options = llama_cpp.llama_model_default_params()
        model_options.n_gpu_layers = 0
        self.model = llama_cpp.llama_model_load_from_file(str(model_path).encode(), model_options)
        if not self.model:
            sys.exit(f"compare_llamacpp: llama.cpp cannot load {model_path}")
        self.n_vocab = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.model))
        options = llama_cpp.llama_context_default_params()
        options.n_ctx = n_ctx
        options.n_threads = options.n_threads_batch = n_threads
        if not flash_attention:
            options.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
        self.context = llama_cpp.llama_init_from_model(self.model, options)
        if not self.context:
            sys.exit(f"compare_llamacpp: llama.cpp cannot make a context of {n_ctx} tokens for {model_path}")
        self.memory = llama_cpp.llama_get_memory(self.context)
        self.random = random.Random(1)
        self.depth = 0
        self.decode(32)
        self.truncate(0)

    def decode(self, n_tokens):
        """Feeds random tokens as one batch after the cached ones; computes the logits of the last one."""
        tokens = (ctypes.c_int32 * n_tokens)(*(self.random.randrange(self.n_vocab) for _ in range(n_tokens)))
        if self.api.llama_decode(self.context, self.api.llama_batch_get_one(tokens, n_tokens)) != 0:
            sys.exit("compare_llamacpp: llama_decode failed")
        self.api.llama_synchronize(self.context)

    def truncate(self, depth):
        """Brings the cache to a depth: removes the tokens beyond it or computes the missing ones."""
        kept = min(depth, self.depth)
        if kept == 0 or not self.api.llama_memory_seq_rm(self.memory, 0, kept, -1):
            self.api.llama_memory_clear(self.memory, True)
            kept = 0
        while kept < depth:
            n_tokens = min(512, depth - kept)
            self.decode(n_tokens)
            kept += n_tokens
        self.depth = depth

    def speed(self, kind, n_tokens, depth):
        """Tokens per second of one test, "pp" or "tg", after a depth."""
        self.truncate(depth)
        start = time.perf_counter()
        if kind == "pp":
            for first in range(0, n_tokens, 2048):
                self.decode(min(2048, n_tokens - first))
        else:
            for _ in range(n_tokens):
                self.decode(1)
        seconds = time.perf_counter() - start
        self.depth = depth + n_tokens
        return n_tokens / seconds

    def close(self):
        self.api.llama_free(self.context)
        self.api.llama_model_free(self.model)


def headroom_speeds(options, model, depth, config, prompt, generate):
    """One run of `headroom bench` under a configuration, as headroom:0.5: tokens per second by test name."""
    name, _, keep = config.partition(":")
    command = [options.headroom, "bench", "-m", model, "-t", options.threads, "-p", prompt, "-n", generate,
               "--depth", depth, "--config", name, *(["--keep", keep] if keep else []), "--reps", 1, "--json"]
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        sys.exit(f"compare_llamacpp: {' '.join(map(str, command))} ended with status {done.returncode}")
    return {result["test"]: result["tokens_per_s"]["median"] for result in json.loads(done.stdout)["results"]}


def spread(values, digits):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def report(title, test, speeds, ours, others):
    """Prints one line per engine. Every other engine's line ends with the ratio of headroom to it, taken per round."""
    print(f"\n{title}, {test}, tokens/s: median (lowest to highest) of {len(speeds[ours])} rounds")
    print(f"  {ours:<34} {spread(speeds[ours], 1)}")
    for other in others:
        ratios = [a / b for a, b in zip(speeds[ours], speeds[other])]
        print(f"  {other:<34} {spread(speeds[other], 1):<28} ratio {spread(ratios, 3)}")
    sys.stdout.flush()


def in_turn(order, n_rounds, measure):
    """Calls measure(name) for each name, round after round, every second round in reverse; values by name."""
    values = {name: [] for name in order}
    for number in range(n_rounds):
        for name in order if number % 2 == 0 else reversed(order):
            values[name].append(measure(name))
            time.sleep(0.2)  # until the threads of the previous engine have stopped spinning
        print(f"  round {number + 1} of {n_rounds}", end="\r", file=sys.stderr, flush=True)
    return values


def compare_engines(options, model, depth):
    n_ctx = (depth + options.prompt + options.generate + 255) // 256 * 256
    engines = {"llama.cpp": LlamaCpp(model, options.threads, n_ctx, flash_attention=True),
               "llama.cpp, no flash attention": LlamaCpp(model, options.threads, n_ctx, flash_attention=False)}
    kinds = [(kind, n) for kind, n in (("pp", options.prompt), ("tg", options.generate)) if n > 0]

    ours = {f"headroom, {config}": config for config in options.config}

    def measure(name):
        if name in ours:
            return headroom_speeds(options, model, depth, ours[name], options.prompt, options.generate)
        return {f"{kind}{n}": engines[name].speed(kind, n, depth) for kind, n in kinds}

    order = [*engines, *ours]
    first = next(iter(ours))
    rounds = in_turn(order, options.rounds, measure)
    for kind, n in kinds:
        speeds = {name: [values[f"{kind}{n}"] for values in rounds[name]] for name in order}
        report(model.name, f"{kind}{n} at depth {depth}", speeds, first, [name for name in order if name != first])
    for engine in engines.values():
        engine.close()


def compare_profile_cost(options, model, n_tokens):
    def measure(config):
        return headroom_speeds(options, model, 0, config, n_tokens, 0)[f"pp{n_tokens}"]

    speeds = in_turn(["full", *(config for config in options.config if config != "full")], options.rounds, measure)
    for config in speeds:
        if config == "full":
            continue
        report(model.name, f"pp{n_tokens}", speeds, config, ["full"])
        costs = [full / ours for full, ours in zip(speeds["full"], speeds[config])]
        print(f"  time under {config} / without: {spread(costs, 3)}", flush=True)


def machine():
    """The machine on which the figures were measured, for docs/measurements.md."""
    names = [line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    flags = open("/proc/cpuinfo").read().split()
    simd = [flag for flag in ("avx2", "avx_vnni", "avx512f", "avx512_vnni") if flag in flags]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores, {' '.join(simd)}"


def numbers(text):
    return [int(part) for part in text.split(",")]


def main():
    parser = argparse.ArgumentParser(description="speed of headroom against llama.cpp, interleaved")
    parser.add_argument("models", nargs="+", type=pathlib.Path)
    parser.add_argument("--headroom", type=pathlib.Path, default=ROOT / "build/release/app/headroom")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompt", type=int, default=512, help="prompt tokens (512)")
    parser.add_argument("--generate", type=int, default=64, help="generated tokens (64)")
    parser.add_argument("--depth", type=numbers, default=[0], help="tokens in the cache before the test (0), as 0,4096")
    parser.add_argument("--config", type=lambda text: text.split(","), metavar="NAME[:KEEP],…",
                        help="configurations of headroom, as headroom:0.5,paper,full (full; with --profile-cost paper)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profile-cost", type=numbers, metavar="N,N",
                        help="prompt lengths, as 512,4096: prefill with profile against prefill without")
    options = parser.parse_args()

    options.config = options.config or (["paper"] if options.profile_cost else ["full"])
    for path in [options.headroom, *options.models]:
        if not path.is_file():
            sys.exit(f"compare_llamacpp: {path} is not there")
    print(f"{datetime.date.today()}, {machine()}, {options.threads} threads")
    if os.getloadavg()[0] > 0.5:
        print(f"compare_llamacpp: this machine is busy (load {os.getloadavg()[0]:.1f}): ratios will be off, above all "
              "llama.cpp's, whose threads wait by spinning", file=sys.stderr)
    if not options.profile_cost:
        try:
            import llama_cpp
        except ImportError:
            sys.exit("compare_llamacpp: the Python package llama-cpp-python is not installed")
        print(f"llama-cpp-python {llama_cpp.__version__}: {llama_cpp.llama_print_system_info().decode()}")
    for model in options.models:
        if options.profile_cost:
            for n_tokens in options.profile_cost:
                compare_profile_cost(options, model, n_tokens)
        else:
            for depth in options.depth:
                compare_engines(options, model, depth)


if __name__ == "__main__":
    main()
