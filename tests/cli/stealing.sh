# The benchmarks of the tree search: published sizes on any number of ranks, and the same
# under the virtual clock.
. "$UAP_SOURCE_DIR/tests/cli/common.bash"

run 0 bench uts --tree T5
says out "T5 on 1 rank: 4147582 nodes, 2181318 leaves, depth 20: as published"
run_ranks 4 0 bench uts --tree T2
says out "T2 on 4 ranks: 4117769 nodes, 2342762 leaves, depth 81: as published"
[ "$(grep -c '^ *[0-3] ' out)" -eq 4 ] || complain "$command_line: not a line a rank"
run_ranks 2 0 bench uts --tree T4 --compare 1
says out "median ratio"
run 2 bench uts --tree T6
one_line
run 2 bench uts --compare x
one_line

costs="--node-ns 150 --send-ns 100 --receive-ns 100 --look-ns 100"
run 0 bench steal-sim --ranks 1,100 --latency-ns 2000,17000 $costs
says out "4130071 nodes of 150.0 ns"
[ "$(grep -c '^ *[0-9.]* us ' out)" -eq 4 ] || complain "$command_line: not four lines"
# The same costs and seed give the same virtual time.
mv out first
run 0 bench steal-sim --ranks 1,100 --latency-ns 2000,17000 $costs
cmp -s out first || complain "$command_line: differs from run to run"

{
    echo "uniap-tree 1"
    echo "-1 1000"
    for i in $(seq 99); do echo "0 100000"; done
} >tree.txt
run 0 bench steal-sim --tree-file tree.txt --ranks 1,10 $costs
says out "tree recorded: 100 nodes, 0.010 s"
echo "99 1" >>tree.txt
run 0 bench steal-sim --tree-file tree.txt --ranks 1 $costs
echo "101 1" >>tree.txt
run 2 bench steal-sim --tree-file tree.txt --ranks 1 $costs
says err "tree.txt:103: expected a parent"
run 2 bench steal-sim --ranks 0
one_line
finish
