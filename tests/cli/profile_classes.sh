# `uniap profile` of several nodes (made up by UNIAP_NODE_SIZE): unlike ones become classes of
# their own, --reuse takes what is known, --raw keeps every time.
. "$UAP_SOURCE_DIR/tests/cli/common.bash"

cat >tiny.json <<'JSON'
{"model_type": "bert", "hidden_size": 120, "num_hidden_layers": 3,
 "num_attention_heads": 12, "intermediate_size": 240, "vocab_size": 960,
 "max_position_embeddings": 64, "type_vocab_size": 2}
JSON
export UNIAP_NODE_SIZE=2 UNIAP_STUB=""
quick="profile -m tiny.json --quick --budget 1000 --micro-batches 1"

# count FILE TEXT: lines of the file that have it.
count() {
    grep -cF -- "$2" "$1"
}

# One class where all are alike, and every time on the side.
run_ranks 4 0 $quick --raw raw.jsonl -o like.json
says like.json '"hosts": "node[1-2]"'
says like.json '"nodes": 2'
[ "$(count like.json '"memory_bytes"')" -eq 1 ] || complain "$command_line: not one class"
[ "$(grep -c '"what": "survey, ' raw.jsonl)" -ge 5 ] || complain "--raw: no survey"
says raw.jsonl '"what": "all-reduce of 4 ranks, stride 1", "bytes": 1024, "seconds": ['
says raw.jsonl 'tp 1 micro-batch 1", "seconds": ['
grep -vqE '^\{"what": "[^"]*", .*\]\}$' raw.jsonl && complain "--raw: not one object a line"

# A node at a third of the others' speed is a class of its own, with links of its own and to
# the others, and the planner takes the file as a mixed cluster.
UNIAP_STUB="device:4:3,device:5:3" run_ranks 6 0 $quick -o mixed.json
says err "slow-node node3"
says err " 4 x "
says err " 2 x "
says mixed.json ' (2)"'
[ "$(count mixed.json '"devices_per_node": 2')" -eq 2 ] || complain "$command_line: groups"
tr -d ' \n' <mixed.json >flat
says flat '"group":1,"kind":"all-reduce"'
says flat '"groups":[0,1]'
says flat '"hosts":"node[1-2]"'
says flat '"hosts":"node3"'
says flat '"hosts":"node[1-3]"'
run 0 plan -m tiny.json -c mixed.json -b 12 --precision fp32 --reserve-gib 0 -o plan.json
says plan.json '"status": "optimal"'

# What is known is taken: nothing is measured, and each date stays.
date=$(sed -n 's/^ *"date": "\(.*\)",/\1/p' like.json)
run_ranks 4 0 $quick --reuse like.json -o again.json
says err "known from an earlier profile"
tr -d ' \n' <again.json >flat
says flat "\"reused\":[{\"date\":\"$date\",\"what\":["
says flat 'all-reduceof4ranks,stride1'
layers() {
    grep -E '"(forward_s|backward_s|bandwidth_Bps)":' "$1"
}
layers like.json >was
layers again.json | cmp -s was - || complain "$command_line: other figures"

# New nodes measure what is inside nodes; what joins them to others is measured anew.
run_ranks 6 0 $quick --reuse like.json -o more.json
tr -d ' \n' <more.json >flat
says flat '"all-reduceof2ranks,stride1"'
grep -q '"what":\[[^]]*all-reduceof2ranks,stride2' flat &&
    complain "$command_line: links to new nodes taken as known"
says more.json '"nodes": 3'

# Of another library: measured again (what is too old: unit/test_reuse.c).
sed 's/"link_library": "/"link_library": "x/' like.json >other.json
run_ranks 4 0 $quick --reuse other.json -o x.json
tr -d ' \n' <x.json >flat
says flat 'tp2micro-batch1"]'
grep -q '"what":\[[^]]*all-reduce' flat && complain "$command_line: took links of another MPI"
rm x.json

# A dry run tells what is known; bad usage is refused.
run_ranks 4 0 $quick --reuse like.json --dry-run
says out "all-reduce of 4 ranks, stride 1  (known)"
run 2 profile --reuse missing.json -o x.json
one_line
run 2 profile --max-age 3 -o x.json
one_line
says err "--reuse"
run 2 profile --raw raw.jsonl --dry-run
one_line
run 2 profile --raw missing/raw.jsonl -o x.json
one_line
sed 's/"source": "measured"/"source": "assumed"/' like.json >assumed.json
run 2 profile --quick --reuse assumed.json -o x.json
one_line
says err "not measured"
absent x.json
finish
