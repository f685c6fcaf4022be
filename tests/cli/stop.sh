# Searches that are stopped: a time limit and signals end with a plan and 4, or without and 5.
. "$UAP_SOURCE_DIR/tests/cli/common.bash"

# An instance of unlike layers and dense random costs that takes far longer than this test:
# a minute, also where sanitizers make everything slow.
scale=${UAP_TIME_SCALE:-1}
hard_instance $((scale > 1 ? 120 : 200)) 40 >hard.json

# stopped STATUS SECONDS: 4 with a plan that is not proven or 5 without one.
stopped() {
    case $1 in
    4)
        says plan.json '"status": "feasible"'
        grep -q '"tpi_s"' plan.json || complain "$command_line: no value"
        ;;
    5) absent plan.json ;;
    *) complain "$command_line: exit status $1, expected 4 or 5" ;;
    esac
    rm -f plan.json
    [ "$2" -lt $((20 * scale)) ] || complain "$command_line: took $2 seconds"
}

# The search has begun, however slow the machine.
wait_for_search() {
    local i
    for i in $(seq 300); do
        grep -q '^instance hard' err && break
        sleep 0.1
    done
    sleep 1
}

command_line="uniap solve --time-limit"
start=$SECONDS status=0
"$UNIAP" solve hard.json -o plan.json --time-limit 1 >out 2>err || status=$?
stopped $status $((SECONDS - start))

for signal in USR1 TERM INT; do
    command_line="uniap solve, then $signal"
    status=0
    rm -f err
    # A shell starts background jobs with INT ignored; the program takes it all the same.
    "$UNIAP" solve hard.json -o plan.json >out 2>err &
    child=$!
    wait_for_search
    start=$SECONDS
    kill -$signal $child
    wait $child || status=$?
    stopped $status $((SECONDS - start))
done

# A file that takes a second to read: hard.json with one very long name. A signal while it
# is read ends the program with one line, and nothing is searched.
head -c 80000000 /dev/zero | tr '\0' s >name
{
    sed '/^"strategies"/,$d' hard.json
    printf '"strategies": [["'
    cat name
    sed -n '/^"strategies"/s/^"strategies": \[\["s0//p' hard.json
    sed '1,/^"strategies"/d' hard.json
} >long.json
rm name

# takes_signals PID: the process has a handler for TERM (bit 14 of what it catches).
takes_signals() {
    local caught
    caught=$(sed -n 's/^SigCgt:[[:space:]]*//p' "/proc/$1/status" 2>/dev/null)
    [ -n "$caught" ] && [ $((0x$caught & 0x4000)) -ne 0 ]
}

for signal in USR1 TERM; do
    command_line="uniap solve, $signal while it reads"
    status=0
    "$UNIAP" solve long.json -o plan.json >out 2>err &
    child=$!
    for i in $(seq $((3000 * scale))); do
        ! takes_signals $child || break
        sleep 0.01
    done
    kill -$signal $child
    wait $child || status=$?
    [ $status -eq 5 ] || complain "$command_line: exit status $status, expected 5"
    one_line
    says err "stopped before a plan was found"
    absent plan.json
done
rm long.json

command_line="uniap plan, USR1 while it dumps"
status=0
"$UNIAP" plan -m "$UAP_SOURCE_DIR/configs/models/llama-3.1-8b.json" \
    -c "$UAP_SOURCE_DIR/configs/clusters/h100-1024.json" -b 1024 --seq 4096 \
    -o plan.json --dump-instances dump --quiet >out 2>err &
child=$!
for i in $(seq $((3000 * scale))); do
    [ -z "$(ls dump 2>/dev/null | grep -m1 '\.lp$')" ] || break
    sleep 0.01
done
kill -USR1 $child
wait $child || status=$?
[ $status -eq 5 ] || complain "$command_line: exit status $status, expected 5"
one_line
absent plan.json
rm -rf dump

command_line="mpirun -n 3 uniap solve --time-limit"
start=$SECONDS status=0
mpirun --oversubscribe -n 3 "$UNIAP" solve hard.json -o plan.json --time-limit 1 \
    >out 2>err || status=$?
stopped $status $((SECONDS - start))

command_line="mpirun -n 2 uniap solve, then USR1"
status=0
rm -f err
mpirun --oversubscribe -n 2 "$UNIAP" solve hard.json -o plan.json >out 2>err &
child=$!
wait_for_search
start=$SECONDS
kill -USR1 $child
wait $child || status=$?
stopped $status $((SECONDS - start))
finish
