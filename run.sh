#!/usr/bin/env bash
# ./run.sh ARGS is `headroom ARGS` after set-up: Debian packages, the default model, a release build.
# With nothing left to set up it prints nothing, takes under 0.2 s and becomes headroom.
# --no-install: only say which packages are missing, and exit 1 if some are.
set -euo pipefail
# shellcheck source=cmake/setup.sh
source "$(dirname "$(readlink -f "$0")")/cmake/setup.sh"

binary=$root/build/release/app/headroom
install=yes
wants_default_model=yes
[[ -z ${HEADROOM_MODEL-} ]] || wants_default_model=no
arguments=()
for argument; do
  case $argument in
    --no-install) install=no; continue ;;
    -m* | --model | --model=*) wants_default_model=no ;;
  esac
  arguments+=("$argument")
done

# release_is_built: true if no source changed since the last build began.
release_is_built() {
  local name sources=()
  for name in CMakeLists.txt CMakePresets.json cmake app engine shaders cuda ui assets; do
    [[ ! -e $root/$name ]] || sources+=("$root/$name")
  done
  [[ -x $binary && -f $root/build/release/.built ]] &&
    [[ -z $(find "${sources[@]}" -newer "$root/build/release/.built" -print -quit) ]]
}

install_packages "$install" "${run_packages[@]}"
if [[ $wants_default_model == yes ]]; then
  fetch_default_model || fail "there is no default model; with -m FILE another one can be used"
fi
fetch_imgui || fail "the window's toolkit is missing, and the program cannot be built without it"
if ! release_is_built; then
  [[ -x $binary ]] || say "building, for the first time (some minutes)"
  build release || exit 1
fi
exec "$binary" "${arguments[@]}"
