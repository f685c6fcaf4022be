# `uniap profile`: the list of a dry run, a small profile that `plan` can use, bad usage.
. "$UAP_SOURCE_DIR/tests/cli/common.bash"

cat >tiny.json <<'JSON'
{"model_type": "bert", "hidden_size": 120, "num_hidden_layers": 3,
 "num_attention_heads": 12, "intermediate_size": 240, "vocab_size": 960,
 "max_position_embeddings": 64, "type_vocab_size": 2}
JSON

# A dry run lists and measures nothing.
run_ranks 2 0 profile -m tiny.json --quick --dry-run --backend cpu
says out "block t64.h120.a12.kv12.f240.v0 tp 2 micro-batch 1"
says out "all-reduce of 2 ranks, stride 1"
says out "expected in all"

# A profile, with progress in plain lines, that the planner takes.
run_ranks 2 0 profile -m tiny.json --quick --budget 6 --micro-batches 1,2 -o cluster.json
says err "profile: 1/"
says err "2 x "
says cluster.json '"format": "uniap-cluster"'
says cluster.json '"source": "measured"'
says cluster.json '"micro_batch": 1'
says cluster.json "--micro-batches 1,2"
run 0 plan -m tiny.json -c cluster.json -b 4 --precision fp32 --reserve-gib 0 -o plan.json
says plan.json '"status": "optimal"'

# To standard output, and silent.
run 0 profile --quick --budget 1 --quiet -o -
says out '"format": "uniap-cluster"'
[ ! -s err ] || complain "$command_line: output on stderr"

# Bad usage: one line, and nothing written.
run 2 profile
one_line
says err "-o/--output"
run 2 profile --quick --full -o x.json
one_line
run 2 profile --micro-batches 2,1 -o x.json
one_line
run 2 profile --micro-batches 0 -o x.json
one_line
run 2 profile --budget 0 -o x.json
one_line
run 2 profile -m missing.json -o x.json
one_line
says err "missing.json"
run 2 profile -o missing/x.json
one_line
run_ranks 2 2 profile -m missing.json -o x.json
[ "$(grep -c '^uniap: ' err)" -eq 1 ] || complain "$command_line: not one line"
absent x.json
finish
