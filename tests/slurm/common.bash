# shellcheck shell=bash disable=SC2034 # variables for the tests
# What the tests of this folder share, beside tests/cli/common.bash. They run inside the virtual
# cluster (tests/slurm/cluster); VIRTUAL_CLUSTER is its folder.
. "$UAP_SOURCE_DIR/tests/cli/common.bash"
export UNIAP_HOME=$UAP_SOURCE_DIR UNIAP
export MODEL=$UNIAP_HOME/configs/models/bert-huge.json
scripts=$UAP_SOURCE_DIR/slurm
trap 'scancel --user root --quiet' EXIT

cluster() {
    bash "$UAP_SOURCE_DIR/tests/slurm/cluster" "$1" "$VIRTUAL_CLUSTER" "${@:2}"
}

# submit OPTION... SCRIPT: a batch job whose number is then $job and whose output $job.out.
submit() {
    command_line="sbatch $*"
    job=$(sbatch --parsable --output=%A.out "$@") || complain "$command_line: refused"
}

# field NAME [JOB]: of the job, as scontrol names it.
field() {
    scontrol show job -o "${2:-$job}" | grep -oE "(^| )$1=[^ ]*" | head -1 | cut -d= -f2
}

# until_true SECONDS COMMAND...: waits until it is. Looks are counted, not seconds: on a machine
# that stands still meanwhile nothing is late.
until_true() {
    local left=$(($1 * 5))
    shift
    until "$@"; do
        left=$((left - 1))
        if [ $left -eq 0 ]; then
            complain "$command_line: waited too long for: $*; $(squeue -h | tr -s ' ')"
            show
            return 1
        fi
        sleep 0.2
    done
}

is_over() {
    case $(field JobState "${1:-$job}") in
    COMPLETED | FAILED | TIMEOUT | CANCELLED | NODE_FAIL) ;;
    *) return 1 ;;
    esac
}

# state_is STATE: of the job.
state_is() {
    [ "$(field JobState)" = "$1" ]
}

# was_requeued TIMES
was_requeued() {
    [ "$(field Restarts)" -ge "$1" ]
}

is_on_again() {
    local state
    state=$(field JobState)
    if [ "$state" = PENDING ]; then
        sleep 2
        scontrol update JobId="$job" StartTime=now 2>/dev/null
    fi
    [ "$state" = RUNNING ] || is_over
}

# A requeued job waits two minutes; this one need not. (But in the second that its old steps
# were revoked in, new ones would be refused.)
hurry() {
    until_true 60 is_on_again
}

# ended STATUS: waits for the job's end and checks the status that its script ended with.
ended() {
    local status
    until_true 120 is_over || return 0
    status=$(field ExitCode)
    if [ "$status" != "$1:0" ]; then
        complain "$command_line: exit status $status, expected $1:0"
        show
    fi
}

show() {
    grep -vE "^( |$)" "$job.out" | tail -n 40 | sed 's/^/    /' >&2
}

all_are_idle() {
    ! sinfo -h -p batch -o %t | grep -qv '^idle$'
}

# What a test before may have left behind.
command_line="a fresh cluster"
job=none
scancel --user root --quiet
for node in $(sinfo -h -N -p batch -t down -o %N); do
    cluster start "$node"
done
until_true 60 all_are_idle

# A search that takes some seconds of one rank, in 30 jobs or so.
search_options() {
    export CLUSTER=$UNIAP_HOME/configs/clusters/a100-512.json BATCH=960
    export MODEL=$UNIAP_HOME/configs/models/gpt3-175b.json
    export PLAN_OPTIONS="--seq 2048 --granularity operator --schedule all --memory-gib 24
        --checkpoint-interval 0.5 --quiet"
}

# Ranks that work only an eighth of the time as long as the file `slow` is there: a search that
# is sure to be still at work when something happens to it, on machines of any speed.
slow_ranks() {
    touch slow
    cat >slowed <<'SH'
#!/usr/bin/env bash
me=$$
(
    trap '' USR1 TERM # which go to all that a task runs
    while sleep 0.1 && kill -0 $me 2>/dev/null; do
        [ ! -e "$SLOW" ] || { kill -STOP $me; sleep 0.7; kill -CONT $me; }
    done
) >/dev/null 2>&1 </dev/null &
exec "$SLOWED" "$@"
SH
    chmod +x slowed
    export SLOW=$PWD/slow SLOWED=$UNIAP UNIAP=$PWD/slowed
}
