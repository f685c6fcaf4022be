# `uniap profile`: the list of a dry run, a small profile that `plan` can use, bad usage.
. "$UAP_SOURCE_DIR/tests/cli/common.bash"

cat >tiny.json <<'JSON'
{"model_type": "bert", "hidden_size": 120, "num_hidden_layers": 3,
 "num_attention_heads": 12, "intermediate_size": 240, "vocab_size": 960,
 "max_position_embeddings": 64, "type_vocab_size": 2}
JSON

# A dry run lists and measures nothing.
run_ranks 2 0 profile -m tiny.json --quick --dry-run --backend cpu
says out "block t64.h120.a12.kv12.f240.v0 tp 2 micro-batch 1"
says out "all-reduce of 2 ranks, stride 1"
says out "survey, inside nodes: 1 round of 2 devices"
says out "expected in all"

# The same for a machine that is not there: its rounds, and a budget that leaves some out.
run 0 profile --dry-run --backend cpu --nodes 1024 --devices-per-node 8 --budget 1e6
says out "survey, inside nodes: 7 rounds of 8192 devices"
says out "survey, node shifts: 10 rounds of 1024 devices"
says out "survey, all rails: 10 rounds of 8192 devices"
says out "all-reduce of 8192 ranks, stride 1"
says out "all-to-all of 1024 ranks, stride 8"
run 0 profile --dry-run --backend cpu --nodes 64 --budget 1e6
says out "survey, node pairs: 63 rounds of 64 devices"
run 0 profile --dry-run --backend cpu --nodes 1024 --devices-per-node 8 --budget 1
says out "survey, all rails: 10 rounds of 8192 devices  (skipped: no time)"
says out "all-to-all of 1024 ranks, stride 8  (skipped: no time)"
says out "all-reduce of 1024 ranks, stride 8"

# A profile, with progress in plain lines, that the planner takes.
run_ranks 2 0 profile -m tiny.json --quick --budget $((60 * ${UAP_TIME_SCALE:-1})) --micro-batches 1,2 \
    -o cluster.json
says err "profile: 1/"
says err "2 x "
says cluster.json '"format": "uniap-cluster"'
says cluster.json '"source": "measured"'
says cluster.json '"micro_batch": 1'
says cluster.json "--micro-batches 1,2"
run 0 plan -m tiny.json -c cluster.json -b 4 --precision fp32 --reserve-gib 0 -o plan.json
says plan.json '"status": "optimal"'

# A profile of other nodes than the job's is refused with the difference.
plan_in_job() { # STATUS NODELIST ARGUMENT...
    local status=$1 nodes=$2
    shift 2
    SLURM_JOB_NODELIST=$nodes run "$status" plan -m tiny.json -c cluster.json -b 4 \
        --precision fp32 --reserve-gib 0 -o job.json "$@"
}
here=$(hostname -s)
says cluster.json "\"hosts\": \"$here\""
plan_in_job 0 "$here"
plan_in_job 2 "$here,vn[1-3]"
one_line
says err "measured on $here, but this job also has vn[1-3]"
plan_in_job 2 "vn7"
says err "vn7"
plan_in_job 0 "vn7" --other-nodes
sed "s/\"hosts\": \"$here\"/\"hosts\": \"$here,vn7\"/" cluster.json >more.json
SLURM_JOB_NODELIST=$here run 2 plan -m tiny.json -c more.json -b 4 --precision fp32 \
    --reserve-gib 0 -o job.json
says err "this job lacks vn7"
SLURM_JOB_NODELIST=$here run 0 plan -m tiny.json -c more.json -b 4 --precision fp32 \
    --reserve-gib 0 --devices 1 -o job.json
sed "s/\"hosts\": \"$here\"/\"hosts\": \"any text, [\"/" cluster.json >words.json
SLURM_JOB_NODELIST=$here run 0 plan -m tiny.json -c words.json -b 4 --precision fp32 \
    --reserve-gib 0 -o job.json

# Profiles of parts are put together; of the same nodes, or one alone, they are refused.
sed "s/\"hosts\": \"$here\"/\"hosts\": \"vn[7-8]\"/" cluster.json >part.json
run 0 profile --merge cluster.json --merge part.json -o both.json
says both.json "\"hosts\": \"$here,vn[7-8]\""
says both.json '"nodes": 2'
run 0 plan -m tiny.json -c both.json -b 4 --precision fp32 --reserve-gib 0 -o plan.json
says plan.json '"device_count": 4'
run 2 profile --merge cluster.json --merge part.json --merge cluster.json -o x.json
one_line
says err "node $here is in two"
run 2 profile --merge cluster.json -o x.json
one_line
absent x.json

# What is slow is told, with the nodes to drain, and stands in the file.
export UNIAP_STUB="device:2:1.6,pair:0:1:4"
run_ranks 3 0 profile --quick --budget 1 -o sick.json
says err "slow-device"
says err "device 2 (devices): 1.6"
says err "slow-pair"
says err "nodes to drain: $(hostname -s)"
says sick.json '"kind": "slow-pair"'
says sick.json '"peer_device": 1'
says sick.json '"source": "measured"'
run_ranks 3 1 profile --quick --survey-only --fail-on-outlier
says out "inside nodes: 3 rounds (2 again), 10.0 us"
says out "slow-device"
says out "nodes to drain: $(hostname -s)"
UNIAP_STUB="" run_ranks 3 0 profile --quick --survey-only --fail-on-outlier
grep -q '^nodes to drain: $' out || complain "$command_line: drains what is well"

# Ranks that share a processor while others idle are told; that is no node's fault.
if command -v taskset >/dev/null && [ "$(nproc)" -gt 1 ]; then
    first=$(taskset -cp $$ | sed 's/.*: //; s/[-,].*//')
    taskset -cp "$first" $$ >/dev/null
    UNIAP_STUB="" run_ranks 2 1 profile --quick --survey-only --fail-on-outlier
    says out "shared-cores $(hostname -s) device 0: 2 ranks on 1 processor, others idle"
    grep -q '^nodes to drain: $' out || complain "$command_line: drains for a binding"
    taskset -cp "0-$(($(nproc --all) - 1))" $$ >/dev/null
fi

# A rank that does not answer is left out, whether it comes back or not.
export UNIAP_STUB="hang:2:6"
run_ranks 3 0 profile --quick --budget 1 --deadline 2 -o late.json
says err "silent $(hostname -s) device 2"
says late.json '"left_out": 1'
says late.json '"kind": "silent"'
says err " 2 x "
export UNIAP_STUB="hang:1:1000"
run_ranks 3 1 profile --quick --survey-only --deadline 2 --fail-on-outlier
says err "1 rank that did not answer still hangs"
says out "silent $(hostname -s) device 1"
unset UNIAP_STUB

# To standard output, and silent.
run 0 profile --quick --budget 1 --quiet -o -
says out '"format": "uniap-cluster"'
[ ! -s err ] || complain "$command_line: output on stderr"

# Bad usage: one line, and nothing written.
run 2 profile
one_line
says err "-o/--output"
run 2 profile --quick --full -o x.json
one_line
run 2 profile --micro-batches 2,1 -o x.json
one_line
run 2 profile --micro-batches 0 -o x.json
one_line
run 2 profile --budget 0 -o x.json
one_line
run 2 profile --nodes 4 -o x.json
one_line
says err "--dry-run"
run 2 profile --dry-run --devices-per-node 4
one_line
run 2 profile --survey-only -o x.json
one_line
UNIAP_STUB="slow:1" run_ranks 2 2 profile --quick -o x.json
says err "stub faults"
run 2 profile -m missing.json -o x.json
one_line
says err "missing.json"
run 2 profile -o missing/x.json
one_line
run_ranks 2 2 profile -m missing.json -o x.json
[ "$(grep -c '^uniap: ' err)" -eq 1 ] || complain "$command_line: not one line"
absent x.json
finish
