# A survey of virtual nodes: network namespaces on a bridge, their links shaped by token
# buckets, each with a host name and shared memory of its own. All of it lives in namespaces
# of this test and goes with them. Needs root; skipped elsewhere and where things take longer.
if [ -z "${UAP_IN_NAMESPACE:-}" ]; then
    if [ "$(id -u)" -ne 0 ] || [ "${UAP_TIME_SCALE:-1}" -ne 1 ] ||
        ! command -v ip tc unshare nsenter >/dev/null ||
        ! unshare --net --mount true 2>/dev/null; then
        echo "skipped: needs root, iproute2 and network namespaces"
        exit 77
    fi
    UAP_IN_NAMESPACE=1 exec unshare --net --mount bash "$0"
fi
. "$UAP_SOURCE_DIR/tests/cli/common.bash"

nodes=6
usual=200mbit

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

# shape NODE RATE: both directions of its link.
shape() {
    tc -n "node$1" qdisc replace dev eth0 root tbf rate "$2" burst 256kb latency 50ms
    tc qdisc replace dev "port$1" root tbf rate "$2" burst 256kb latency 50ms
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
    mpirun --timeout 100 --mca plm rsh --mca plm_rsh_agent "$PWD/agent" \
        --host "$(seq -s, -f node%g $nodes)" --mca btl self,tcp \
        --mca btl_tcp_if_include 10.79.0.0/16 --mca oob_tcp_if_include 10.79.0.0/16 \
        "$UNIAP" "$@" >out 2>err || status=$?
    if [ "$status" -ne "$expected" ]; then
        complain "$command_line: exit status $status, expected $expected"
        cat out err >&2
    fi
}

# Nodes that the survey blames are left out where asked for, and the profile is of the rest.
UNIAP_STUB="link:2:3" on_nodes 0 profile --quick --budget 1 --backend cpu --exclude-outliers \
    -o rest.json
says err "slow-link node3 device 0 both ways"
says rest.json '"hosts": "node[1-2,4-6]"'
says rest.json '"left_out_hosts": "node3"'
says rest.json '"nodes": 5'

# Real links: nothing where all are alike, and the one at a tenth of the others.
for i in $(seq $nodes); do
    shape "$i" $usual
done
on_nodes 0 profile --quick --survey-only --backend cpu --fail-on-outlier
says out "node pairs: 5 rounds"
shape 5 20mbit
on_nodes 1 profile --quick --survey-only --backend cpu --fail-on-outlier
says out "slow-link node5 device 0 both ways"
says out "nodes to drain: node5"
finish
