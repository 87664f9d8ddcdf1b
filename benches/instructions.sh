#!/usr/bin/env bash
# Instructions of the hot paths, counted by valgrind's callgrind: the same on a busy machine as on an idle one.
#
#   benches/instructions.sh PROGRAM
#
# PROGRAM is the example `instructions` of onshelf-model, built for release. Native code without vectors beyond
# the baseline of the target, so counts compare with each other, not with a browser's.
set -euo pipefail
program=$1 times=5
count() {
  valgrind --tool=callgrind --collect-atstart=no --toggle-collect='*counted_work*' \
    --callgrind-out-file=/dev/null "$program" "$1" "$2" "$times" 2>&1 |
    awk -v times="$times" '/Collected *:/ { printf "%d\n", $NF / times }'
}
echo "| work | items | instructions |"
echo "| --- | --- | --- |"
for row in "scan 10000 all scores" "scan 100000 all scores" "encode 10000 one more position encoded" \
  "learn 10000 one learning step, 20 positions"; do
  read -r work items what <<<"$row"
  found=$(count "$work" "$items")
  [ "${found:-0}" -gt 0 ] || { echo "callgrind collected nothing for $work" >&2; exit 1; }
  printf '| %s | %s | %s |\n' "$what" "$items" "$(printf "%d" "$found" | sed ':a;s/\B[0-9]\{3\}\>/,&/;ta')"
done
