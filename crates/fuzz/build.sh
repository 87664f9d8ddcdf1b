# shellcheck shell=bash
# Part of build.sh: LLVM's libFuzzer over the targets of crates/fuzz, on the stable toolchain.

# The compiler puts counters where code branches and hands comparisons to libFuzzer; both are options of stable
# rustc. With --target, build scripts and macros are left without.
build_fuzz() {
  local host=$1 flags
  flags="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
  flags+=" -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table"
  flags+=" -Cllvm-args=-sanitizer-coverage-trace-compares"
  say "building the fuzz targets"
  own_parts "$CACHE/fuzz" --profile fuzz --target "$host"
  RUSTFLAGS=$flags CARGO_TARGET_DIR=$CACHE/fuzz cargo build --locked --profile fuzz --target "$host" \
    -p onshelf-fuzz --features libfuzzer --bin fuzz >&2
}

# Seconds for each target (60), and which one (all). New inputs stay in the cache, and the next run begins with them; a
# defect's input is left in build/fuzz.
fuzz() {
  local seconds=${1:-60} only=${2:-} host log target found
  setup_base
  # libFuzzer itself is C++.
  have c++ || packages g++ || die "a C++ compiler is missing"
  host=$(rustc -vV | sed -n 's/^host: //p')
  build_fuzz "$host" || return 1
  mkdir -p "$ROOT/build/fuzz"
  for target in "$ROOT"/crates/fuzz/corpus/*/; do
    target=$(basename "$target")
    [ -z "$only" ] || [ "$only" = "$target" ] || continue
    found=$CACHE/fuzz/found/$target
    log=$CACHE/fuzz/$target.log
    mkdir -p "$found"
    if ONSHELF_FUZZ=$target "$CACHE/fuzz/$host/fuzz/fuzz" "$found" "$ROOT/crates/fuzz/corpus/$target" \
      -max_total_time="$seconds" -max_len=8192 -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
      -artifact_prefix="$ROOT/build/fuzz/$target-" >"$log" 2>&1; then
      PASSED=$((PASSED + 1))
      note "$target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") runs in ${seconds} s, $(
        grep -o 'cov: [0-9]*' "$log" | tail -n 1 | cut -d' ' -f2
      ) places reached"
    else
      FAILED=$((FAILED + 1))
      tail -n 30 "$log" >&2
      note "$target: FAILED; its input is in build/fuzz"
    fi
  done
  [ "$FAILED" -eq 0 ]
}
