# Clusters of unlike devices: two equal classes are one, a useless class is left out, the order of
# groups does not matter, what is planned is checked, and what does not fit is explained.
. "$UAP_SOURCE_DIR/tests/cli/common.bash"
clusters="$UAP_SOURCE_DIR/configs/clusters"
sed 's/"num_hidden_layers": [0-9]*/"num_hidden_layers": 4/' \
    "$UAP_SOURCE_DIR/configs/models/bert-huge.json" >small.json

# cluster FILE FIRST SECOND SED: env-b, whose two nodes are of classes "titan-xp-12gb" and "twin",
# FIRST and SECOND in the order of the file; the class "twin" edited by a sed script.
cluster() {
    local class
    class=$(grep '"name": "titan-xp-12gb"' "$clusters/env-b.json" |
        sed 's/titan-xp-12gb/twin/' | sed "$4")
    sed -e "s|^\( *{\"name\": \"titan-xp-12gb\".*\)|\1,\n$class|" \
        -e "s|^\( *\"node_groups\": \).*|\1[{\"nodes\": 1, \"devices_per_node\": 4, \"device_class\": \"$2\"}, {\"nodes\": 1, \"devices_per_node\": 4, \"device_class\": \"$3\"}],|" \
        "$clusters/env-b.json" >"$1"
}

# plan CLUSTER FILE OPTION...: the plan, and what the check says of it.
plan() {
    local cluster=$1 file=$2
    shift 2
    run 0 plan -m small.json -c "$cluster" -b 16 --seq 512 --precision fp32 -o "$file" \
        --quiet "$@"
    run 0 check "$file"
    says out "check: time, memory and feasibility agree"
}

# bare FILE: a plan without names, sources and the search's own figures.
bare() {
    sed -e '/"search": {/,/}/d' -e '/"cluster": {/,/}/d' -e '/"device_class"/d' \
        -e '/was not measured/d' -e '/has not measured/d' "$1"
}

tpi() {
    grep '"tpi_s"' "$1"
}

# Equal in everything but the name.
cluster twins.json titan-xp-12gb twin ''
plan "$clusters/env-b.json" alike.json
plan twins.json twins-plan.json
bare alike.json >alike.txt
bare twins-plan.json >twins.txt
cmp alike.txt twins.txt || complain "two equal classes give another plan than one"
grep -q '"stages"' alike.txt || complain "nothing was compared"

# Far too slow to be of use.
cluster useless.json titan-xp-12gb twin \
    's/"efficiency": [0-9.]*/"efficiency": 0.001/;s/"memory_bandwidth_Bps": [0-9.e+]*/"memory_bandwidth_Bps": 1e6/'
plan useless.json useless-plan.json
says useless-plan.json "left out: all 4 devices of class twin"
says useless-plan.json '"device_count": 4'
! grep -q '"device_class": "twin"' useless-plan.json || complain "the useless class is in use"

# Half as fast and with half the memory, first or second in the file.
half='s/"efficiency": [0-9.]*/"efficiency": 0.2/;s/"memory_bytes": [0-9]*/"memory_bytes": 6000000000/'
cluster half.json titan-xp-12gb twin "$half"
cluster turned.json twin titan-xp-12gb "$half"
plan half.json half-plan.json --schedule all
plan turned.json turned-plan.json --schedule all
[ "$(tpi half-plan.json)" = "$(tpi turned-plan.json)" ] ||
    complain "the order of groups matters: $(tpi half-plan.json), $(tpi turned-plan.json)"

# Three ranks give the same plan, byte for byte.
run_ranks 3 0 plan -m small.json -c half.json -b 16 --seq 512 --precision fp32 -o ranks-plan.json \
    --quiet --schedule all
for file in half-plan ranks-plan; do
    sed '/"search": {/,/}/d' "$file.json" >"$file.txt"
done
cmp half-plan.txt ranks-plan.txt || complain "three ranks give another plan"

plan half.json some-plan.json --devices 6 --cost paper
plan half.json others-plan.json --memory-gib 5 --optimizer sgd --tp-across-nodes

# No better than its own bound, and than what the other engine finds.
run 0 plan -m small.json -c half.json -b 2 --seq 512 --space dp,tp -o exact.json --quiet
run 0 plan -m small.json -c half.json -b 2 --seq 512 --space dp,tp -o cbc.json --quiet \
    --engine cbc --time-limit 60
[ "$(tpi exact.json)" = "$(tpi cbc.json)" ] ||
    complain "the engines differ: $(tpi exact.json), $(tpi cbc.json)"

# A plan changed in one place is caught.
differs() {
    sed "$2" half-plan.json >bad.json
    ! cmp -s half-plan.json bad.json || complain "differs $1: nothing was changed"
    run 1 check bad.json
    says out "$1"
}
differs "device_class" 's/"device_class": "titan-xp-12gb"/"device_class": "twin"/'
differs "memory_cap_bytes" 's/"memory_cap_bytes": [0-9]*/"memory_cap_bytes": 99/'
differs "expected the 1 devices of a stage" 's/"device_ids": "0-[0-9]*"/"device_ids": "1-1"/'
run 1 check half-plan.json -c twins.json
says out "cluster.sha256"

# Nothing fits: which memory is meant is said, and no count or memory is promised.
run 3 plan -m small.json -c half.json -b 16 --seq 512 --memory-gib 1.02 -o none.json --quiet
says none.json "no plan fits"
says none.json "devices with more memory"
run 3 plan -m small.json -c half.json -b 16 --seq 512 --reserve-gib 11.9 -o none.json --quiet
says none.json "devices with more memory than "
says none.json " has here would do"
run 1 check none.json
says out "an infeasible plan, which states nothing wrong"

# Links of groups that are not there.
sed 's/"span": "node", "latency_s"/"span": "node", "group": 2, "latency_s"/' half.json >bad-group.json
run 2 plan -m small.json -c bad-group.json -b 16 -o never.json
one_line
says err "bad-group.json:"
absent never.json
finish
