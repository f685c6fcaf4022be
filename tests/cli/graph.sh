# Models given as graphs: `uniap model`, `plan` and `check` take them as any other.
. "$UAP_SOURCE_DIR/tests/cli/common.bash"

graph=$UAP_SOURCE_DIR/configs/models/unet-sd15.json
cluster=$UAP_SOURCE_DIR/configs/clusters/env-b.json

run 0 model "$graph"
says out "unet-sd15: graph, "
says out "46 layers of "
says out "the output of conv_in is read by up0.2.res: 2.500 MiB"
run 0 model --json "$graph"
says out '"architecture": "graph"'

run 0 plan -m "$graph" -c "$cluster" -b 64 -o plan.json
says out "Plan for unet-sd15 on env-b: optimal"
run 0 check plan.json
says out "check: time, memory and feasibility agree"

# A plan of another graph is refused; so is a graph that cannot be read.
sed 's/"bytes": 2621440/"bytes": 2621442/' "$graph" >other.json
run 1 check plan.json -m other.json
sed 's/"to": "mid.0"/"to": "mid.7"/' "$graph" >bad.json
run 2 plan -m bad.json -c "$cluster" -b 64 -o none.json
one_line
says err "mid.7"
absent none.json

finish
