# `uniap bench profile-sim`: sizes, bars, and what it says of bad usage.
. "$UAP_SOURCE_DIR/tests/cli/common.bash"

# virtual_seconds NODES: of that line of the last table.
virtual_seconds() {
    awk -v n="$1" '$1 == n { print $4 }' out
}

# All that is planted is found, nothing else, within the time and the memory promised.
run 0 bench profile-sim --nodes 3,16,1024 --runs 2 --order-us 2
says out "an order and its report cost rank 0 2.00 us"
awk '$1 == 1024 && ($8 != $9 || $10 + $11 > 0 || $4 > 180 || $12 > 64) { bad = 1 }
     $1 == 1024 { seen = 1 } END { exit bad || !seen }' out ||
    complain "$command_line: 1024 nodes: $(grep '^ *1024' out)"

# The clock counts what it is told: a second more in each of the rounds of flows.
run 0 bench profile-sim --nodes 16 --runs 1 --faults 0 --order-us 0 --noise 0 --hiccup 0
before=$(virtual_seconds 16)
run 0 bench profile-sim --nodes 16 --runs 1 --faults 0 --order-us 0 --noise 0 --hiccup 0 \
    --connect-s 1.1
awk -v a="$before" -v b="$(virtual_seconds 16)" 'BEGIN { exit !(b - a > 26.9 && b - a < 27.1) }' ||
    complain "$command_line: $before s and then $(virtual_seconds 16) s, expected 27 s more"

# A budget leaves stages out, and faults that only they show are missed and named.
run 1 bench profile-sim --nodes 256 --runs 1 --budget 2 --order-us 2
says out "missed: slow-link"

run 2 bench profile-sim --nodes 0
one_line
run 2 bench profile-sim --faults 1000
one_line
finish
