#!/usr/bin/env bash
# Vocabulary files with the token ids that llama.cpp expects for them, out of the source package of llama-cpp-python
# (MIT), into the vocabularies folder; the package and each file are verified by their SHA-256.
# Tests that need a file which is not there are skipped and say so. Safe to repeat.
set -euo pipefail
# shellcheck source=cmake/setup.sh
source "$(dirname "$(readlink -f "$0")")/../cmake/setup.sh"

package=llama-cpp-python==0.3.36
package_sha256=832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e
sums=$root/tests/data/vocabs.sha256

complete() { (cd "$vocabs" 2>/dev/null && sha256sum --check --status --strict "$sums" 2>/dev/null); }

fetch() {
  complete && return
  local parts=$vocabs/.parts
  say "fetching vocabularies for the tests (source of $package) into $vocabs"
  rm -rf "$parts"
  mkdir -p "$parts"
  if ! fetch_package source "$parts" "$package:$package_sha256" >"$parts/log" 2>&1; then
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
