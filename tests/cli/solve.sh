# `uniap solve` on an instance whose optimum is worked out by hand: two layers on two stages,
# four micro-batches, objective sum p + sum o + 3 max(p, o).
. "$UAP_SOURCE_DIR/tests/cli/common.bash"

# instance CAP: the memory of stage 1.
instance() {
    cat <<JSON
{"format": "uniap-instance", "version": 1, "objective": "simple", "schedule": "gpipe",
 "pp": 2, "micro_batches": 4, "strategies": [["fast", "lean"], ["fast", "lean"]],
 "A": [[1, 2], [1, 2]], "G": [[0, 0], [0, 0]], "Ms": [[10, 4], [10, 4]],
 "Ma": [[0, 0], [0, 0]], "W": [[0, 0], [0, 0]],
 "R": [[[0, 0], [0, 0]]], "Rp": [[[0.5, 0.5], [0.5, 0.5]]],
 "cap": [10, $1], "inflight": [4, 4]}
JSON
}
instance 10 >roomy.json
instance 5 >tight.json
instance 3 >small.json

for engine in exact cbc; do
    # 1 + 1 + 0.5 + 3 * 1
    run 0 solve roomy.json -o plan.json --engine $engine
    says plan.json '"tpi_s": 5.5'
    says plan.json '"status": "optimal"'
    says plan.json "\"engine\": \"$engine\""
    says out "optimal"
    says out "2 stages, 4 micro-batches"
    says out "engine $engine"
    # 1 + 2 + 0.5 + 3 * 2
    run 0 solve tight.json -o plan.json --engine $engine
    says plan.json '"tpi_s": 9.5'
    says plan.json '"strategy_name": "lean"'
    # Stage 1 needs 4 bytes and has 3.
    run 3 solve small.json -o plan.json --engine $engine
    says err "stage 1, layers 1-1, needs 4 bytes and has 3, 1 bytes short"
    says plan.json '"status": "infeasible"'
    says plan.json '"memory_bytes": 4'
done

# Tied layers: each fits alone, in a layout that the other cannot have. The exact engine
# knows a lower bound, CBC the least.
tied() {
    instance "$1" | sed -e 's/"Ms": \[\[10, 4\], \[10, 4\]\]/"Ms": [[10, 1], [1, 10]]/' \
        -e 's/"cap": \[10,/"cap": [5,/' \
        -e 's/\]}$/], "ties": [{"a": 0, "b": 1, "class_a": [1, 2], "class_b": [1, 2]}]}/'
}
tied 5 >tied.json
run 3 solve tied.json -o plan.json --quiet
one_line
says err "needs at least 1 bytes and has 5; tied layers and live tensors make it more"
tied 0 >tied.json
run 3 solve tied.json -o plan.json --quiet
one_line
says err "stage 1, layers 1-1, needs at least 1 bytes and has 0, 1 bytes short; tied"
says plan.json '"memory_bytes": 1'
run 3 solve tied.json -o plan.json --quiet --engine cbc
says err "stage 0, layers 0-0, needs 10 bytes and has 5, 5 bytes short"

# To standard output: the plan alone, whole, and nothing else.
run 0 solve roomy.json --quiet
says out '"format": "uniap-plan"'
[ "$(head -c 1 out)" = "{" ] || complain "$command_line: not JSON alone"
[ ! -s err ] || complain "$command_line: not quiet"

# Any number of ranks gives the same plan and the same status.
run_ranks 3 0 solve roomy.json -o ranks.json
says ranks.json '"tpi_s": 5.5'
run_ranks 2 3 solve small.json -o ranks.json
run_ranks 2 2 solve no-such.json -o ranks.json
finish
