#!/usr/bin/env bash
# The one entry: everything a person or CI does with this repository. `./build.sh help` lists it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
ROOT=$PWD

CACHE=${ONSHELF_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/onshelf}
TOOLS=$CACHE/tools
DIST=$ROOT/dist
DEMO=${ONSHELF_DEMO:-$ROOT/build/demo}
TARGET=wasm32-unknown-unknown
export PATH=$TOOLS/bin:$PATH
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto}

# Budgets in bytes of brotli (quality 11): a module with the JavaScript that starts it.
BUDGET_CPU=350000
BUDGET_WEBGPU=1300000
# The sync module is fetched beside another one: itself and its glue alone.
BUDGET_SYNC=150000
# index.js, the one file that a page's main thread loads.
BUDGET_PAGE=8192

say() { printf '\033[1m== %s\033[0m\n' "$*" >&2; }
note() { printf '   %s\n' "$*" >&2; }
die() { printf '\033[1;31monshelf: %s\033[0m\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

help() {
  cat <<'TEXT'
./build.sh COMMAND

  setup     install what is missing: system packages, the wasm32 library, tools, npm packages
  build     the three WebAssembly modules, the npm packages, the demo shop and the console, into dist/
  demo      build, train on a simulated shop (once), and serve the shop at a local address
            demo --sync: a round of private sums instead: two aggregators, 1,200 shoppers' reports (12 of them
            from Chromium), a collector, the next model version, the operator's console; --once ends it by itself
  train     only the training of the demo: simulate, prepare, train, distill, export
  docs      the documentation site, into build/site
  test      check, then every test: Rust, and real browsers
  check     formatting, Clippy (native and wasm), TypeScript types, dependency audit, architecture
  fuzz      every reader of outside bytes under libFuzzer: seconds for each target (60), and which (all);
            crates/fuzz, CONTRIBUTING.md
  bench     ranking and learning in Chromium on the tests' model version and, if built, DIGINETICA's; by size
            of the catalogue; and against TensorFlow.js and ONNX Runtime Web (benches/peers/README.md)
  diginetica  the main job on real clicks, if ../shared/data has them: train on periods 0 to 14,
            test on 15 and 16 beside the baselines, publish, and repeat real sessions in Chromium
  size      bytes of index.js and the modules, raw, gzip and brotli; fails above the budget
  weigh     what weighs what in each module, by crate, before wasm-opt
  new-shoppers  learning on people who never entered training (Amazon Beauty, if ../shared/data has it):
            natively, and 200 of them again in Chromium
  federated  what private rounds are worth and poisoned ones do, on diginetica (default) or beauty, if ../shared/data
            has them; an hour and more
  clean     remove dist/ and build/ (the shared cache stays: `clean --cache` removes it too)
  onshelf   the command line, e.g. `./build.sh onshelf inspect dist`

Environment: ONSHELF_CACHE (compiled parts and tools), ONSHELF_DEMO (the demo's data), PORT,
CHROMIUM, FIREFOX (browser programs), ONSHELF_WASM_STD=installed|rustup|debian (which wasm32
standard library; default: the first that can be had), ONSHELF_PEERS=own (bench on our fixture
though ../shared/peers has one), ONSHELF_JANUS (a folder with Janus's program and schema, docs/scale.md;
without it the rounds at Janus's servers are skipped and counted).
TEXT
}

# ---------------------------------------------------------------- set-up

# Installs Debian packages where that is allowed; else says what to install.
packages() {
  local missing=()
  for package in "$@"; do
    dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  if ! have apt-get; then
    note "not a Debian or Ubuntu system; please install the equivalents of: ${missing[*]}"
    return 1
  fi
  local root=()
  if [ "$(id -u)" -ne 0 ]; then
    if have sudo && sudo -n true 2>/dev/null; then
      root=(sudo -n)
    else
      note "no permission to install; please run: sudo apt-get install -y ${missing[*]}"
      return 1
    fi
  fi
  say "installing ${missing[*]}"
  local log=$CACHE/apt.log
  mkdir -p "$CACHE"
  if ! { "${root[@]}" apt-get update -qq &&
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    note "could not install ${missing[*]}; see $log"
    return 1
  fi
}

setup_base() {
  have git || die "git is missing; install it (Debian: apt-get install git)"
  have cargo || die "cargo is missing; install stable Rust from https://rustup.rs (1.95 or newer)"
  local wanted found
  wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
  found=$(rustc --version | cut -d' ' -f2)
  [ "$(printf '%s\n' "$wanted" "$found" | sort -V | head -n 1)" = "$wanted" ] ||
    die "rustc is $found, $wanted or newer is needed; run: rustup update stable"
  have node || die "node is missing; install Node.js 20 or newer"
  [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ] || die "node is $(node --version), 20 or newer is needed"
  have cc || packages gcc libc6-dev || die "a C compiler is missing"
}

# Puts the way to build for wasm32 into WASM_CARGO (a command) and WASM_FLAGS.
setup_wasm_std() {
  local want=${ONSHELF_WASM_STD:-}
  WASM_CARGO=(cargo) WASM_FLAGS=()
  local dir
  dir=$(rustc --print target-libdir --target $TARGET 2>/dev/null || true)
  if [ "$want" = "" ] || [ "$want" = installed ]; then
    if [ -d "$dir" ]; then return 0; fi
    [ "$want" = "" ] || die "ONSHELF_WASM_STD=installed, but there is no $TARGET library in the toolchain"
  fi
  if [ "$want" = "" ] || [ "$want" = rustup ]; then
    if have rustup && rustup target add $TARGET >&2; then return 0; fi
    [ "$want" = "" ] || die "rustup could not add $TARGET"
    note "rustup cannot add $TARGET here; trying Debian's packages"
  fi
  packages rustc-web cargo-web rust-web-src rust-web-llvm lld-22 ||
    die "no standard library for $TARGET: run 'rustup target add $TARGET', or install Debian's rustc-web, cargo-web, rust-web-src, rust-web-llvm and lld-22"
  WASM_CARGO=(env "PATH=/usr/bin:$PATH" RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 /usr/bin/cargo)
  WASM_FLAGS=("-Zbuild-std=std,panic_abort")
}

# The version of a crate in the lock file.
locked() {
  awk -v name="\"$1\"" '$1 == "name" && $3 == name { found = 1 } found && $1 == "version" { gsub(/"/, "", $3); print $3; exit }' Cargo.lock
}

# Installs a cargo tool into the cache unless that version is there: CRATE VERSION BINARY and options. Its own
# lock file is tried first; where a registry lacks a version in it, the newest that fit are taken.
cargo_tool() {
  local crate=$1 version=$2 binary=$3 found
  found=$("$TOOLS/bin/$binary" --version 2>/dev/null | awk '{print $2}') || true
  [ "${found#v}" = "$version" ] && return 0
  say "installing $crate $version (a few minutes, once)"
  local log=$CACHE/$crate.log
  mkdir -p "$CACHE"
  CARGO_TARGET_DIR=$CACHE/tools-build cargo install "$crate" --version "=$version" --root "$TOOLS" --locked "${@:4}" >"$log" 2>&1 ||
    CARGO_TARGET_DIR=$CACHE/tools-build cargo install "$crate" --version "=$version" --root "$TOOLS" "${@:4}" >"$log" 2>&1 ||
    { tail -n 5 "$log" >&2; return 1; }
  rm -rf "$CACHE/tools-build"
}

setup_npm() {
  local stamp=node_modules/.package-lock.stamp
  if ! cmp -s package-lock.json $stamp; then
    say "installing npm packages"
    npm ci --no-fund --no-audit >&2 || die "npm ci failed; is the npm registry reachable?"
    cp package-lock.json $stamp
  fi
}

setup_build() {
  setup_base
  setup_wasm_std
  cargo_tool wasm-bindgen-cli "$(locked wasm-bindgen)" wasm-bindgen || die "wasm-bindgen-cli could not be installed"
  setup_npm
}

setup_browsers() {
  [ -x "${CHROMIUM:-/usr/bin/chromium}" ] || packages chromium || note "tests in Chromium will be skipped"
  [ -x "${FIREFOX:-/usr/bin/firefox-esr}" ] || packages firefox-esr || note "tests in Firefox will be skipped"
}

# The aggregators' tests start a PostgreSQL of their own from the system's programs.
have_postgres() { compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }
# Tests of a full database mount a small disk, which takes root.
may_mount() {
  local dir done=1
  dir=$(mktemp -d)
  if mount -t tmpfs -o size=64m tmpfs "$dir" 2>/dev/null; then umount "$dir" && done=0; fi
  rmdir "$dir"
  return $done
}
setup_postgres() { have_postgres || packages postgresql || note "tests on PostgreSQL will be skipped"; }

setup() {
  setup_build
  setup_browsers
  setup_postgres
  cargo_tool cargo-deny "$DENY" cargo-deny || note "cargo-deny is missing: the dependency audit will be skipped"
  setup_docs || note "mdbook is missing: the book's links will not be followed"
}
DENY=0.20.2

# ---------------------------------------------------------------- building

# The compiled parts of other crates are shared by all checkouts. Ours are not: cargo tells by times
# alone whether they are fresh, and would take those of another checkout for this one's.
own_parts() {
  local dir=$1
  shift
  [ "$(cat "$dir/checkout" 2>/dev/null || true)" = "$ROOT" ] && return 0
  [ ! -d "$dir" ] || CARGO_TARGET_DIR=$dir cargo clean --quiet --workspace "$@" ||
    die "$dir cannot be cleared of another checkout's parts; run: ./build.sh clean --cache"
  mkdir -p "$dir"
  echo "$ROOT" >"$dir/checkout"
}

native() {
  own_parts "$CACHE/native" --release
  CARGO_TARGET_DIR=$CACHE/native cargo "$@"
}

# Tests build the program as well, with features that their own dependencies add: after them it is there, and
# building it once more would compile Burn a second time.
CLI_BUILT=
onshelf_cli() {
  [ -n "$CLI_BUILT" ] || native build --release --locked -p onshelf-trainer --bin onshelf >&2
  ONSHELF_COMMIT=$(git rev-parse --short HEAD 2>/dev/null || echo unknown) "$CACHE/native/release/onshelf" "$@"
}

# wasm-opt with the features that our modules use: IN OUT and options.
wasm_opt() {
  npx --no-install wasm-opt "$1" -o "$2" "${@:3}" --enable-simd --enable-bulk-memory \
    --enable-nontrapping-float-to-int --enable-sign-ext --enable-mutable-globals --enable-reference-types \
    --enable-multivalue >&2
}

# One WebAssembly module into dist/onshelf. A module that did not change is not optimised again.
build_module() {
  local kind=$1
  local features=(--no-default-features --features "$kind")
  local out=$CACHE/wasm-$kind
  say "building the $kind module"
  own_parts "$out" --profile wasm --target $TARGET
  CARGO_TARGET_DIR=$out "${WASM_CARGO[@]}" build "${WASM_FLAGS[@]}" --locked --profile wasm --target $TARGET --lib -p onshelf "${features[@]}" >&2
  local raw=$out/$TARGET/wasm/onshelf.wasm sum
  sum=$(sha256sum "$raw" | cut -c1-64)
  if [ "$(cat "$out/glue/$sum" 2>/dev/null || true)" != done ]; then
    rm -rf "$out/glue"
    wasm-bindgen --target web --no-typescript --out-dir "$out/glue" --out-name "onshelf_$kind" "$raw" >&2
    say "optimising the $kind module"
    wasm_opt "$out/glue/onshelf_${kind}_bg.wasm" "$out/glue/small.wasm" \
      -Oz --strip-debug --strip-producers --strip-target-features
    mv "$out/glue/small.wasm" "$out/glue/onshelf_${kind}_bg.wasm"
    npx --no-install esbuild "$out/glue/onshelf_$kind.js" --minify --format=esm --allow-overwrite \
      --log-level=warning --outfile="$out/glue/onshelf_$kind.js" >&2
    echo done >"$out/glue/$sum"
  fi
  mkdir -p "$DIST/onshelf"
  cp "$out/glue/onshelf_$kind.js" "$out/glue/onshelf_${kind}_bg.wasm" "$DIST/onshelf/"
}

build_package() {
  say "building the npm package, the demo shop and the console"
  local esbuild=(npx --no-install esbuild --bundle --format=esm --minify --sourcemap --target=es2022 --log-level=warning)
  "${esbuild[@]}" www/onshelf/src/index.ts --external:./debug.js --outfile="$DIST/onshelf/index.js"
  "${esbuild[@]}" www/onshelf/src/debug.ts --outfile="$DIST/onshelf/debug.js"
  "${esbuild[@]}" www/onshelf/src/server.ts --outfile="$DIST/onshelf/server.js"
  "${esbuild[@]}" www/onshelf/src/worker.ts --outfile="$DIST/onshelf/onshelf-worker.js"
  "${esbuild[@]}" www/onshelf/src/privacy.ts --outfile="$DIST/onshelf/privacy.js"
  "${esbuild[@]}" www/onshelf/src/shelf-element.ts --outfile="$DIST/onshelf/shelf.js"
  "${esbuild[@]}" www/onshelf/src/react.ts --external:react --outfile="$DIST/onshelf/react.js"
  "${esbuild[@]}" www/onshelf/src/service-worker.ts --outfile="$DIST/onshelf/service-worker.js"
  # For importScripts: not every browser runs modules as service workers.
  "${esbuild[@]}" www/onshelf/src/service-worker.ts --format=iife --global-name=onshelfServiceWorker \
    --outfile="$DIST/onshelf/service-worker-classic.js"
  npx --no-install tsc -p www/onshelf/tsconfig.types.json
  cp www/onshelf/package.json www/onshelf/README.md docs/errors.md LICENSE-MIT LICENSE-APACHE "$DIST/onshelf/"
  node www/integrity.mjs "$DIST/onshelf"
  mkdir -p "$DIST/shop"
  "${esbuild[@]}" www/shop/src/main.ts --outfile="$DIST/shop/main.js"
  "${esbuild[@]}" www/shop/src/two.ts --outfile="$DIST/shop/two.js"
  "${esbuild[@]}" www/shop/src/styles.css --outfile="$DIST/shop/styles.css"
  "${esbuild[@]}" www/shop/src/two.css --outfile="$DIST/shop/two.css"
  cp www/shop/*.html "$DIST/shop/"
  mkdir -p "$DIST/console"
  "${esbuild[@]}" www/console/src/main.ts --outfile="$DIST/console/console.js"
  "${esbuild[@]}" www/console/src/styles.css --outfile="$DIST/console/styles.css"
  cp www/console/index.html "$DIST/console/"
  build_testing
}

# For shops' own tests; takes `onshelf` from beside it.
build_testing() {
  local esbuild=(npx --no-install esbuild --bundle --format=esm --target=es2022 --log-level=warning) name types
  for name in index playwright; do
    "${esbuild[@]}" --platform=node --external:onshelf "www/testing/src/$name.ts" --outfile="$DIST/testing/$name.js"
  done
  "${esbuild[@]}" --minify www/testing/src/engine.ts --outfile="$DIST/testing/engine.js"
  # Types of the package itself come along, since the sources lead to them; they are not part of this one.
  types=$(mktemp -d)
  npx --no-install tsc -p www/testing --noEmit false --declaration --emitDeclarationOnly --outDir "$types"
  cp "$types"/testing/src/*.d.ts "$DIST/testing/"
  rm -rf "$types"
  cp www/testing/package.json www/testing/README.md LICENSE-MIT LICENSE-APACHE "$DIST/testing/"
}

build() {
  setup_build
  build_module cpu
  build_module webgpu
  build_module sync
  build_package
}

# ---------------------------------------------------------------- demo

# Trains on the simulated shop, unless a model version is there already.
train() {
  setup_base
  if [ -e "$DEMO/models/latest.json" ] && [ -e "$DEMO/products.json" ]; then
    note "the demo's model is there already ($DEMO; remove it to train again)"
    return 0
  fi
  say "simulating a shop and training its model (about three minutes)"
  # Five weeks. The last two are news to the model: one decides in `demo --sync`, the other's shoppers contribute.
  onshelf_cli simulate --out "$DEMO/logs" --products 3000 --shoppers 6000 --days 35 --seed 7
  onshelf_cli prepare --input "$DEMO/logs" --out "$DEMO/data" --period-days 7
  onshelf_cli train --data "$DEMO/data" --out "$DEMO/teacher" --last-period 2 --passes 6
  onshelf_cli distill --data "$DEMO/data" --teacher "$DEMO/teacher" --out "$DEMO/student" --passes 4 --coded-passes 3
  cp "$DEMO/logs/products.json" "$DEMO/products.json"
  onshelf_cli export --data "$DEMO/data" --student "$DEMO/student" --key "$DEMO/secret.key" --name demo --out "$DEMO/models"
}

demo() {
  case ${1:-} in
    "" | --sync) ;;
    *) die "demo takes no option $1; it takes --sync, and --once after that" ;;
  esac
  build
  train
  mkdir -p "$DEMO/site"
  cp "$DIST"/shop/* "$DEMO/products.json" "$DEMO/site/"
  if [ "${1:-}" = --sync ]; then
    shift
    demo_sync "$@"
    return
  fi
  say "the demo shop is ready; open the address below (Ctrl-C ends it)"
  note "two shoppers, side by side: the same address with /two.html"
  exec node www/serve.mjs --port "${PORT:-8080}" --log "/=$DEMO/site" "/onshelf/=$DIST/onshelf" "/models/=$DEMO/models"
}

# A whole round of private sums on this machine: two aggregators, 1,200 reports, a collector, the next version.
demo_sync() {
  setup_browsers
  [ "${CLI_BUILT:-}" = yes ] || native build --release --locked -p onshelf-server >&2
  say "a round of private sums"
  exec node tests/demo/sync.mjs --programs "$CACHE/native/release" --demo "$DEMO" --port "${PORT:-8080}" "$@"
}

# ---------------------------------------------------------------- documentation

# shellcheck source=docs/book/build.sh
. "$ROOT/docs/book/build.sh"

# ---------------------------------------------------------------- checks and tests

check() {
  setup
  say "formatting"
  cargo fmt --all --check
  npx --no-install prettier --log-level warn --check "www/**/*.{ts,mjs,css,html}" "tests/**/*.mjs" "docs/**/*.{mjs,js,css}" "benches/**/*.mjs" "examples/**/*.{js,jsx,html,css}" "*.json"
  say "Clippy, native"
  native clippy --release --locked --workspace --all-targets -- -D warnings
  say "Clippy, native, with S3"
  native clippy --release --locked -p onshelf-trainer --features s3 -- -D warnings
  say "Clippy, native, with GPUs"
  # A check runs no code, so it needs not the LLVM that CUDA's build script would fetch.
  own_parts "$CACHE/native-gpu" --release
  DOCS_RS=1 CARGO_TARGET_DIR=$CACHE/native-gpu cargo clippy --release --locked -p onshelf-trainer --features s3,wgpu,cuda -- -D warnings
  say "Clippy, wasm32 (blocking reads are banned there)"
  for kind in cpu webgpu sync; do
    own_parts "$CACHE/wasm-$kind" --profile wasm --target $TARGET
    CLIPPY_CONF_DIR=$ROOT/tests/clippy-wasm CARGO_TARGET_DIR=$CACHE/wasm-$kind "${WASM_CARGO[@]}" clippy "${WASM_FLAGS[@]}" \
      --locked --profile wasm --target $TARGET --lib -p onshelf -p onshelf-model --no-default-features \
      --features "onshelf/$kind" -- -D warnings
  done
  say "TypeScript"
  npx --no-install tsc --noEmit -p www/onshelf
  npx --no-install tsc --noEmit -p www/shop
  npx --no-install tsc --noEmit -p www/console
  npx --no-install tsc --noEmit -p www/testing
  audit
}

audit() {
  say "dependency audit"
  have cargo-deny || { note "SKIPPED: cargo-deny is not installed"; SKIPPED=$((SKIPPED + 1)); return 0; }
  cargo-deny --locked --workspace check --hide-inclusion-graph licenses bans sources
  if cargo-deny --locked --workspace check --hide-inclusion-graph advisories >"$CACHE/advisories.log" 2>&1; then
    note "no known vulnerability"
  elif grep -qiE "failed to (fetch|clone|open|load).*advisor|unable to (fetch|clone)|failed to prepare fetch|error sending request|IO error occurred|couldn.t (resolve|connect)" "$CACHE/advisories.log"; then
    note "SKIPPED: the advisory database cannot be reached from here"
    SKIPPED=$((SKIPPED + 1))
  else
    cat "$CACHE/advisories.log" >&2
    die "the advisory check failed"
  fi
}

PASSED=0 FAILED=0 SKIPPED=0

# Adds up what cargo's test runner printed.
count_rust() {
  local sums
  sums=$(awk '/^test result:/ { p += $4; f += $6; i += $8 } END { print p+0, f+0, i+0 }' "$1")
  read -r p f s <<<"$sums"
  PASSED=$((PASSED + p)) FAILED=$((FAILED + f)) SKIPPED=$((SKIPPED + s))
}

# Adds up what node's test runner printed.
count_node() {
  local p f s c
  # `# pass 12` and so on, at the end.
  p=$(sed -n 's/^# pass \([0-9]*\)$/\1/p' "$1" | tail -n 1)
  f=$(sed -n 's/^# fail \([0-9]*\)$/\1/p' "$1" | tail -n 1)
  c=$(sed -n 's/^# cancelled \([0-9]*\)$/\1/p' "$1" | tail -n 1)
  s=$(sed -n 's/^# skipped \([0-9]*\)$/\1/p' "$1" | tail -n 1)
  PASSED=$((PASSED + ${p:-0})) FAILED=$((FAILED + ${f:-0} + ${c:-0})) SKIPPED=$((SKIPPED + ${s:-0}))
}

run_tests() {
  check
  build_module cpu
  build_module webgpu
  build_module sync
  build_package
  size
  say "Rust tests"
  have_postgres || { note "SKIPPED: the aggregators' tests on PostgreSQL, which is not installed"; SKIPPED=$((SKIPPED + 1)); }
  may_mount || { note "SKIPPED: the aggregators' tests of a full database: no disk can be mounted here"; SKIPPED=$((SKIPPED + 1)); }
  local log=$CACHE/test.log failed=0
  native test --release --locked --workspace --no-fail-fast 2>&1 | tee "$log" || failed=1
  count_rust "$log"
  [ -x "$CACHE/native/release/onshelf" ] && CLI_BUILT=yes
  say "fuzzing, three seconds for each target"
  fuzz 3 || failed=1
  say "browser tests"
  train_for_tests
  # The server was built with its own tests.
  native build --release --locked --workspace --example open_report --example known_reports --example aggregator_without_noise >&2
  export ONSHELF_OPEN_REPORT=$CACHE/native/release/examples/open_report ONSHELF_SERVER=$CACHE/native/release/onshelf-server
  node --test --test-concurrency=1 --test-reporter=tap tests/browser/*.test.mjs 2>&1 | tee "$log" || failed=1
  count_node "$log"
  printf '\nonshelf: %d passed, %d failed, %d skipped\n' "$PASSED" "$FAILED" "$SKIPPED"
  [ "$failed" -eq 0 ] && [ "$FAILED" -eq 0 ]
}

# A small simulated shop with its model, for browser tests.
train_for_tests() {
  local dir=$ROOT/build/test
  export ONSHELF_TEST_MODEL=$dir
  onshelf_cli --version >/dev/null
  local sum
  sum=$(sha256sum "$CACHE/native/release/onshelf" | cut -c1-64)
  [ "$(cat "$dir/done" 2>/dev/null || true)" = "$sum" ] && return 0
  say "training a small model for the browser tests"
  rm -rf "$dir"
  onshelf_cli simulate --out "$dir/logs" --products 600 --shoppers 1200 --days 28 --seed 3
  onshelf_cli prepare --input "$dir/logs" --out "$dir/data" --period-days 7
  onshelf_cli train --data "$dir/data" --out "$dir/teacher" --last-period 2 --passes 3 --dim 48
  onshelf_cli distill --data "$dir/data" --teacher "$dir/teacher" --out "$dir/student" --passes 2 --coded-passes 2
  onshelf_cli export --data "$dir/data" --student "$dir/student" --key "$dir/secret.key" --name test --out "$dir/models"
  onshelf_cli evaluate --data "$dir/data" --student "$dir/student" --periods 3 --replay "$dir/replay.json" --replay-sessions 60 --replay-only
  onshelf_cli benchmark new-shoppers --quick --data "$dir/data" --out "$dir/new-shoppers"
  cp "$dir/logs/products.json" "$dir/products.json"
  echo "$sum" >"$dir/done"
}

# shellcheck source=crates/fuzz/build.sh
. "$ROOT/crates/fuzz/build.sh"

# ---------------------------------------------------------------- figures

# shellcheck source=benches/build.sh
. "$ROOT/benches/build.sh"

clean() {
  rm -rf "$DIST" "$ROOT/build"
  [ "${1:-}" != --cache ] || rm -rf "$CACHE"
}

command=${1:-help}
[ $# -eq 0 ] || shift
case $command in
  setup | build | demo | train | docs | check | fuzz | bench | diginetica | federated | size | weigh | clean) "$command" "$@" ;;
  test) run_tests "$@" ;;
  new-shoppers) new_shoppers "$@" ;;
  onshelf) setup_base; onshelf_cli "$@" ;;
  help | -h | --help) help ;;
  *) help >&2; die "unknown command $command" ;;
esac
