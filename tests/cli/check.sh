# `uniap check`: plans of `uniap plan` agree, a plan changed in one place does not, a plan by
# hand is filled in, and what is no plan is refused.
. "$UAP_SOURCE_DIR/tests/cli/common.bash"
models="$UAP_SOURCE_DIR/configs/models"
clusters="$UAP_SOURCE_DIR/configs/clusters"

# agrees MODEL CLUSTER BATCH OPTION...: makes a plan and checks it.
agrees() {
    local model=$1 cluster=$2 batch=$3
    shift 3
    run 0 plan -m "$models/$model.json" -c "$clusters/$cluster.json" -b "$batch" \
        -o plan.json --quiet --gap 0.05 "$@"
    run 0 check plan.json
    says out "check: time, memory and feasibility agree"
    says out "Plan for $model on $cluster"
    [ ! -s err ] || complain "$command_line: not quiet on stderr"
}
paper="--cost paper --space paper"
agrees bert-huge env-a 32 --seq 512 --precision fp32
agrees bert-huge env-b 16 --seq 512 --precision fp32 $paper --schedule gpipe
agrees vit-huge env-b 64 --precision fp32 --schedule 1f1b-eager
agrees swin-huge env-b 32 --precision fp32 $paper --schedule gpipe
agrees t5-large env-a 16 --seq 512 --precision fp32
agrees t5-large-16 env-b 8 --seq 512 --precision fp32 $paper --schedule gpipe
agrees llama-7b env-c 8 --seq 2048 --precision fp16
agrees llama-7b env-c 8 --seq 2048 --precision fp16 $paper --schedule gpipe
agrees llama-3.1-8b env-d 16 --tp-across-nodes --optimizer sgd --granularity operator
agrees vit-huge env-b 64 --precision fp32 --schedule gpipe
cp plan.json good.json

# differs FIELD SED: the plan changed by a sed script is caught, and the field named.
differs() {
    sed "$2" good.json >bad.json
    ! cmp -s good.json bad.json || complain "differs $1: nothing was changed"
    run 1 check bad.json
    says out "bad.json: "
    says out "$1"
    says out "found"
}
differs "tpi_s" 's/"tpi_s": [0-9.]*/"tpi_s": 1.25/'
differs "memory_bytes" 's/"memory_bytes": [0-9]*/"memory_bytes": 1234567/'
differs "time_s" 's/"time_s": 0\./"time_s": 1./'
differs "throughput_samples_per_s" 's/"batch": 64/"batch": 128/'
differs "model.sha256" '/"model": {/,/}/s/"sha256": "..../"sha256": "0000/'
differs "layer 1: name" 's/"name": "encoder.0"/"name": "encoder.99"/;s/"name": "layer.0"/"name": "l"/'
differs "device_ids" 's/"device_ids": "0-[0-9]*"/"device_ids": "1-9"/'
differs "dp * fsdp * tp" 's/"tp": 1/"tp": 3/'

# Another model or cluster than the one it was made for.
run 1 check good.json -c "$clusters/env-d.json"
says out "cluster.sha256"
run 1 check good.json -m "$models/bert-huge.json"
says out "model.sha256"

# A plan by hand: DESIGN's few keys, everything else filled in, and the result agrees.
# hand STRATEGY: two stages of 17 layers.
hand() {
    local u
    printf '{"format": "uniap-plan", "version": 1, "batch": 16, "schedule": "gpipe",\n'
    printf ' "pp": 2, "micro_batches": 4, "options": {"precision": "fp32"}, "seq": 512,\n'
    printf ' "stages": [{"first_layer": 0, "last_layer": 16},'
    printf ' {"first_layer": 17, "last_layer": 33}],\n "layers": ['
    for u in $(seq 33); do
        printf '{"strategy": %s},\n' "$1"
    done
    printf '{"strategy": %s}]}\n' "$1"
}
inputs="-m $models/bert-huge.json -c $clusters/env-b.json"
hand '{"fsdp": 4}' >hand.json
run 0 check hand.json $inputs -o filled.json
says out "a plan by hand: legal"
says filled.json '"tpi_s"'
says filled.json '"device_ids": "4-7"'
run 0 check filled.json
run 0 check hand.json $inputs -o -
says out '"format": "uniap-plan"'
[ "$(head -c 1 out)" = "{" ] || complain "$command_line: not JSON alone"

# Illegal or too large: named, and nothing written where nothing could be worked out.
hand '{"dp": 4}' | sed '5s/4/2/' >hand.json
run 1 check hand.json $inputs --quiet
says out "dp * fsdp * tp: found 2 * 1 * 1, expected the 4 devices of a stage"
hand '{"dp": 4, "zero": 2, "sp": true}' >hand.json
run 1 check hand.json $inputs -o none.json
says out "sp: found true"
absent none.json
hand '{"dp": 2}' >hand.json # the first layer says: four devices in all
run 1 check hand.json $inputs
says out "does not fit: needs"
says out "bytes short"

# An infeasible plan is not a good one.
run 3 plan $inputs -b 16 --memory-gib 1.2 -o infeasible.json --quiet --seq 512
run 1 check infeasible.json
says out "an infeasible plan"

# What is no plan, or lacks its inputs.
run 2 check
run 2 check no-such.json
one_line
echo '{"format": "uniap-plan", "version": 1' >bad.json
run 2 check bad.json
one_line
says err "bad.json:"
sed 's/"version": 1/"version": 2/' hand.json >bad.json
run 2 check bad.json $inputs
one_line
sed 's/"last_layer": 16/"last_layer": 15/' hand.json >bad.json
run 2 check bad.json $inputs
one_line
sed 's/"strategy"/"stratgy"/' hand.json >bad.json
run 2 check bad.json $inputs
one_line
run 2 check hand.json -c "$clusters/env-b.json"
says err "-m/--model"
one_line
run 2 check hand.json $inputs -o no/such/dir.json
one_line
finish
