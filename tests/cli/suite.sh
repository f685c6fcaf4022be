# The suite of hard searches on the command line, cut off at once, and the recorded ones where
# they are.
. "$UAP_SOURCE_DIR/tests/cli/common.bash"

configs=$UAP_SOURCE_DIR/configs
data=$UAP_SOURCE_DIR/../shared/data/instances

run 0 bench search --part hard --case t5-op-128 --case unlike-96x32-pp4-gpipe \
    --configs "$configs" --exact-limit 0.2
says out "t5-op-128"
says out "unlike-96x32-pp4-gpipe"
[ "$(grep -cE 'feasible|unknown' out)" -eq 2 ] || complain "$command_line: not two cut off"
run 0 bench search --part hard --case gpt3-op-256 --case chain-24x16-pp4-random \
    --configs nowhere --instances nowhere
says out "skipped: no file nowhere/models/gpt3-175b.json"
says out "skipped: no file nowhere/chain-24x16-pp4-random.json"
run 2 bench search --part hard --case none
one_line

run_ranks 2 0 bench scaling --case t5-op-128 --configs "$configs" --time-limit 0.2 --repeat 1
says err "t5-op-128: run 1 of 1, 2 ranks"
[ "$(grep -c 'cut off' out)" -eq 2 ] || complain "$command_line: not two cut off"
run_ranks 2 2 bench scaling --ranks 1,3
run_ranks 2 2 bench scaling --case none
run_ranks 2 0 bench scaling --case chain-24x16-pp4-random --instances nowhere
says out "skipped: no file"

if [ -r "$data/chain-24x16-pp4-random.json" ]; then
    run_ranks 3 0 bench scaling --case chain-24x16-pp4-random --instances "$data" \
        --ranks 1,3 --repeat 2
    says out "3 ranks: efficiency"
    # Another optimum than the recorded one is noticed.
    mkdir other
    cp "$data/chain-24x16-pp4-uniform.json" other/chain-24x16-pp4-random.json
    run_ranks 2 1 bench scaling --case chain-24x16-pp4-random --instances other --repeat 1
    run 1 bench search --part hard --case chain-24x16-pp4-random --instances other
    says out "DIFFERS"
else
    echo "no $data: the recorded chains are not tried"
fi
finish
