#!/usr/bin/env bash
# Plans for one framework are exported to it, whatever the model, ranks and engine.
# shellcheck source=tests/cli/common.bash
. "$UAP_SOURCE_DIR/tests/cli/common.bash"
models=$UAP_SOURCE_DIR/configs/models
clusters=$UAP_SOURCE_DIR/configs/clusters

tpi() {
    sed -n 's/^  "tpi_s": \([^,]*\),$/\1/p' "$1"
}

for model in llama-3.1-8b gpt3-175b; do
    asked=(-m "$models/$model.json" -c "$clusters/h100-256.json" -b 256 --schedule all --quiet)
    run 0 plan "${asked[@]}" -o any.json
    for target in megatron torchtitan deepspeed; do
        run 0 plan "${asked[@]}" --for $target -o plan.json
        says plan.json "\"for\": \"$target\""
        run 0 check plan.json
        run 0 export plan.json --to $target -o out.txt
        awk -v any="$(tpi any.json)" -v own="$(tpi plan.json)" 'BEGIN { exit own < any }' ||
            complain "$command_line: better than any plan"
    done
done

# The same plan on two ranks, and the same value by CBC.
llama=(-m "$models/llama-7b.json" -c "$clusters/h100-16.json" -b 16 --for megatron --quiet)
run 0 plan "${llama[@]}" -o plan.json
plan_only plan.json >whole
run_ranks 2 0 plan "${llama[@]}" -o plan.json
same_plan
vit=(-m "$models/bert-huge.json" -c "$clusters/env-b.json" -b 4 --space "dp,tp" --for megatron --cost paper
    --precision fp32 --quiet)
run 0 plan "${vit[@]}" -o plan.json
exact=$(tpi plan.json)
run 0 plan "${vit[@]}" -o plan.json --engine cbc
[ "$exact" = "$(tpi plan.json)" ] || complain "$command_line: $(tpi plan.json), exact $exact"

# A model that only DeepSpeed takes.
run 0 plan -m "$models/t5-large.json" -c "$clusters/env-b.json" -b 16 --for deepspeed --quiet -o plan.json
run 0 export plan.json --to deepspeed

# Sweeps, and what nothing fits.
run 0 plan "${llama[@]}" --sweep-devices 8:16 --plans plans
run 0 export plans/plan-16.json --to megatron
run 3 plan -m "$models/llama-3.1-70b.json" -c "$clusters/h100-8.json" -b 8 --for megatron --quiet -o plan.json
one_line
says err "no plan fits: in the most frugal one"
run 3 plan -m "$models/bert-huge.json" -c "$clusters/h100-64.json" -b 3 --for deepspeed --quiet -o plan.json
one_line
says err "of a batch of 3 over 64 devices nothing can be told to deepspeed"

# What cannot be told at all.
refused() { # TEXT ARGUMENT...
    local text=$1
    shift
    run 2 plan -b 16 -o none.json "$@"
    one_line
    says err "$text"
    absent none.json
}
refused "--for megatron: layer" -m "$models/t5-large.json" -c "$clusters/h100-8.json" --for megatron
refused "expected --granularity block" -m "$models/bert-huge.json" -c "$clusters/h100-8.json" --for megatron \
    --granularity operator
refused "found --precision fp16" -m "$models/bert-huge.json" -c "$clusters/h100-8.json" --for torchtitan \
    --precision fp16
refused "has unlike nodes" -m "$models/bert-huge.json" -c "$clusters/mix-a100-v100-t4.json" --for megatron
refused "--dump-instances: expected only without --for" -m "$models/bert-huge.json" -c "$clusters/h100-8.json" \
    --for megatron --dump-instances dump
refused "--for: found 'galvatron'" -m "$models/bert-huge.json" -c "$clusters/h100-8.json" --for galvatron
finish
