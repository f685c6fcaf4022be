# More ranks than cores: what hangs only then, and one plan, byte for byte but for the account
# of the search, on 7, 8, 16 and 64 of them.
. "$UAP_SOURCE_DIR/tests/cli/common.bash"

models=$UAP_SOURCE_DIR/configs/models
clusters=$UAP_SOURCE_DIR/configs/clusters

# plan_only FILE: without the search's counts and times.
plan_only() {
    sed '/^ *"search": {/,/}/d' "$1"
}

# same_on RANKS... -- ARGUMENT...: the plans of so many ranks and of a plain process.
same_on() {
    local counts=() ranks
    while [ "$1" != -- ]; do
        counts+=("$1")
        shift
    done
    shift
    run 0 "$@" --quiet -o plain.json
    plan_only plain.json >plain
    for ranks in "${counts[@]}"; do
        run_ranks "$ranks" 0 "$@" --quiet -o ranks.json
        says ranks.json "\"ranks\": $ranks"
        plan_only ranks.json | cmp -s plain - || complain "$command_line: another plan"
    done
}

run_ranks 64 0 bench uts --tree T5
says out "T5 on 64 ranks: 4147582 nodes, 2181318 leaves, depth 20: as published"
same_on 8 64 -- plan -m "$models/vit-huge.json" -c "$clusters/env-b.json" -b 64
same_on 7 16 -- plan -m "$models/t5-large.json" -c "$clusters/env-b.json" -b 16

# Unlike devices.
sed 's/"num_hidden_layers": [0-9]*/"num_hidden_layers": 6/' "$models/bert-huge.json" >small.json
same_on 1 2 3 4 7 8 16 -- plan -m small.json -c "$clusters/slow-a100-32.json" -b 8 --seq 512
same_on 3 16 -- plan -m small.json -c "$clusters/mix-a100-v100-t4.json" -b 8 --seq 512 \
    --precision fp16

# Two configurations tie here.
same_on 7 8 16 -- plan -m "$models/t5-large.json" -c "$clusters/env-a.json" -b 16 \
    --precision fp32 --cost paper --space paper --schedule gpipe

# A checkpoint of 16 ranks, with ties, resumed on 7.
ties=(plan -m "$models/t5-large.json" -c "$clusters/env-a.json" -b 16 --precision fp32
    --cost paper --space paper --schedule gpipe --quiet --checkpoint ck)
mpirun --oversubscribe --timeout $((60 * ${UAP_TIME_SCALE:-1})) -n 16 "$UNIAP" "${ties[@]}" -o ranks.json \
    --time-limit 0.01 >out 2>err
command_line="mpirun -n 16 uniap plan --time-limit"
[ -s ck ] || complain "$command_line: no checkpoint"
run_ranks 7 0 "${ties[@]}" -o ranks.json
plan_only ranks.json | cmp -s plain - || complain "$command_line: another plan"
finish
