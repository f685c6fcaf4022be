# A node ends, with all that runs on it, while a search uses it: the job says so, goes back into
# the queue and on from its checkpoint on other nodes. UAP_LAUNCHERS: with which (srun);
# `ctest -C long -R slurm.node_dies` does both.
. "$UAP_SOURCE_DIR/tests/slurm/common.bash"
search_options
# shellcheck disable=SC2086 # a list of words
run_ranks 3 0 plan -m "$MODEL" -c "$CLUSTER" -b "$BATCH" $PLAN_OPTIONS -o whole.json
plan_only whole.json >whole
slow_ranks

has_checkpoint() {
    [ -e plan.checkpoint ]
}

node_is() {
    [ "$(sinfo -h -p batch -n "$1" -o %t)" = "$2" ]
}

for LAUNCH in ${UAP_LAUNCHERS:-srun}; do
    export LAUNCH
    rm -f plan.json plan.checkpoint*
    touch slow
    submit --nodes=2 --ntasks-per-node=1 --nodelist=n1 --time=10 "$scripts/plan.sbatch"
    until_true 30 state_is RUNNING
    node=$(scontrol show hostnames "$(field NodeList)" | tail -1)
    until_true 60 has_checkpoint
    cluster kill "$node"
    until_true 60 was_requeued 1 || continue
    [ -e plan.checkpoint ] || complain "$command_line: no checkpoint"
    rm slow
    hurry
    ended 0
    same_plan
    grep -qE "Node failure on $node|no answer from $node" "$job.out" ||
        complain "$command_line: not told that $node is gone"
    says "$job.out" "going on from plan.checkpoint"
    case ,$(scontrol show hostnames "$(field NodeList)" | paste -sd,), in
    *,"$node",*) complain "$command_line: on $node again" ;;
    esac
    [ "$failures" -eq 0 ] || show
    cluster start "$node"
    until_true 30 node_is "$node" idle
done
finish
