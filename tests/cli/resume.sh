# Searches that are stopped or killed and go on from their checkpoints.
. "$UAP_SOURCE_DIR/tests/cli/common.bash"

models=$UAP_SOURCE_DIR/configs/models
clusters=$UAP_SOURCE_DIR/configs/clusters
scale=${UAP_TIME_SCALE:-1}
large=(plan -m "$models/llama-3.1-405b.json" -c "$clusters/h100-12288.json" -b 1536
    --schedule all --quiet)

# Stopped by a limit, by USR1, by a gap: each leaves what the next run goes on from.
run 0 "${large[@]}" -o whole.json
plan_only whole.json >whole
rm -f ck ck.old
status=0
"$UNIAP" "${large[@]}" -o plan.json --checkpoint ck --time-limit 0.4 >out 2>err || status=$?
command_line="uniap plan --time-limit"
[ $status -eq 4 ] || [ $status -eq 5 ] || complain "$command_line: exit status $status"
[ "$(sed -n 's/^nodes //p' ck | head -1)" -gt 0 ] || complain "$command_line: no open nodes"

command_line="mpirun -n 3 uniap plan, then USR1"
status=0
mpirun --oversubscribe -n 3 "$UNIAP" "${large[@]}" -o plan.json --checkpoint ck >out 2>err \
    </dev/null &
child=$!
sleep $((2 * scale))
kill -USR1 $child
wait $child || status=$?
case $status in
0 | 4 | 5) ;;
*) complain "$command_line: exit status $status" ;;
esac
run 0 "${large[@]}" -o plan.json --checkpoint ck --gap 0.05 --log-json log
grep -q '"resumed": true' log || complain "$command_line: not resumed"
run 0 "${large[@]}" -o plan.json --checkpoint ck
same_plan

# One rank killed: the launcher ends the job and says so, the checkpoint stands.
rm -f ck ck.old plan.json
command_line="mpirun -n 3 uniap plan, one rank killed"
status=0
mpirun --oversubscribe -n 3 "$UNIAP" "${large[@]}" -o plan.json --checkpoint ck \
    --checkpoint-interval 0.1 >out 2>err </dev/null &
child=$!
for i in $(seq $((100 * scale))); do
    [ ! -e ck ] || break
    sleep 0.1
done
kill -9 "$(pgrep -P $child | tail -1)"
wait $child || status=$?
[ $status -ne 0 ] || complain "$command_line: exit status 0"
grep -qi "exited on signal 9\|killed" err || complain "$command_line: not said"
absent plan.json
run_ranks 2 0 "${large[@]}" -o plan.json --checkpoint ck --log-json log
grep -q '"resumed": true' log || complain "$command_line: not resumed"
same_plan

# Events for machines: each a line, the search's ones in order.
for event in start progress incumbent checkpoint end message; do
    [ $event = message ] || grep -q "\"event\": \"$event\"" log ||
        complain "$command_line: no $event in the log"
done
[ "$(grep -c '^{.*}$' log)" -eq "$(wc -l <log)" ] || complain "$command_line: not JSON lines"

# Too little memory: it stops with what it has, and says why.
command_line="uniap plan --memory-limit"
status=0
"$UNIAP" "${large[@]}" -o plan.json --memory-limit 0.004 >out 2>err || status=$?
[ $status -eq 4 ] || [ $status -eq 5 ] || complain "$command_line: exit status $status"
says err "stopped at --memory-limit"

# One configuration, which several ranks take together from the start: stopped within it, gone
# on with by others, and again.
hard_instance $((scale > 1 ? 80 : 128)) 64 >hard.json
run 0 solve hard.json -o whole.json --quiet
plan_only whole.json >whole

# A live line on a terminal, none that stays, none with --quiet.
if command -v script >/dev/null; then
    command_line="uniap solve on a terminal"
    script -qec "$UNIAP solve hard.json -o plan.json" /dev/null >out 2>err </dev/null
    says out " nodes, "
    says out "% busy"
    script -qec "$UNIAP solve hard.json -o plan.json --quiet" /dev/null >out 2>err </dev/null
    [ ! -s out ] || complain "$command_line: not quiet"
fi
rm -f ck ck.old
command_line="mpirun -n 2 uniap solve --time-limit"
for ranks in 2 3 1; do
    status=0
    mpirun --oversubscribe -n $ranks "$UNIAP" solve hard.json -o plan.json --quiet \
        --checkpoint ck --checkpoint-interval 0.1 --time-limit 0.5 >out 2>err || status=$?
    case $status in
    0 | 4 | 5) ;;
    *)
        complain "$command_line, $ranks ranks: exit status $status"
        head -20 err
        ;;
    esac
    [ -s ck ] || complain "$command_line: no checkpoint"
done
run_ranks 2 0 solve hard.json -o plan.json --quiet --checkpoint ck --log-json log
grep -q '"resumed": true' log || complain "$command_line: not resumed"
same_plan

# Within a gap is not proven, whoever asks again.
rm -f ck ck.old
run_ranks 2 0 solve hard.json -o plan.json --quiet --checkpoint ck --gap 0.5
run_ranks 2 0 solve hard.json -o plan.json --quiet --checkpoint ck
same_plan
finish
