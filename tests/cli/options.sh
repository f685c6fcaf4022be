# Bad options: one line that names the option, what was found and what was expected.
. "$UAP_SOURCE_DIR/tests/cli/common.bash"

models=$UAP_SOURCE_DIR/configs/models
clusters=$UAP_SOURCE_DIR/configs/clusters
good=(-m "$models/bert-huge.json" -c "$clusters/env-a.json" -b 32 -o plan.json)

# refuse TEXT ARGUMENT...
refuse() {
    local text=$1
    shift
    run 2 "$@"
    one_line
    says err "$text"
    absent plan.json
}

refuse "-m/--model: not given" plan -c x -b 1 -o plan.json
refuse "-c/--cluster: not given" plan -m x -b 1 -o plan.json
refuse "-b/--batch: not given" plan -m x -c x -o plan.json
refuse "-o/--output: not given" plan -m x -c x -b 1
refuse "-b: found no value, expected BATCH" plan -b
refuse "--bogus: unknown option" plan --bogus
refuse "-z: unknown option" plan -z
refuse "found 'extra'" plan extra
refuse "found 'extra'" plan -- extra
refuse "--quiet: found 'yes', expected no value" plan --quiet=yes
refuse "-m/--model: found ''" plan -m ""

for value in 0 -1 1.5 abc "" 1e400 nan 0x10 99999999999999999999; do
    refuse "-b/--batch: found '$value', expected a whole number from 1 to 1000000000" \
        plan "${good[@]}" -b "$value"
done
for option in seq devices; do
    refuse "--$option: found '0'" plan "${good[@]}" --$option 0
    refuse "--$option: found '-8'" plan "${good[@]}" --$option=-8
done
for option in memory-gib time-limit memory-limit; do
    refuse "--$option: found '0'" plan "${good[@]}" --$option 0
    refuse "--$option: found 'inf'" plan "${good[@]}" --$option inf
    refuse "--$option: found '1GiB'" plan "${good[@]}" --$option 1GiB
done
refuse "--reserve-gib: found '-1'" plan "${good[@]}" --reserve-gib -1
refuse "--gap: found '1.5', expected a number from 0 to 1" plan "${good[@]}" --gap 1.5
refuse "expected fp32|bf16|fp16" plan "${good[@]}" --precision fp64
refuse "expected adam|sgd" plan "${good[@]}" --optimizer lion
refuse "expected gpipe|1f1b|1f1b-eager|all" plan "${good[@]}" --schedule zb
refuse "expected full|paper" plan "${good[@]}" --cost free
refuse "expected block|operator" plan "${good[@]}" --granularity layer
refuse "expected exact|cbc" plan "${good[@]}" --engine gurobi
refuse "--space: found 'dp,pp'" plan "${good[@]}" --space dp,pp

# Files that are not there, and places that cannot be written.
refuse "no-such.json" plan "${good[@]}" -m no-such.json
refuse "no-such.json" plan "${good[@]}" -c no-such.json
refuse "no-such/plan.json" plan "${good[@]}" -o no-such/plan.json
refuse "no-such/log" plan "${good[@]}" --log-json no-such/log
refuse "no-such/dump" plan "${good[@]}" --dump-instances no-such/dump
mkdir directory
refuse "directory" plan "${good[@]}" -o directory
refuse "no-such.json" solve no-such.json
run 2 solve
one_line
says err "usage: uniap solve INSTANCE.json"
finish
