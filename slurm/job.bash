# What the batch scripts of this folder share: their settings, launching on all of the job's
# nodes, the signal before the end, putting a job back into the queue. They source it.
#
#   UNIAP            the program ($UNIAP_HOME/build/release/uniap)
#   LAUNCH           srun (with PMIx, the default) or mpirun
#   RANKS_PER_NODE   --ntasks-per-node where given, else the GPUs the job has on a node, else 1
#   MAX_REQUEUES     how often a job puts itself back into the queue (20; 0: never)
set -uo pipefail
: "${UNIAP:=$UNIAP_HOME/build/release/uniap}" "${LAUNCH:=srun}" "${MAX_REQUEUES:=20}"
: "${RANKS_PER_NODE:=${SLURM_NTASKS_PER_NODE:-${SLURM_GPUS_ON_NODE:-1}}}"
ranks=$((RANKS_PER_NODE * SLURM_JOB_NUM_NODES))
restarts=${SLURM_RESTART_COUNT:-0}

say() {
    echo "$(date '+%F %T') uniap job $SLURM_JOB_ID: $*" >&2
}

die() {
    say "$*"
    exit 2
}

[ -x "$UNIAP" ] || die "no program at $UNIAP (set UNIAP, or UNIAP_HOME to the checkout)"
say "on $SLURM_JOB_NODELIST, $ranks ranks by $LAUNCH, requeued $restarts times before"

# choose NAME...: each of these settings is a list; an element of a job array takes one of all
# combinations, by its number and the first setting fastest, and any other job the first.
choose() {
    local index=${SLURM_ARRAY_TASK_ID:-0} combinations=1 name
    local -a values
    for name in "$@"; do
        read -r -d "" -a values <<<"${!name}"
        [ ${#values[@]} -gt 0 ] || values=("")
        printf -v "$name" %s "${values[index % ${#values[@]}]}"
        index=$((index / ${#values[@]}))
        combinations=$((combinations * ${#values[@]}))
    done
    [ "$index" -eq 0 ] || die "array element $SLURM_ARRAY_TASK_ID: expected 0 to $((combinations - 1))"
}

# ---- Launching -----------------------------------------------------------------------------

# The signal of #SBATCH --signal=B:USR1@90, or Slurm's TERM to this script. Launchers pass USR1
# on to all ranks, whose search then ends with plan and checkpoint; of TERM srun would end them
# at once. Ranks that are still being started hear nothing, so it is said again.
signals=0 launched=
on_signal() {
    signals=$((signals + 1))
    if [ -n "$launched" ] && [ $signals -eq 1 ]; then
        while kill -USR1 "$launched" 2>/dev/null; do
            sleep 2
        done &
    fi
}
trap on_signal USR1 TERM

# launch COMMAND...: on all ranks; returns their status.
launch() {
    local status seen
    [ $signals -eq 0 ] || return 143
    case $LAUNCH in
    srun)
        # --wait: where a rank dies, the others are not waited for until the time limit.
        srun --mpi=pmix --ntasks=$ranks --ntasks-per-node="$RANKS_PER_NODE" --overcommit \
            --wait=30 "$@" &
        ;;
    mpirun)
        mpirun --map-by "ppr:$RANKS_PER_NODE:node" --oversubscribe --bind-to none "$@" &
        ;;
    *) die "LAUNCH: found \"$LAUNCH\", expected srun or mpirun" ;;
    esac
    launched=$!
    # A signal ends the wait, not what is waited for.
    while
        seen=$signals status=0
        wait "$launched" || status=$?
        [ "$seen" -ne "$signals" ]
    do
        :
    done
    launched=
    return $status
}

# ---- The end of a job ----------------------------------------------------------------------

# Whether the ranks ended because the job has to: by the signal above, or by Slurm's to them
# alone where another job takes the nodes.
was_stopped() {
    [ $signals -gt 0 ] ||
        scontrol show job "$SLURM_JOB_ID" | grep -q 'PreemptTime=[0-9]'
}

# Those of the job's nodes that start nothing any more, as a host list.
silent_nodes() {
    local answers
    answers=$(timeout 20 srun --overlap --overcommit --ntasks-per-node=1 \
        --ntasks="$SLURM_JOB_NUM_NODES" printenv SLURMD_NODENAME 2>/dev/null)
    scontrol show hostnames "$SLURM_JOB_NODELIST" | grep -vxF "${answers:-none}" | paste -sd,
}

# requeue REASON: back into the queue, and ended there by Slurm; it returns only where that cannot
# be.
requeue() {
    if [ "$restarts" -ge "$MAX_REQUEUES" ]; then
        say "$1; not requeued: that was done $restarts times (MAX_REQUEUES)"
        return 1
    fi
    say "$1; back into the queue"
    scontrol requeue "$SLURM_JOB_ID" || return 1
    sleep 60
    return 1
}

# end STATUS WHAT: ends the job with it, or puts the job back into the queue where it was
# stopped, or its launcher failed and nodes are gone.
end() {
    local silent
    if was_stopped; then
        requeue "$2 was stopped (status $1)"
    elif [ "$1" -eq 1 ] || [ "$1" -gt 5 ]; then
        silent=$(silent_nodes)
        if [ -n "$silent" ]; then
            # Slurm requeues a job when it has found a node of it DOWN (SlurmdTimeout). A job
            # that does so before may wait for that node for ever.
            say "$2 failed (status $1): no answer from $silent; waiting for Slurm to see it"
            sleep 600 &
            wait
            requeue "no answer from $silent"
        else
            say "$2 failed (status $1); all nodes answer"
        fi
    else
        say "$2 ended with status $1"
    fi
    exit "$1"
}

# ---- Profile and plan ----------------------------------------------------------------------

# The job's nodes, for MODELS, into PROFILE.
measure() {
    local model status=0
    local -a options
    read -r -d "" -a options <<<"$PROFILE_OPTIONS"
    for model in $MODELS; do
        options+=(-m "$model")
    done
    [ ! -e "$PROFILE" ] || options+=(--reuse "$PROFILE")
    launch "$UNIAP" profile -o "$PROFILE" "${options[@]}" || status=$?
    [ $status -eq 0 ] || end $status "the profile"
    say "the profile is in $PROFILE"
}

# A plan for MODEL, BATCH, DEVICES and CLUSTER into PLAN. What a search that was stopped left
# is gone on with on the nodes that it was profiled on, or for a CLUSTER on any; elsewhere
# nodes are profiled, and it begins anew.
find_plan() {
    local status=0 checkpoint=${PLAN%.json}.checkpoint cluster=${CLUSTER:-$PROFILE}
    local nodes=$checkpoint.nodes on=${CLUSTER:-$SLURM_JOB_NODELIST}
    local -a options
    read -r -d "" -a options <<<"$PLAN_OPTIONS"
    [ -z "$DEVICES" ] || options+=(--devices "$DEVICES")
    if [ ! -e "$checkpoint" ] || [ "$(cat "$nodes" 2>/dev/null)" != "$on" ]; then
        rm -f "$checkpoint" "$checkpoint.old"
        [ -n "$CLUSTER" ] || MODELS=$MODEL measure
    else
        say "going on from $checkpoint"
    fi
    echo "$on" >"$nodes"
    launch "$UNIAP" plan -m "$MODEL" -c "$cluster" -b "$BATCH" -o "$PLAN" \
        --checkpoint "$checkpoint" "${options[@]}" || status=$?
    # Where a node fails, srun may end with 0.
    [ $status -ne 0 ] || [ "$PLAN" -nt "$nodes" ] || status=1
    [ $status -eq 0 ] || [ $status -eq 3 ] || end $status "the search"
    rm -f "$checkpoint" "$checkpoint.old" "$nodes"
    [ $status -eq 0 ] || end $status "the search (nothing fits)"
    say "the plan is in $PLAN"
}
