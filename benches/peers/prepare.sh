#!/usr/bin/env bash
# Fills the benchmark's work folder: peers from npm, adapters bundled, fixtures made and their expected
# outputs computed.
#
#   benches/peers/prepare.sh WORK BIN [MODELS]
#
# BIN has the examples make_fixture and student_fixture; MODELS is a published model version (the folder of
# latest.json) for the student's fixture, which is left out without one. Nothing outside WORK is written.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$1 bin=$2 models=${3:-}
peers=benches/peers
mkdir -p "$work/www" "$work/fixture"

# The same packages in every run: versions are pinned in list.mjs.
wanted=$(node --input-type=module -e "
  const { PACKAGES } = await import('./$peers/list.mjs');
  console.log(Object.entries(PACKAGES).map(([name, version]) => name + '@' + version).join(' '));")
if [ "$(cat "$work/installed" 2>/dev/null || true)" != "$wanted" ]; then
  [ -e "$work/package.json" ] || echo '{ "private": true }' >"$work/package.json"
  # shellcheck disable=SC2086 # one word for each package
  npm install --prefix "$work" --no-package-lock --no-audit --no-fund --loglevel error $wanted >&2
  echo "$wanted" >"$work/installed"
fi

for adapter in tfjs-wasm tfjs-webgpu ort; do
  NODE_PATH=$work/node_modules npx --no-install esbuild "$peers/page/$adapter.mjs" --bundle --minify --format=esm \
    --target=es2022 --log-level=error --outfile="$work/www/$adapter.mjs"
done
cp "$peers/ours-student.mjs" "$work/www/"

python=$work/python/bin/python
if ! cmp -s "$peers/requirements-reference.txt" "$work/python/installed"; then
  python3 -m venv "$work/python"
  "$work/python/bin/pip" install --quiet --disable-pip-version-check -r "$peers/requirements-reference.txt" >&2
  cp "$peers/requirements-reference.txt" "$work/python/installed"
fi

# Makes a fixture unless what makes it is as it was.
fixture() {
  local name=$1 out=$work/fixture/$1 sum
  shift
  sum=$(cat "$peers"/{reference,graphs}.py "$@" | sha256sum)
  [ "$(cat "$out/made" 2>/dev/null || true)" != "$sum" ] || return 0
  rm -rf "$out"
  if [ "$name" = sasrec ]; then "$bin/make_fixture" "$out"; else "$bin/student_fixture" "$models" "$out"; fi
  PYTHONDONTWRITEBYTECODE=1 "$python" "$peers/reference.py" "$name" "$out" >&2
  [ "$name" = sasrec ] || cp -r "$models" "$out/models"
  echo "$sum" >"$out/made"
}
fixture sasrec "$bin/make_fixture"
[ -z "$models" ] || fixture student "$bin/student_fixture" "$models/latest.json"
