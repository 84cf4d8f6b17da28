#!/usr/bin/env bash
# Vocabulary files with the token ids that llama.cpp expects for them, out of the source package of llama-cpp-python
# (MIT), into the vocabularies folder; each is verified by its SHA-256. Nothing of the package is built or installed.
# Tests that need a file which is not there are skipped and say so. Safe to repeat.
set -euo pipefail
# shellcheck source=cmake/setup.sh
source "$(dirname "$(readlink -f "$0")")/../cmake/setup.sh"

package=llama-cpp-python==0.3.36
sums=$root/tests/data/vocabs.sha256

complete() { (cd "$vocabs" 2>/dev/null && sha256sum --check --status --strict "$sums" 2>/dev/null); }

fetch() {
  complete && return
  local parts=$vocabs/.parts
  say "fetching vocabularies for the tests (source of $package) into $vocabs"
  rm -rf "$parts"
  mkdir -p "$parts"
  if ! TMPDIR=$parts python3 -m pip download --no-deps --no-binary llama-cpp-python --no-input \
    --disable-pip-version-check --dest "$parts" "$package" </dev/null >"$parts/log" 2>&1; then
    tail -n 5 "$parts/log" >&2
    say "pip could not fetch $package, its reason is above"
    return 1
  fi
  tar -xzf "$parts"/llama_cpp_python-*.tar.gz -C "$parts" --strip-components=4 --wildcards \
    '*/vendor/llama.cpp/models/ggml-vocab-*' || return
  local file
  while read -r _ file; do mv "$parts/$file" "$vocabs/$file" || return; done <"$sums"
  rm -rf "$parts"
  if ! complete; then
    say "the vocabularies in $vocabs are not those that $sums lists"
    return 1
  fi
}

mkdir -p "$vocabs"
# One fetch at a time; whoever waited finds the files there.
( flock 9 && fetch ) 9>"$vocabs/.lock"
