# A rank that hangs behind the survey: it is named and left out, and the profile is completed
# without it, whether its device's work does not end or its whole process stands still.
. "$UAP_SOURCE_DIR/tests/cli/common.bash"
scale=${UAP_TIME_SCALE:-1}
export UNIAP_NODE_SIZE=1

cat >tiny.json <<'JSON'
{"model_type": "bert", "hidden_size": 120, "num_hidden_layers": 3,
 "num_attention_heads": 12, "intermediate_size": 240, "vocab_size": 960,
 "max_position_embeddings": 64, "type_vocab_size": 2}
JSON

# Of four ranks with a node each the third is gone.
three_are_left() {
    says err "silent node3 device 0 behind the survey"
    says err "nodes to drain: node3"
    says err "3 x "
    says "$1" '"kind": "silent"'
    says "$1" '"rounds": "measurements"'
    says "$1" '"left_out_hosts": "node3"'
    says "$1" '"hosts": "node[1-2,4]"'
    says "$1" '"size": 3'
    ! grep -q '"size": 4' "$1" || complain "$command_line: a collective of all four in $1"
    run 0 plan -m tiny.json -c "$1" -b 6 --precision fp32 --reserve-gib 0 -o plan.json
    says plan.json '"device_count": 3'
}

deadline=$((1 * scale))
measure=(profile -m tiny.json --quick --micro-batches 1 --budget $((60 * scale))
    --deadline "$deadline")

# Its work does not end; it says so itself.
UNIAP_STUB="stall:2:1000" run_ranks 4 0 "${measure[@]}" -o stalled.json
says err "its work did not end"
three_are_left stalled.json

# Its device is in error behind the survey: the same, and the rank says why. The exit status can
# tell, too.
UNIAP_STUB="fail:2" run_ranks 4 1 "${measure[@]}" --fail-on-outlier -o broken.json
says err "[rank 2] profile: its device failed: as the stub says"
says err "behind the survey: the device failed"
three_are_left broken.json

# Without rank 0 there is nobody to write: the job ends, with a reason, whatever it is that
# happens to rank 0 and wherever.
UNIAP_STUB="error:0" run_ranks 2 1 "${measure[@]}" -o none.json
says err "the device of rank 0, on node1, failed"
UNIAP_STUB="fail:0" run_ranks 2 1 "${measure[@]}" -o none.json
says err "the device of rank 0, on node1, failed: as the stub says"
UNIAP_STUB="stall:0:1000" run_ranks 2 1 "${measure[@]}" -o none.json
says err "the device of rank 0, on node1, does not answer"
UNIAP_STUB="hang:0:1000" run_ranks 2 1 "${measure[@]}" -o none.json
says err "uniap: rank 0: rank 0's part of the survey has not ended within"
absent none.json

# Nor does a file that takes in nothing hold up the job: nobody reads from this one.
mkfifo unread
UNIAP_STUB="" run_ranks 2 1 "${measure[@]}" -o unread
says err "uniap: rank 0: writing the profile has not ended within"

# A stall that ends in time is none.
UNIAP_STUB="stall:2:1" run_ranks 4 0 "${measure[@]}" --deadline $((4 * scale)) -o late.json
says late.json '"size": 4'
says late.json '"exceptions": []'

# The process itself stands still, somewhere in the list.
command_line="a stopped rank"
: >err # of the run before: it has the line that is waited for
UNIAP_STUB="" mpirun --oversubscribe --timeout $((100 * scale)) -n 4 "$UNIAP" "${measure[@]}" \
    -o stopped.json >out 2>err &
job=$!
until grep -q "profile: 1/" err; do
    kill -0 $job 2>/dev/null || break
    sleep 0.05
done
stopped=0
for rank in $(pgrep -P $job); do
    if tr '\0' '\n' <"/proc/$rank/environ" | grep -q '^OMPI_COMM_WORLD_RANK=2$'; then
        kill -STOP "$rank" && stopped=1
    fi
done
[ $stopped -eq 1 ] || complain "$command_line: not found among the children of mpirun"
status=0
wait $job || status=$?
[ $status -eq 0 ] || complain "$command_line: exit status $status"
three_are_left stopped.json
finish
