# `uniap bench profile-accuracy`: its rows, its exit status, bad usage. Times on a machine under
# test say nothing: bars are out of reach for one outcome or the other.
. "$UAP_SOURCE_DIR/tests/cli/common.bash"

few=(--turns 4 --turn-ms 0.1 --attempts 1 --bytes 1024,65536 --max-mib 0.02)

# Whatever the times, everything is within bars of a hundred thousand percent.
run_ranks 2 0 bench profile-accuracy "${few[@]}" --link-bar 100000 --product-bar 100000 --line-bar 100000
[ "$(grep -c ' pass$' out)" = 12 ] || complain "$command_line: $(grep -c ' pass$' out) rows pass, expected 12"
says out "point to point"
says out "reduce-scatter"

# Nothing is within a bar of nothing: each row says so, and the exit status.
run_ranks 2 1 bench profile-accuracy "${few[@]}" --link-bar 0 --product-bar 0 --line-bar 0
[ "$(grep -c ' pass$' out)" = 0 ] || complain "$command_line: a row passes a bar of 0"
[ "$(grep -cE ' (noisy|FAIL)$' out)" = 12 ] || complain "$command_line: not 12 rows that fail"

# One rank has no links.
run 0 bench profile-accuracy "${few[@]}" --product-bar 100000
grep -q all-reduce out && complain "$command_line: links of one rank"

run 2 bench profile-accuracy --turns 3
one_line
run 2 bench profile-accuracy --bytes 0
one_line
finish
