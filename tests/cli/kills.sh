# A search whose whole job is killed at random moments, on a number of ranks that changes each
# time: it goes on from its checkpoint and ends with the plan of a search left alone. UAP_KILLS:
# how many times (8).
. "$UAP_SOURCE_DIR/tests/cli/common.bash"

scale=${UAP_TIME_SCALE:-1}
kills=${UAP_KILLS:-8}
RANDOM=${UAP_SEED:-7}
job=(plan -m "$UAP_SOURCE_DIR/configs/models/llama-3.1-405b.json"
    -c "$UAP_SOURCE_DIR/configs/clusters/h100-12288.json" -b 1536 --schedule all --quiet)

run 0 "${job[@]}" -o whole.json
sed '/^ *"search": {/,/}/d' whole.json >whole

# start RANKS: the job in the background; its process is $child.
start() {
    command_line="uniap on $1 ranks, killed"
    if [ "$1" -eq 1 ]; then
        "$UNIAP" "${job[@]}" -o plan.json --checkpoint ck --checkpoint-interval 0.1 >out 2>err &
    else
        mpirun --oversubscribe -n "$1" "$UNIAP" "${job[@]}" -o plan.json --checkpoint ck \
            --checkpoint-interval 0.1 >out 2>err </dev/null &
    fi
    child=$!
}

# figure NAME: of the checkpoint, 0 without one.
figure() {
    local value
    value=$(sed -n "s/^$1 //p" ck 2>/dev/null | head -1)
    echo "${value:-0}"
}

worked=0 went_on=0 ended=0
for i in $(seq "$kills"); do
    start $((RANDOM % 4 + 1))
    sleep "$(awk -v r=$RANDOM -v s="$scale" 'BEGIN { printf "%.2f", s * (0.3 + 1.5 * r / 32768) }')"
    # mpirun and its ranks at once, none of them warned.
    kill -9 $child $(pgrep -P $child) 2>/dev/null
    status=0
    wait $child 2>/dev/null || status=$?
    # It was faster: it ended by itself, or was killed when its plan was written and mpirun had
    # not left yet. Whichever it is, a plan that is there is the whole one.
    if [ $status -eq 0 ] || [ -e plan.json ]; then
        ended=$((ended + 1))
        sed '/^ *"search": {/,/}/d' plan.json | cmp -s whole - ||
            complain "$command_line: half a plan, or another one"
        rm -f ck ck.old plan.json
        worked=0
        continue
    fi
    now=$(figure worked)
    [ "$now" -ge $worked ] || complain "$command_line: $now nodes done, before $worked"
    [ "$now" -eq $worked ] || went_on=$((went_on + 1))
    worked=$now
done
[ $((went_on + ended)) -ge 1 ] || complain "no search got any further in $kills runs"
run_ranks 3 0 "${job[@]}" -o plan.json --checkpoint ck --checkpoint-interval 0.1
sed '/^ *"search": {/,/}/d' plan.json | cmp -s whole - || complain "$command_line: another plan"
echo "$kills kills, $went_on checkpoints went further, $ended runs ended before"
finish
