# A search that jobs of a higher partition take the nodes from three times in a row: it goes
# back into the queue, on from its checkpoint, and ends with the plan of one left alone.
. "$UAP_SOURCE_DIR/tests/slurm/common.bash"
search_options
# shellcheck disable=SC2086 # a list of words
run_ranks 3 0 plan -m "$MODEL" -c "$CLUSTER" -b "$BATCH" $PLAN_OPTIONS -o whole.json
plan_only whole.json >whole
slow_ranks

# figure NAME: of the checkpoint, 0 without one.
figure() {
    local value
    value=$(sed -n "s/^$1 //p" plan.checkpoint 2>/dev/null | head -1)
    echo "${value:-0}"
}

has_checkpoint() {
    [ -e plan.checkpoint ] && [ "$(figure worked)" -gt "$worked" ]
}

worked=-1
LAUNCH=srun submit --nodes=2 --ntasks-per-node=1 --time=10 "$scripts/plan.sbatch"
for i in 1 2 3; do
    until_true 60 state_is RUNNING
    until_true 60 has_checkpoint
    urgent=$(sbatch --parsable --output=urgent.out --partition=urgent --exclusive --nodes=4 \
        --wrap="srun hostname")
    until_true 30 is_over "$urgent"
    until_true 30 was_requeued "$i" || break
    now=$(figure worked)
    [ "$now" -gt "$worked" ] || complain "preemption $i: $now nodes done, before $worked"
    worked=$now
    [ -e plan.checkpoint ] || complain "preemption $i: no checkpoint"
    [ "$i" -lt 3 ] || rm slow
    hurry
done
ended 0
same_plan
[ "$(grep -c 'the search was stopped (status [45]); back into the queue' "$job.out")" -eq 3 ] ||
    complain "$command_line: not stopped three times: $(grep -c . "$job.out") lines"
[ "$(grep -c 'going on from plan.checkpoint' "$job.out")" -eq 3 ] ||
    complain "$command_line: did not go on three times"
[ "$failures" -eq 0 ] || show
finish
