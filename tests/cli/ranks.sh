# One plan for any number of ranks, byte for byte but for the account of the search.
. "$UAP_SOURCE_DIR/tests/cli/common.bash"

models=$UAP_SOURCE_DIR/configs/models
clusters=$UAP_SOURCE_DIR/configs/clusters

# plan_only FILE: without the search's counts and times.
plan_only() {
    sed '/^ *"search": {/,/}/d' "$1"
}

# same_everywhere ARGUMENT...: the plans of 1, 2, 3 and 4 ranks and of a plain process.
same_everywhere() {
    local ranks
    run 0 "$@" --quiet -o plain.json
    plan_only plain.json >plain
    for ranks in 1 2 3 4; do
        run_ranks $ranks 0 "$@" --quiet -o ranks.json
        [ ! -s out ] && [ ! -s err ] || complain "$command_line: not quiet"
        says ranks.json "\"ranks\": $ranks"
        plan_only ranks.json | cmp -s plain - || complain "$command_line: another plan"
    done
}

same_everywhere plan -m "$models/bert-huge.json" -c "$clusters/env-a.json" -b 64 --precision fp32
same_everywhere plan -m "$models/t5-large.json" -c "$clusters/env-b.json" -b 16
same_everywhere plan -m "$models/swin-huge.json" -c "$clusters/env-b.json" -b 64
# Two configurations tie here.
same_everywhere plan -m "$models/t5-large.json" -c "$clusters/env-a.json" -b 16 \
    --precision fp32 --cost paper --space paper --schedule gpipe

# One table, one file, one complaint.
run_ranks 3 0 plan -m "$models/bert-huge.json" -c "$clusters/env-a.json" -b 64 -o ranks.json
[ "$(grep -c '^Plan for' out)" -eq 1 ] || complain "$command_line: not one table"
says out "on 3 ranks"
run_ranks 3 3 plan -m "$models/llama-3.1-70b.json" -c "$clusters/h100-8.json" -b 8 --quiet \
    -o small.json
[ "$(grep -c '^uniap: ' err)" -eq 1 ] || complain "$command_line: not one complaint"
says small.json '"status": "infeasible"'
run_ranks 3 2 plan -m no-such.json -c "$clusters/h100-8.json" -b 8 -o none.json
[ "$(grep -c '^uniap: ' err)" -eq 1 ] || complain "$command_line: not one complaint"
absent none.json

finish
