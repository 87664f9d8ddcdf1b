# Sourced by build.sh: everything that measures. Its functions use build.sh's own.
# shellcheck shell=bash disable=SC2034,SC2154

# Our side of the peers' fixture into a folder.
build_fixture_module() {
  local to=$1 out=$CACHE/wasm-fixture kind name features
  say "building our sides of the peers' benchmark"
  own_parts "$out" --profile wasm --target $TARGET
  mkdir -p "$to"
  for kind in cpu webgpu; do
    name=onshelf_fixture features=()
    [ $kind = cpu ] || name=onshelf_fixture_webgpu features=(--features webgpu)
    CARGO_TARGET_DIR=$out "${WASM_CARGO[@]}" build "${WASM_FLAGS[@]}" --locked --profile wasm --target $TARGET \
      -p onshelf-fixture ${features[@]+"${features[@]}"} >&2
    wasm-bindgen --target web --no-typescript --out-dir "$to" --out-name $name "$out/$TARGET/wasm/onshelf_fixture.wasm" >&2
    wasm_opt "$to/${name}_bg.wasm" "$to/small.wasm" -O3
    mv "$to/small.wasm" "$to/${name}_bg.wasm"
  done
  cp benches/peers/{ours,ours-webgpu,weights}.mjs benches/peers/page/stopwatch.mjs "$to/"
}

# TensorFlow.js and ONNX Runtime Web against our way of computing, on one fixture in one browser: that of
# ../shared/peers where it is, else our own (ONSHELF_PEERS=own chooses it, ONSHELF_PEERS_OPTIONS goes to run.mjs).
# The shipped student's fixture is always ours.
bench_peers() {
  local shared=$ROOT/../shared/peers own=$ROOT/build/bench/peers-own options=()
  read -ra options <<<"${ONSHELF_PEERS_OPTIONS:-}"
  build_fixture_module "$own/www"
  local models
  models=$(student_of_bench)
  native build --release --locked -p onshelf-fixture --examples >&2
  say "the peers, their packages and the fixtures"
  benches/peers/prepare.sh "$own" "$CACHE/native/release/examples" "$models"
  if [ -x "$shared/run.sh" ] && [ "${ONSHELF_PEERS:-}" != own ]; then
    bench_shared_peers "$shared" "$own/www"
  else
    say "our fixture: every peer, one after the other"
    node benches/peers/run.mjs "$own" sasrec ${options[@]+"${options[@]}"} >&2
    node benches/peers/ratios.mjs "$own/sasrec.json"
  fi
  say "the shipped student"
  node benches/peers/run.mjs "$own" student ${options[@]+"${options[@]}"} >&2
  node benches/peers/ratios.mjs "$own/student.json"
}

# The shared fixture, with our module beside its peers.
bench_shared_peers() {
  local peers=$1 ours=$2 work=$ROOT/build/bench/peers
  mkdir -p "$work/www"
  cp "$ours"/{ours,ours-webgpu,weights,stopwatch}.mjs "$ours"/onshelf_fixture* "$work/www/"
  cat >"$work/extra_peers.json" <<'JSON'
[{ "peer": "onshelf-cpu", "url": "/www/ours.mjs", "opts": {},
   "files": ["www/ours.mjs", "www/weights.mjs", "www/stopwatch.mjs", "www/onshelf_fixture.js", "www/onshelf_fixture_bg.wasm"] },
 { "peer": "onshelf-webgpu", "url": "/www/ours-webgpu.mjs", "opts": {}, "modes": ["head"],
   "files": ["www/ours-webgpu.mjs", "www/weights.mjs", "www/stopwatch.mjs", "www/onshelf_fixture_webgpu.js", "www/onshelf_fixture_webgpu_bg.wasm"] }]
JSON
  say "the peers, one after the other"
  "$peers/run.sh" "$work" -- --quick --reps 3 \
    --only plain-js,tfjs-wasm,ort-wasm,onshelf-cpu,tfjs-webgpu,ort-webgpu,onshelf-webgpu >&2
  node benches/peers/ratios.mjs "$work/results.partial.json"
}

# A model version for the student's fixture: DIGINETICA's where it was built, else one of its size with random numbers.
student_of_bench() {
  local real=$ROOT/build/diginetica/models made=$ROOT/build/bench/made-up-43136
  if [ -e "$real/latest.json" ]; then
    echo "$real"
    return 0
  fi
  if [ ! -e "$made/models/latest.json" ]; then
    native build --release --locked -p onshelf-trainer --example made_up_model >&2
    "$CACHE/native/release/examples/made_up_model" 43136 12 "$made" >&2
  fi
  echo "$made/models"
}

# Instruction counts of the hot paths, where valgrind is.
bench_instructions() {
  say "instructions of the hot paths"
  have valgrind || packages valgrind || { note "skipped: valgrind is not installed (Debian: apt-get install valgrind)"; return 0; }
  native build --release --locked -p onshelf-model --example instructions >&2
  benches/instructions.sh "$CACHE/native/release/examples/instructions"
}

size() {
  say "sizes"
  [ -e "$DIST/onshelf/onshelf_cpu_bg.wasm" ] || { setup_build; build_module cpu; build_module webgpu; build_module sync; build_package; }
  node tests/size.mjs "$DIST" "$BUDGET_CPU" "$BUDGET_WEBGPU" "$BUDGET_SYNC" "$BUDGET_PAGE"
}

# Which crates a module's bytes come from; names are gone after wasm-opt, so before it.
weigh() {
  setup_build
  cargo_tool twiggy "$TWIGGY" twiggy || die "twiggy could not be installed"
  build_module cpu
  build_module webgpu
  local kind
  for kind in cpu webgpu; do
    say "the $kind module"
    twiggy top -n 1000000 -f csv "$CACHE/wasm-$kind/$TARGET/wasm/onshelf.wasm" | node tests/weigh.mjs
  done
}
TWIGGY=0.8.0

bench() {
  build
  setup_browsers
  say "ranking and learning in Chromium"
  train_for_tests
  node tests/bench/browser.mjs --model "$ONSHELF_TEST_MODEL/models" --replay "$ONSHELF_TEST_MODEL/replay.json" --gpu "$@"
  say "from a delta to a sealed report"
  node tests/bench/sync.mjs
  local real=$ROOT/build/diginetica
  [ ! -e "$real/replay.json" ] || node tests/bench/browser.mjs --model "$real/models" --replay "$real/replay.json" --gpu
  say "one more click, by the size of the catalogue"
  local models=() size
  [ ! -e "$real/models/latest.json" ] || models+=("$real/models")
  native build --release --locked -p onshelf-trainer --example made_up_model >&2
  for size in "10000 12" "100000 12" "1000000 8"; do
    local out=$ROOT/build/bench/made-up-${size% *}
    # shellcheck disable=SC2086 # items and subspaces
    [ -e "$out/models/latest.json" ] || "$CACHE/native/release/examples/made_up_model" $size "$out"
    models+=("$out/models")
  done
  node tests/bench/clicks.mjs "${models[@]}" --json "$ROOT/build/bench/clicks.json"
  native run --release --locked -p onshelf-trainer --example plot_clicks -- "$ROOT/build/bench/clicks.json" docs/plots/clicks.svg >&2
  say "the hot paths natively"
  native bench --locked --workspace --bench hot_paths -- --warm-up-time 1 --measurement-time 3 --noplot
  bench_instructions
  say "the main thread while the worker learns"
  if [ -e "$real/models/latest.json" ]; then node tests/bench/main-thread.mjs "$real/models"; else node tests/bench/main-thread.mjs; fi
  say "what the package adds to the main thread while the demo's product page loads"
  if [ -e "$DEMO/products.json" ]; then node tests/bench/blocking.mjs "$DEMO"; else node tests/bench/blocking.mjs "$ONSHELF_TEST_MODEL"; fi
  bench_peers
}

# The main job on real input. Every step is kept, so it goes on where it was interrupted.
diginetica() {
  local source=${1:-$ROOT/../shared/data/ader_diginetica}
  [ -d "$source" ] || die "no DIGINETICA periods in $source; pass the folder that holds period_0.txt.gz and so on"
  build
  setup_browsers
  local dir=$ROOT/build/diginetica
  [ -e "$dir/data/dataset.json" ] || onshelf_cli prepare --input "$source" --out "$dir/data"
  [ -e "$dir/teacher/teacher.json" ] ||
    onshelf_cli train --data "$dir/data" --out "$dir/teacher" --last-period 14 --passes 7
  [ -e "$dir/student/student.json" ] ||
    onshelf_cli distill --data "$dir/data" --teacher "$dir/teacher" --out "$dir/student"
  [ -e "$dir/table.json" ] ||
    onshelf_cli evaluate --data "$dir/data" --teacher "$dir/teacher" --student "$dir/student" \
      --periods 15,16 --out "$dir/table.json"
  [ -e "$dir/models/latest.json" ] ||
    onshelf_cli export --data "$dir/data" --student "$dir/student" --key "$dir/secret.key" --name diginetica --out "$dir/models"
  [ -e "$dir/replay.json" ] ||
    onshelf_cli evaluate --data "$dir/data" --student "$dir/student" --periods 16 --replay "$dir/replay.json" --replay-only
  node tests/bench/browser.mjs --model "$dir/models" --replay "$dir/replay.json" --gpu --json "$dir/browser.json"
}

new_shoppers() {
  local source=${1:-$ROOT/../shared/data/s3rec_amazon/Beauty.txt.gz}
  [ -e "$source" ] || die "no users' histories in $source; pass a file with lines 'user item item …'"
  build
  setup_browsers
  local dir=$ROOT/build/new-shoppers
  onshelf_cli benchmark new-shoppers --input "$source" --out "$dir"
  node tests/bench/new-shoppers.mjs "$dir"
}

# What private rounds are worth, and what poisoned ones do: DIGINETICA's periods as rounds, or groups of Beauty's
# users. Every step is kept, so it goes on where it was interrupted.
federated() {
  local what=${1:-diginetica} known=12 source train=(--passes 7) sizes=(--shoppers 1000,5000,10000)
  local dir=$ROOT/build/federated/$what
  case $what in
    diginetica) source=${2:-$ROOT/../shared/data/ader_diginetica} ;;
    beauty)
      source=${2:-$ROOT/../shared/data/s3rec_amazon/Beauty.txt.gz} known=2 sizes=(--shoppers 1000,3000)
      train=(--passes 12 --dropout 0.5 --max-len 50)
      ;;
    *) die "federated takes diginetica or beauty, and where its data are; not $what" ;;
  esac
  [ -e "$source" ] || die "no $what in $source; name the place of its data after the name"
  if [ "$what" = beauty ]; then
    groups_of_users "$source" "$dir/groups"
    source=$dir/groups
  fi
  [ -e "$dir/data/dataset.json" ] || onshelf_cli prepare --input "$source" --out "$dir/data"
  [ -e "$dir/teacher/teacher.json" ] ||
    onshelf_cli train --data "$dir/data" --out "$dir/teacher" --last-period "$known" "${train[@]}"
  [ -e "$dir/student/student.json" ] ||
    onshelf_cli distill --data "$dir/data" --teacher "$dir/teacher" --out "$dir/student"
  [ -e "$dir/central-teacher/teacher.json" ] ||
    onshelf_cli update --data "$dir/data" --from "$dir/teacher" --out "$dir/central-teacher" --to $((known + 1))
  [ -e "$dir/central-student/student.json" ] ||
    onshelf_cli distill --data "$dir/data" --teacher "$dir/central-teacher" --out "$dir/central-student"
  local rounds=(--data "$dir/data" --from "$dir/student" --seeds 1 --periods 1)
  grep -qs "student of its own" "$dir/rounds/federated.md" ||
    onshelf_cli benchmark federated "${rounds[@]}" "${sizes[@]}" --central "$dir/central-student" --out "$dir/rounds"
  [ -e "$dir/poisoned/done" ] ||
    onshelf_cli benchmark poisoning "${rounds[@]}" --out "$dir/poisoned"
  touch "$dir/poisoned/done"
  cat "$dir/rounds/federated.md" "$dir/poisoned/poisoning.md"
}

# Users' histories have no periods; five groups of users take their place: three train, one learns, one tests.
groups_of_users() {
  local from=$1 to=$2
  [ -e "$to/period_4.txt" ] && return 0
  rm -rf "$to"
  mkdir -p "$to.part"
  zcat -f "$from" | awk -v to="$to.part" '{ file = to "/period_" $1 % 5 ".txt"; for (i = 2; i <= NF; i++) print $1, $i > file }'
  mv "$to.part" "$to"
}
