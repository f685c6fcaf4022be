# Surveys of virtual nodes: network namespaces joined by a user-space switch (tools/
# link_switch.c), each with a host name and shared memory of its own; a bridge beside it
# carries what mpirun says. Everything lives in namespaces of this test and goes with them.
# Needs root; skipped elsewhere and where things take longer.
#
#   UAP_RUNS   how often the sick links are looked for, and how often on clean ones (1);
#              `ctest -C long -R shaped_links` does 20
#   UAP_SEED   which links are sick in the first run (1)
if [ -z "${UAP_IN_NAMESPACE:-}" ]; then
    if [ "$(id -u)" -ne 0 ] || [ "${UAP_TIME_SCALE:-1}" -ne 1 ] || [ ! -c /dev/net/tun ] || [ -z "${UAP_LINK_SWITCH:-}" ] ||
        ! command -v ip unshare nsenter >/dev/null ||
        ! unshare --net --mount true 2>/dev/null; then
        echo "skipped: needs root, iproute2, TUN devices and network namespaces"
        exit 77
    fi
    UAP_IN_NAMESPACE=1 exec unshare --net --mount bash "$0"
fi
. "$UAP_SOURCE_DIR/tests/cli/common.bash"

runs=${UAP_RUNS:-1}
seed=${UAP_SEED:-1}
nodes=16
# What one core can carry for all nodes at once, with room for other programs beside it.
usual="20 100"
tenth="20 10"
late="5000 100"

# ---- The nodes -----------------------------------------------------------------------------

mount --make-rprivate /
mkdir -p /run/netns
mount -t tmpfs tmpfs /run/netns
ip link set lo up
ip link add bridge0 type bridge
ip addr add 10.79.255.254/16 dev bridge0
ip link set bridge0 up
cp /etc/hosts hosts
for i in $(seq $nodes); do
    ip netns add "node$i"
    ip link add "port$i" type veth peer name eth0 netns "node$i"
    ip link set "port$i" master bridge0 up
    ip -n "node$i" addr add "10.79.0.$i/16" dev eth0
    ip -n "node$i" link set eth0 up
    ip -n "node$i" link set lo up
    echo "10.79.0.$i node$i" >>hosts
done
mount --bind hosts /etc/hosts

# become_ready N: the switch has read its configuration for the Nth time.
become_ready() {
    for _ in $(seq 100); do
        [ "$(wc -l <switch.out)" -lt "$1" ] || return 0
        sleep 0.05
    done
    complain "the switch does not answer"
}

echo "default $usual" >links
# Others may keep the cores busy; a switch that waits for one would be a slow link.
first=""
chrt -f 10 true 2>/dev/null && first="chrt -f 10"
: >switch.out
# shellcheck disable=SC2046,SC2086
$first "$UAP_LINK_SWITCH" links $(seq -f node%g $nodes) >switch.out 2>switch.err &
switch=$!
trap 'kill $switch 2>/dev/null' EXIT
reads=1
become_ready $reads
for i in $(seq $nodes); do
    ip -n "node$i" addr add "10.80.0.$i/16" dev link0
    ip -n "node$i" link set link0 mtu 9000 txqueuelen 1000 up
    # Measures what gets through, where others measure what is lost.
    nsenter --net="/run/netns/node$i" sysctl -qw net.ipv4.tcp_congestion_control=reno
done

# links_are: the configuration from standard input, in force.
links_are() {
    cat >links
    kill -HUP $switch
    reads=$((reads + 1))
    become_ready $reads
}

# What mpirun starts its daemons with: a command in the namespaces of a node.
cat >agent <<'SH'
#!/usr/bin/env bash
node=$1
shift
exec nsenter --net="/run/netns/$node" unshare --uts --mount bash -c \
    'hostname "$0"; mount -t tmpfs tmpfs /dev/shm; exec bash -c "$1"' "$node" "$*"
SH
chmod +x agent

# on_nodes STATUS ARGUMENT...: one rank on every node.
on_nodes() {
    local expected=$1 status=0
    shift
    command_line="uniap $* on $nodes virtual nodes"
    mpirun --timeout 230 --mca plm rsh --mca plm_rsh_agent "$PWD/agent" \
        --host "$(seq -s, -f node%g $nodes)" --mca btl self,tcp \
        --mca btl_tcp_if_include 10.80.0.0/16 --mca oob_tcp_if_include 10.79.0.0/16 \
        "$UNIAP" "$@" >out 2>err || status=$?
    if [ "$status" -ne "$expected" ]; then
        complain "$command_line: exit status $status, expected $expected"
        cat out err >&2
    fi
}

# ---- Sick links ----------------------------------------------------------------------------

# Four different numbers of nodes, from the run's number.
choose_nodes() {
    awk -v seed="$1" -v n=$nodes 'BEGIN {
        srand(seed)
        while (chosen < 4) {
            i = 1 + int(n * rand())
            if (!(i in taken)) { taken[i] = 1; chosen++; print i }
        }
    }'
}

# both A B SHAPE: the link of two nodes.
both() {
    echo "$1 $2 $3"
    echo "$2 $1 $3"
}

# all_of A SHAPE: the links of a node with all others.
all_of() {
    local other
    for other in $(seq $nodes); do
        [ "$other" -eq "$1" ] || both "$1" "$other" "$2"
    done
}

# only KIND... : the findings are these, as extended regular expressions, each found.
only() {
    local pattern rest
    rest=$(grep -E '^(silent|slow-|late-)' out)
    for pattern in "$@"; do
        grep -qE "$pattern" <<<"$rest" || complain "run $run: missed $pattern: $(cat out)"
        rest=$(grep -vE "$pattern" <<<"$rest")
    done
    [ -z "$rest" ] || complain "run $run: false alarm: $rest"
}

# A tenth of the bandwidth and 5 ms: of all links of a node each (its cable), or, in every
# other run, of a pair each (a route).
look_for_sick() {
    local -a node
    mapfile -t node < <(choose_nodes "$1")
    local a=${node[0]} b=${node[1]} c=${node[2]} d=${node[3]}
    if [ $(($1 % 2)) -eq 0 ]; then
        { echo "default $usual"; all_of "$b" "$late"; all_of "$a" "$tenth"; } | links_are
        on_nodes 1 profile --quick --survey-only --backend cpu --fail-on-outlier
        only "^slow-link node$a device 0 both ways " "^late-link node$b device 0 "
        return
    fi
    { echo "default $usual"; both "$a" "$c" "$tenth"; both "$b" "$d" "$late"; } | links_are
    on_nodes 1 profile --quick --survey-only --backend cpu --fail-on-outlier
    only "^slow-pair node($a device 0 to node$c|$c device 0 to node$a) device 0 " \
        "^late-pair node($b device 0 to node$d|$d device 0 to node$b) device 0 "
}

# Nodes that the survey blames are left out where asked for, and the profile is of the rest.
run=stub
echo "default 20 5000" | links_are
UNIAP_STUB="link:2:3" on_nodes 0 profile --quick --budget 1 --backend cpu --exclude-outliers \
    -o rest.json
says err "slow-link node3 device 0 both ways"
says rest.json '"hosts": "node[1-2,4-16]"'
says rest.json '"left_out_hosts": "node3"'
says rest.json '"nodes": 15'

for run in $(seq "$seed" $((seed + runs - 1))); do
    before=$failures
    echo "default $usual" | links_are
    on_nodes 0 profile --quick --survey-only --backend cpu --fail-on-outlier
    says out "node pairs: 15 rounds"
    only
    clean_s=$SECONDS
    look_for_sick "$run"
    echo "run $run: clean at $clean_s s, sick at $SECONDS s: $((failures - before)) failures"
done
finish
