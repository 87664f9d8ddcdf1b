#!/usr/bin/env bash
# Training steps of onshelf and of PyTorch in turns, five times each: medians and their ratio.
#
#   benches/peers/compare_training.sh [--setup] DATA [option of both, e.g. --positions 2048 --negatives 2048]
#
# DATA is a folder that `onshelf prepare` wrote. --setup makes the Python environment first, in
# build/peers; PEERS names another one. RUNS is the number of turns.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ "${1-}" = --setup ]; then
  shift
  python3 -m venv build/peers
  build/peers/bin/pip install --quiet -r benches/peers/requirements.txt
fi
[ $# -ge 1 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
data=$1
shift
python=${PEERS:-build/peers}/bin/python
[ -x "$python" ] || { echo "$python is not there; --setup makes it" >&2; exit 2; }
# Both get the same; what is given later counts.
options=(--data "$data" --last-period 14 --positions 1024 --negatives 1024 --steps 60 --warm-up 20 --threads 2)

cargo build --release --quiet -p onshelf-trainer --example train_speed
onshelf=${CARGO_TARGET_DIR:-target}/release/examples/train_speed
lines=$(mktemp)
trap 'rm -f "$lines"' EXIT
for _ in $(seq "${RUNS:-5}"); do
  echo "onshelf $("$onshelf" "${options[@]}" "$@")" >>"$lines"
  echo "pytorch $("$python" benches/peers/train_pytorch.py "${options[@]}" "$@")" >>"$lines"
done
"$python" - "$lines" <<'PYTHON'
import json, statistics, sys

runs = {"onshelf": [], "pytorch": []}
for line in open(sys.argv[1]):
    name, _, result = line.partition(" ")
    runs[name].append(json.loads(result))
median = {}
for name, results in runs.items():
    of = lambda key: statistics.median(r[key] for r in results)
    speeds = sorted(r["tokens_per_second"] for r in results)
    median[name] = of("tokens_per_second")
    print(
        f"{name}: {median[name]:,.0f} tokens/s (from {speeds[0]:,.0f} to {speeds[-1]:,.0f}), "
        f"{of('ms_per_step'):.1f} ms a step, peak {of('peak_rss_mib'):.0f} MiB"
    )
print(f"onshelf / pytorch: {median['onshelf'] / median['pytorch']:.2f}")
PYTHON
