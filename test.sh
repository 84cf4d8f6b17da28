#!/usr/bin/env bash
# The tests, from nothing: packages, models, style, a release with asserts and its tests, ten seconds per fuzzer.
# Ends with the line "N passed, N failed", where a test case of either build, a check and a fuzzer each count as one;
# the exit status is 0 only if nothing failed. Safe to repeat; what is there is not fetched or built again.
#   --full            what a push is judged by: also the sanitizers (address and undefined behaviour; threads), more
#                     kills, a minute per fuzzer, and the checks of the archives that set-up fetches
#   --no-install      only say which packages are missing, and exit 1 if some are
#   --all-models      also fetch the test models of tests/fetch_models.sh (0.75 GB)
#   --fuzz-seconds N  time per fuzzer
set -euo pipefail
# shellcheck source=cmake/setup.sh
source "$(dirname "$(readlink -f "$0")")/cmake/setup.sh"
cd "$root"

install=yes
all_models=no
is_full=no
fuzz_seconds=
while (($# > 0)); do
  case $1 in
    --no-install) install=no ;;
    --all-models) all_models=yes ;;
    --full) is_full=yes ;;
    --fuzz-seconds)
      fuzz_seconds=${2-}
      [[ $fuzz_seconds =~ ^[1-9][0-9]*$ ]] || { say "--fuzz-seconds expects a number, found '$fuzz_seconds'"; exit 2; }
      shift
      ;;
    *) say "unknown option $1, expected --full, --no-install, --all-models or --fuzz-seconds N"; exit 2 ;;
  esac
  shift
done
[[ -n $fuzz_seconds ]] || { [[ $is_full == yes ]] && fuzz_seconds=60 || fuzz_seconds=10; }

export HEADROOM_MODEL=$models/$default_model HEADROOM_MODELS=$models HEADROOM_VOCABS=$vocabs
export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_init_order=1:allocator_may_return_null=1
export UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1  # a program that a test has started too: nobody reads what it says at its end
logs=$root/build/test-logs
mkdir -p "$logs"
passed=0
failed=0

# step NAME COMMAND…: runs a command and prints its name and time; returns its status.
step() {
  local name=$1 start=$SECONDS status=0
  shift
  "$@" || status=$?
  echo "== $name $((SECONDS - start)) s"
  return "$status"
}

# check NAME COMMAND…: a step that counts as one; its output is shown if it fails.
check() {
  local name=$1
  shift
  if step "$name" "$@" >"$logs/check" 2>&1; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "  FAILED $name"
  fi
  tail -n 30 "$logs/check"
}

# needed NAME COMMAND…: a step that everything after it stands on; it counts only if it fails.
needed() {
  step "$@" && return
  failed=$((failed + 1))
  echo "  FAILED $1"
  return 1
}

fetch_models() {
  if [[ $all_models == yes ]]; then tests/fetch_models.sh; else fetch_default_model; fi
}

# run_programs PRESET: every test program of a build.
run_programs() {
  local counts=0\ 1 status=0
  rm -f "$logs/counts"
  python3 tests/run_programs.py --counts "$logs/counts" "build/$1"/tests/test_* || status=1
  [[ ! -f $logs/counts ]] || counts=$(<"$logs/counts")
  passed=$((passed + ${counts% *}))
  failed=$((failed + ${counts#* }))
  return "$status"
}

# What runs on several threads is the same with a tiny model: the default one, slow under the thread sanitizer, is left
# out, and the tests that need it are skipped.
run_programs_thread() {
  local -x HEADROOM_MODEL='' HEADROOM_MODELS=$root/build/thread
  run_programs thread
}

# fuzz_one PROGRAM: starts from the seeds that its build made or that tests/fuzz holds; new inputs go to
# build/fuzz/corpus, an input that breaks it to build/fuzz/found. Memory is bounded, since a hostile length must be
# refused before it is allocated.
fuzz_one() {
  local name corpus seeds subject
  name=$(basename "$1")
  subject=${name%_fuzz}
  corpus=build/fuzz/corpus/$subject
  mkdir -p "$corpus" build/fuzz/found
  local folders=("$corpus")
  for seeds in "build/fuzz/tests/fuzz/seeds/$subject" "tests/fuzz/seeds/$subject"; do
    [[ ! -d $seeds ]] || folders+=("$seeds")
  done
  "$1" -max_total_time="$fuzz_seconds" -timeout=10 -rss_limit_mb=2048 -malloc_limit_mb=512 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/found/$name-" "${folders[@]}" </dev/null >"$logs/$name" 2>&1
}

# fuzz: every target for $fuzz_seconds, two at a time.
fuzz() {
  local target name runs status=0
  rm -f "$logs"/*.failed
  for target in build/fuzz/tests/fuzz/*_fuzz; do
    while (($(jobs -rp | wc -l) >= 2)); do wait -n || true; done
    { fuzz_one "$target" || touch "$logs/$(basename "$target").failed"; } &
  done
  wait
  for target in build/fuzz/tests/fuzz/*_fuzz; do
    name=$(basename "$target")
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$logs/$name" 2>/dev/null || true)
    if [[ -e $logs/$name.failed ]]; then
      status=1
      failed=$((failed + 1))
      echo "  FAILED $name"
      tail -n 40 "$logs/$name" 2>/dev/null | sed 's/^/    | /' || true
    else
      passed=$((passed + 1))
      echo "  $name: ${runs:-no} inputs"
    fi
  done
  return "$status"
}

# The C++ files that are ours: those that git knows or would add, or all of them where this is no checkout.
sources() {
  git -c safe.directory='*' ls-files --cached --others --exclude-standard -- '*.cpp' '*.h' 2>/dev/null ||
    find . -path ./build -prune -o \( -name '*.cpp' -o -name '*.h' \) -print
}
format() {
  local file files=()
  while read -r file; do [[ ! -f $file ]] || files+=("$file"); done < <(sources)
  clang-format-14 --dry-run --Werror "${files[@]}"
}
includes() { python3 tests/check_includes.py --self-test && python3 tests/check_includes.py; }
references() { python3 tests/check_references.py --self-test && python3 tests/check_references.py; }
# Kills the window and its engine often enough to find what is lost seldom.
run_programs_with_kills() {
  local -x HEADROOM_KILLS=180 HEADROOM_ENGINE_KILLS=20
  run_programs test
}

step packages install_packages "$install" "${run_packages[@]}" "${test_packages[@]}"
needed models fetch_models || true
needed toolkit fetch_imgui || true
needed vocabularies tests/fetch_vocabs.sh || true
check format format
check includes includes
check references references
if needed "release with asserts: build" build test; then
  if [[ $is_full == yes ]]; then run_tests=run_programs_with_kills; else run_tests="run_programs test"; fi
  step "release with asserts: tests" $run_tests || true
fi
if [[ $is_full == yes ]]; then
  check archives tests/check_archives.sh
  if needed "sanitize: build" build sanitize; then
    step "sanitize: tests" run_programs sanitize || true
  fi
  if needed "thread: build" build thread; then
    step "thread: tests" run_programs_thread || true
  fi
fi
if needed "fuzz: build" build fuzz; then
  step "fuzz: $fuzz_seconds s each" fuzz || true
fi
echo "$passed passed, $failed failed"
((failed == 0))
