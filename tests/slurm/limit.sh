# A search that reaches its job's time limit leaves the best plan so far: with 4 where the job
# may not go back into the queue, and from there on where it may.
. "$UAP_SOURCE_DIR/tests/slurm/common.bash"
search_options
slow_ranks

has_checkpoint() {
    [ -e plan.checkpoint ]
}

# Slurm looks at the time every half a minute: the signal comes that much before its 50 s at
# most.
MAX_REQUEUES=0 submit --nodes=2 --ntasks-per-node=1 --time=1 --signal=B:USR1@50 "$scripts/plan.sbatch"
ended 4
says "$job.out" "the search was stopped (status 4); not requeued"
says plan.json '"status": "feasible"'
[ -e plan.checkpoint ] || complain "$command_line: no checkpoint"

# The same signal by hand: what another job with the same PLAN goes on from.
LAUNCH=mpirun submit --nodes=2 --ntasks-per-node=1 --time=10 "$scripts/plan.sbatch"
until_true 30 state_is RUNNING
until_true 30 grep -qs "going on from plan.checkpoint" "$job.out"
sleep 2
scancel --batch --signal=USR1 "$job"
until_true 30 was_requeued 1
rm slow
hurry
ended 0
says plan.json '"status": "optimal"'
finish
