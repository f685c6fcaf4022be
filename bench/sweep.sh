#!/usr/bin/env bash
# What a sweep saves against runs of its counts one by one: wall seconds, and sums of the
# searches' CPU seconds, nodes and labels (docs/sweep.md). usage: bench/sweep.sh UNIAP RANKS COUNTS ARGUMENT-OF-PLAN...
set -euo pipefail
uniap=$1 ranks=$2 counts=$3
shift 3
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
launch=(mpirun --oversubscribe -n "$ranks")

# sums FILE...: of the plans' statistics.
sums() {
    cat "$@" | awk -F'[:,]' '/^    "(cpu_s|nodes|labels)":/ { gsub(/[" ]/, "", $1); sum[$1] += $2 }
        END { printf "%.2f CPU s, %d nodes, %d labels\n", sum["cpu_s"], sum["nodes"], sum["labels"] }'
}

start=$(date +%s%N)
"${launch[@]}" "$uniap" plan "$@" --sweep-devices "$counts" --plans "$folder/sweep" --quiet
between=$(date +%s%N)
mkdir "$folder/alone"
for plan in "$folder"/sweep/plan-*.json; do
    count=${plan##*plan-}
    "${launch[@]}" "$uniap" plan "$@" --devices "${count%.json}" -o "$folder/alone/${plan##*/}" --quiet || [ $? -eq 3 ]
done
end=$(date +%s%N)

# line NAME NANOSECONDS FILE...
line() {
    printf '%-11s %d.%01d s, %s\n' "$1:" $(($2 / 1000000000)) $(($2 / 100000000 % 10)) "$(sums "${@:3}")"
}
line sweep $((between - start)) "$folder"/sweep/*
line "one by one" $((end - between)) "$folder"/alone/*
