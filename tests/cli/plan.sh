# `uniap plan` from shipped models and clusters: the plan, its table, what does not fit.
. "$UAP_SOURCE_DIR/tests/cli/common.bash"

models=$UAP_SOURCE_DIR/configs/models
clusters=$UAP_SOURCE_DIR/configs/clusters
vit=(-m "$models/vit-huge.json" -c "$clusters/env-b.json" -b 64 --precision fp32)
paper=(--cost paper --space paper --schedule gpipe)

# value FILE KEY: the number or string behind a key that occurs once.
value() {
    sed -n "s/^ *\"$2\": \"\?\([^\",]*\)\"\?,\?$/\1/p" "$1"
}

# below A B: A < B as numbers.
below() {
    awk -v a="$1" -v b="$2" 'BEGIN { exit !(a < b) }'
}

# The plan and its table.
run 0 plan "${vit[@]}" -o plan.json
says out "Plan for vit-huge on env-b: optimal"
says out "configuration  1f1b, "
says out "encoder."
says out "gap 0 %"
says out "written to plan.json"
for key in tpi_s bound_s throughput_samples_per_s pp micro_batches wall_s; do
    [ -n "$(value plan.json $key)" ] || complain "$command_line: no $key"
done
[ "$(value plan.json tpi_s)" = "$(value plan.json bound_s)" ] ||
    complain "$command_line: proven, but the bound is not the value"
[ "$(value plan.json device_count)" = 8 ] || complain "$command_line: not 8 devices"
[ "$(grep -c '"recompute"' plan.json)" -eq 34 ] || complain "$command_line: not 34 layers"

# The same, on any number of ranks; more schedules are never worse; a smaller space never
# better.
best=$(value plan.json tpi_s)
run_ranks 3 0 plan "${vit[@]}" -o ranks.json
[ "$(value ranks.json tpi_s)" = "$best" ] || complain "$command_line: another plan"
run 0 plan "${vit[@]}" -o all.json --schedule all
! below "$best" "$(value all.json tpi_s)" || complain "$command_line: worse than 1f1b"
run 0 plan "${vit[@]}" -o dp.json --space dp,fsdp
! below "$(value dp.json tpi_s)" "$best" || complain "$command_line: better than all"

# Two engines, one answer; and every dumped instance solved alone, one of them the best.
run 0 plan "${vit[@]}" "${paper[@]}" -o exact.json --dump-instances dump
run 0 plan "${vit[@]}" "${paper[@]}" -o cbc.json --engine cbc
best=$(value exact.json tpi_s)
[ "$(value cbc.json tpi_s)" = "$best" ] || complain "$command_line: not the exact engine's"
[ "$(ls dump/*.json | wc -l)" -eq "$(ls dump/*.lp | wc -l)" ] || complain "dump: .json, .lp"
least=1e9
for instance in dump/*.json; do
    run 0 solve "$instance" -o one.json --quiet
    tpi=$(value one.json tpi_s)
    if below "$tpi" "$least"; then least=$tpi; fi
done
[ "$least" = "$best" ] || complain "the best dumped instance gives $least, the plan $best"

# To standard output: the plan alone.
run 0 plan "${vit[@]}" --quiet -o -
[ "$(head -c 1 out)" = "{" ] || complain "$command_line: not JSON alone"
[ ! -s err ] || complain "$command_line: not quiet"

# The log as JSON lines.
run 0 plan "${vit[@]}" -o plan.json --log-json log
says log '"level": "info"'
[ "$(grep -c '^{.*}$' log)" -eq "$(wc -l <log)" ] || complain "$command_line: not JSON lines"

# What does not fit: exit 3, one message, and what it proposes is true.
big=(-m "$models/llama-3.1-70b.json" -c "$clusters/h100-8.json" -b 8 --quiet)
run 3 plan "${big[@]}" -o plan.json
one_line
says err "no plan fits: in the most frugal one"
says plan.json '"status": "infeasible"'
memory=$(sed -n 's/.*--memory-gib \([0-9.]*\) would do.*/\1/p' err)
devices=$(sed -n 's/.*--devices \([0-9]*\).*/\1/p' err)
[ -n "$memory" ] && [ "$devices" = 16 ] || complain "$command_line: '$memory' '$devices'"
run 0 plan "${big[@]}" -o plan.json --memory-gib "$memory"
run 3 plan "${big[@]}" -o plan.json --memory-gib \
    "$(awk -v m="$memory" 'BEGIN { print m - 0.02 }')"
run 0 plan "${big[@]}" -o plan.json -c "$clusters/h100-$devices.json"

# The same with ties and a live tensor.
t5=(-m "$models/t5-large.json" -c "$clusters/env-b.json" -b 16 --quiet)
run 3 plan "${t5[@]}" -o plan.json --memory-gib 2
one_line
says err "stage 0, layers 0-50 (encoder.embedding to head), needs "
says plan.json '"device_memory_bytes"'
memory=$(sed -n 's/.*--memory-gib \([0-9.]*\) would do.*/\1/p' err)
devices=$(sed -n 's/.*--devices \([0-9]*\).*/\1/p' err)
[ -n "$memory" ] && [ "$devices" = 16 ] || complain "$command_line: '$memory' '$devices'"
run 0 plan "${t5[@]}" -o plan.json --memory-gib "$memory"
run 3 plan "${t5[@]}" -o plan.json --memory-gib \
    "$(awk -v m="$memory" 'BEGIN { print m - 0.02 }')"

# Ties and the live tensor take a little more than the most frugal stages do.
t5=("${t5[@]}" -b 8 --precision fp32 --reserve-gib 0.5)
run 3 plan "${t5[@]}" -o plan.json --memory-gib 1.5
one_line
says err "needs at least "
says err "may make it more; --memory-gib "
run 0 plan "${t5[@]}" -o plan.json --memory-gib \
    "$(sed -n 's/.*--memory-gib \([0-9.]*\) would do.*/\1/p' err)"

# A batch that no strategy divides.
run 3 plan -m "$models/bert-huge.json" -c "$clusters/h100-64.json" -b 3 --space dp --quiet \
    -o plan.json
one_line
says err "batch of 3 over 64 devices"
says plan.json '"status": "infeasible"'
finish
