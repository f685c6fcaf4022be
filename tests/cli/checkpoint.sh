# Checkpoints: what is written when, what is resumed, and what is refused.
. "$UAP_SOURCE_DIR/tests/cli/common.bash"

models=$UAP_SOURCE_DIR/configs/models
clusters=$UAP_SOURCE_DIR/configs/clusters
scale=${UAP_TIME_SCALE:-1}
bert=(plan -m "$models/bert-huge.json" -c "$clusters/env-a.json" --precision fp32 --quiet)
large=(plan -m "$models/llama-3.1-405b.json" -c "$clusters/h100-12288.json" -b 1536
    --schedule all --quiet)

# plan_only FILE: without the search's counts and times, and what stopped it.
plan_only() {
    sed -e '/^ *"search": {/,/}/d' -e '/"time_limit_s"/d' -e '/"gap": /d' "$1"
}

# same_plan: plan.json is whole.json's.
same_plan() {
    plan_only plan.json | cmp -s whole - || complain "$command_line: another plan"
}

# A finished search leaves a checkpoint that holds its end: asked again, it answers at once.
run 0 "${bert[@]}" -b 64 -o whole.json
plan_only whole.json >whole
run 0 "${bert[@]}" -b 64 -o plan.json --checkpoint ck
same_plan
head -1 ck | grep -q '^uniap-checkpoint 1$' || complain "$command_line: no checkpoint"
says ck "nodes 0"
cp ck done
run_ranks 2 0 "${bert[@]}" -b 64 -o plan.json --checkpoint ck
same_plan
says plan.json '"nodes": 0'

# Other inputs, with the reason; the file stays as it was.
cp done ck
run 2 "${bert[@]}" -b 32 -o plan.json --checkpoint ck
one_line
says err "other inputs: found batch 64, expected batch 32"
run_ranks 2 2 "${bert[@]}" -b 64 --schedule gpipe -o plan.json --checkpoint ck
says err "other inputs: found schedule"
cmp -s ck done || complain "$command_line: the checkpoint was touched"

# Of another version, or no checkpoint at all.
sed '1s/1/2/' done >ck
run 2 "${bert[@]}" -b 64 -o plan.json --checkpoint ck
one_line
says err "found version 2 of the format, expected 1"
cp "$models/bert-huge.json" ck
run 2 "${bert[@]}" -b 64 -o plan.json --checkpoint ck
one_line
says err "not a checkpoint"
cmp -s ck "$models/bert-huge.json" || complain "$command_line: a file was written over"

# Damaged: cut off, or a byte changed. The older one does, where it is there.
rm -f ck.old
for damage in "head -c 300" "head -c 20" "head -c 0" "sed s/worked/wurked/"; do
    $damage done >ck
    run 2 "${bert[@]}" -b 64 -o plan.json --checkpoint ck
    one_line
    says err "damaged checkpoint"
done
head -c 300 done >ck
cp done ck.old
run 0 "${bert[@]}" -b 64 -o plan.json --checkpoint ck
same_plan
says err "going on from ck.old"
cmp -s ck.old done || complain "$command_line: the good one went"
run 0 "${bert[@]}" -b 64 -o plan.json --checkpoint ck
[ ! -s err ] || complain "$command_line: the new one is not good"
rm ck
run 0 "${bert[@]}" -b 64 -o plan.json --checkpoint ck
says err "the newest checkpoint is missing; going on from ck.old"
same_plan

# Where it cannot be: before anything is searched. With CBC: not at all.
run 2 "${bert[@]}" -b 64 -o plan.json --checkpoint no-such/ck
one_line
run 2 "${bert[@]}" -b 64 -o plan.json --checkpoint ck --engine cbc
one_line

# Stopped by a limit, by USR1, by a gap: each leaves what the next run goes on from.
run 0 "${large[@]}" -o whole.json
plan_only whole.json >whole
rm -f ck ck.old
status=0
"$UNIAP" "${large[@]}" -o plan.json --checkpoint ck --time-limit 1 >out 2>err || status=$?
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

# A live line on a terminal, none that stays, none with --quiet.
if command -v script >/dev/null; then
    command_line="uniap plan on a terminal"
    script -qec "$UNIAP ${large[*]:0:9} -o plan.json" /dev/null >out 2>err </dev/null
    says out " nodes, "
    says out "% busy"
    script -qec "$UNIAP ${large[*]} -o plan.json" /dev/null >out 2>err </dev/null
    [ ! -s out ] || complain "$command_line: not quiet"
fi

# An instance: the file is what it is of.
run 0 plan -m "$models/vit-huge.json" -c "$clusters/env-b.json" -b 64 --quiet -o plan.json \
    --dump-instances dump
set -- dump/*.json
cp "$1" one.json
rm -f ck ck.old
run 0 solve one.json -o first.json --quiet --checkpoint ck
run 0 solve one.json -o plan.json --quiet --checkpoint ck
cmp -s <(plan_only first.json) <(plan_only plan.json) || complain "$command_line: another plan"
cp "$2" one.json
run 2 solve one.json -o plan.json --quiet --checkpoint ck
one_line
says err "other inputs: found instance"
finish
