#!/bin/sh
# Writes the cluster descriptions of this folder, which come from data sheets and public
# figures (docs/clusters.md), not from measurements. Usage: ./make.sh, in this folder.
#
# describe FILE NODES DEVICES_PER_NODE CLASS SOURCE, then figures as awk variables:
#   memory, fp32, bf16, fp16, efficiency, hbm    the device, bytes, FLOP/s, bytes/s
#   bus2, bus4, bus8                             bus bandwidth inside a node by group size, bytes/s
#   nic                                          a node's network, all its ports, bytes/s as used
#   rails                                        1: a port per device; 0: one port that all share
#   lat                                          seconds per step of log2(ranks) inside a node
#   net                                          seconds per step of log2(nodes) between nodes
#   p2p                                          bytes/s of a pair inside a node
#   slow                                         slowdown of compute and communication that overlap
set -eu

# part PART NODES DEVICES_PER_NODE CLASS FIGURE...: one list of a description. scope: what ends
# each entry, to say for which node groups it holds; rows: not 0 where entries came before.
part() {
    part=$1 nodes=$2 per_node=$3 class=$4
    shift 4
    args=""
    for figure in "$@"; do
        args="$args -v $figure"
    done
    # shellcheck disable=SC2086
    awk -v part="$part" -v nodes="$nodes" -v per_node="$per_node" -v class="$class" \
        -v scope="${scope-}" -v rows="${rows-0}" $args '
function row(text) {
    printf "%s    %s", (rows++ ? ",\n" : "\n"), text
}
function log2(x) {
    return log(x) / log(2)
}
# Bandwidth as the format counts it: of the buffer, not of the bus.
function collective(kind, size, stride, span, bus, latency,    factor) {
    factor = (size - 1) / size * (kind == "all-reduce" ? 2 : 1)
    row(sprintf("{\"kind\": \"%s\", \"size\": %d, \"stride\": %d, \"span\": \"%s\", " \
        "\"latency_s\": %.4g, \"bandwidth_Bps\": %.6g, \"contended\": true%s}",
        kind, size, stride, span, latency, bus / factor, scope))
}
# An all-reduce is a reduce-scatter and an all-gather: twice the steps.
function group(size, stride, span, bus, latency) {
    collective("all-reduce", size, stride, span, bus, 2 * latency)
    collective("all-gather", size, stride, span, bus, latency)
    collective("reduce-scatter", size, stride, span, bus, latency)
    collective("all-to-all", size, stride, span, bus, latency)
}
function node_bus(size) {
    return size >= 8 ? bus8 : size >= 4 ? bus4 : bus2
}
# Ranks `stride` apart: stride groups share the ports of a node, and a group has
# per_node / stride ranks in each node, whose links bound it too.
function between(stride,    inside, bus, smallest, largest, n) {
    inside = per_node / stride
    bus = nic / stride
    if (inside > 1 && node_bus(inside) < bus) {
        bus = node_bus(inside)
    }
    smallest = 2 * inside
    largest = nodes * inside
    for (n = smallest; ; n = largest) {
        group(n, stride, "cluster", bus, lat * log2(inside) + net * log2(n / inside))
        if (n >= largest) {
            break
        }
    }
}
function p2p_between(    pairs) {
    for (pairs = rails ? per_node : 1; pairs <= per_node; pairs *= 2) {
        row(sprintf("{\"span\": \"cluster\", \"pairs\": %d, \"latency_s\": %.4g, " \
            "\"bandwidth_Bps\": %.6g%s}", pairs, net, nic / pairs, scope))
    }
}
BEGIN {
    if (part == "class") {
        printf "    {\"name\": \"%s\", \"memory_bytes\": %.0f, ", class, memory
        printf "\"peak_flops\": {\"fp32\": %.6g", fp32
        if (bf16 > 0) {
            printf ", \"bf16\": %.6g", bf16
        }
        printf ", \"fp16\": %.6g}, \"efficiency\": %.3g, ", fp16, efficiency
        printf "\"memory_bandwidth_Bps\": %.6g, \"layers\": []}", hbm
    } else if (part == "nodes") {
        printf "{\"nodes\": %d, \"devices_per_node\": %d, \"device_class\": \"%s\"}",
            nodes, per_node, class
    } else if (part == "collectives") {
        for (stride = 1; stride < per_node; stride *= 2) {
            for (size = 2; size * stride <= per_node; size *= 2) {
                group(size, stride, "node", node_bus(size), lat * log2(size))
            }
        }
        for (stride = 1; nodes > 1 && stride <= per_node; stride *= 2) {
            between(stride)
        }
    } else if (part == "p2p") {
        row(sprintf("{\"span\": \"node\", \"latency_s\": %.4g, \"bandwidth_Bps\": %.6g%s}",
            lat, p2p, scope))
        if (nodes > 1) {
            p2p_between()
        }
    } else if (part == "between") {
        p2p_between()
    } else if (part == "overlap") {
        printf "  \"overlap\": {\"compute_slowdown\": %.4g, ", slow
        printf "\"communication_slowdown\": %.4g}\n}\n", slow
    }
}' </dev/null
}

head() { # NAME SOURCE
    printf '{\n  "format": "uniap-cluster",\n  "version": 1,\n  "name": "%s",\n' "$1"
    printf '  "source": "%s",\n  "provenance": {"made_by": "configs/clusters/make.sh", ' "$2"
    printf '"sources": "docs/clusters.md"},\n  "device_classes": [\n'
}

describe() {
    file=$1 source=$5
    what="$2 $3 $4"
    shift 5
    {
        head "$file" "$source"
        # shellcheck disable=SC2086
        part class $what "$@"
        printf '\n  ],\n  "node_groups": ['
        # shellcheck disable=SC2086
        part nodes $what "$@"
        printf '],\n  "collectives": ['
        # shellcheck disable=SC2086
        part collectives $what "$@"
        printf '\n  ],\n  "p2p": ['
        # shellcheck disable=SC2086
        part p2p $what "$@"
        printf '\n  ],\n'
        # shellcheck disable=SC2086
        part overlap $what "$@"
    } >"$file.json"
}

describe env-a 1 8 v100-sxm2-32gb assumed memory=34089205760 \
    fp32=15.7e12 bf16=0 fp16=125e12 efficiency=0.62 hbm=900e9 \
    bus2=44e9 bus4=66e9 bus8=120e9 nic=0 rails=0 lat=6e-6 net=0 p2p=44e9 slow=1.126
describe env-b 2 4 titan-xp-12gb assumed memory=12788432896 \
    fp32=12.15e12 bf16=0 fp16=12.15e12 efficiency=0.4 hbm=547.7e9 \
    bus2=9e9 bus4=7e9 bus8=7e9 nic=1.1e9 rails=0 lat=10e-6 net=50e-6 p2p=9e9 slow=1.3
describe env-c 1 8 a100-pcie-40gb assumed memory=42505076736 \
    fp32=19.5e12 bf16=312e12 fp16=312e12 efficiency=0.35 hbm=1555e9 \
    bus2=6e9 bus4=5e9 bus8=4e9 nic=0 rails=0 lat=10e-6 net=0 p2p=6e9 slow=1.3
describe env-d 4 4 titan-xp-12gb assumed memory=12788432896 \
    fp32=12.15e12 bf16=0 fp16=12.15e12 efficiency=0.4 hbm=547.7e9 \
    bus2=9e9 bus4=7e9 bus8=7e9 nic=1.1e9 rails=0 lat=10e-6 net=50e-6 p2p=9e9 slow=1.3
describe env-e 8 4 dcu-16gb assumed memory=17163091968 \
    fp32=12e12 bf16=0 fp16=24e12 efficiency=0.6 hbm=1000e9 \
    bus2=11e9 bus4=9e9 bus8=9e9 nic=22e9 rails=0 lat=10e-6 net=15e-6 p2p=11e9 slow=1.3

for devices in 8 16 32 64 128 256 512 1024 2048 4096 6144 8192 12288 15360 16384; do
    describe "h100-$devices" $((devices / 8)) 8 h100-sxm-80gb datasheet memory=85520809984 \
        fp32=66.9e12 bf16=989.4e12 fp16=989.4e12 efficiency=0.65 hbm=3350e9 \
        bus2=340e9 bus4=350e9 bus8=360e9 nic=368e9 rails=1 lat=5e-6 net=7e-6 p2p=340e9 slow=1.126
    describe "a100-$devices" $((devices / 8)) 8 a100-sxm-80gb datasheet memory=85198045184 \
        fp32=19.5e12 bf16=312e12 fp16=312e12 efficiency=0.7 hbm=2039e9 \
        bus2=220e9 bus4=225e9 bus8=230e9 nic=184e9 rails=1 lat=6e-6 net=8e-6 p2p=220e9 slow=1.126
done

# Clusters of unlike nodes: each group of nodes has entries of its own, and so has each pair of
# groups, whose link is the slower group's.
a100="memory=85198045184 fp32=19.5e12 bf16=312e12 fp16=312e12 efficiency=0.7 hbm=2039e9 \
    bus2=220e9 bus4=225e9 bus8=230e9 nic=184e9 rails=1 lat=6e-6 net=8e-6 p2p=220e9 slow=1.126"
v100="memory=34089205760 fp32=15.7e12 bf16=0 fp16=125e12 efficiency=0.62 hbm=900e9 \
    bus2=44e9 bus4=66e9 bus8=120e9 nic=46e9 rails=0 lat=6e-6 net=8e-6 p2p=44e9 slow=1.126"
t4="memory=16106127360 fp32=8.1e12 bf16=0 fp16=65e12 efficiency=0.4 hbm=320e9 \
    bus2=9e9 bus4=7e9 bus8=7e9 nic=5.5e9 rails=0 lat=10e-6 net=20e-6 p2p=9e9 slow=1.3"
from_v100="nic=46e9 rails=0 net=8e-6"
from_t4="nic=5.5e9 rails=0 net=20e-6"

# list PART TEXT_BETWEEN: the part of each group in turn.
list() {
    # shellcheck disable=SC2086
    part "$1" 2 8 a100-sxm-80gb $a100
    printf '%s' "$2"
    # shellcheck disable=SC2086
    part "$1" 2 8 v100-sxm2-32gb $v100
    printf '%s' "$2"
    # shellcheck disable=SC2086
    part "$1" 4 4 t4-16gb $t4
}

# own PART SCOPE SCOPE SCOPE: the rows of each group, which say whose they are.
own() {
    rows=0 scope=$2
    # shellcheck disable=SC2086
    part "$1" 2 8 a100-sxm-80gb $a100
    rows=1 scope=$3
    # shellcheck disable=SC2086
    part "$1" 2 8 v100-sxm2-32gb $v100
    scope=$4
    # shellcheck disable=SC2086
    part "$1" 4 4 t4-16gb $t4
}

{
    head mix-a100-v100-t4 datasheet
    list class ',
'
    printf '\n  ],\n  "node_groups": ['
    list nodes ", "
    printf '],\n  "collectives": ['
    own collectives ', "group": 0' ', "group": 1' ', "group": 2'
    printf '\n  ],\n  "p2p": ['
    own p2p ', "groups": [0, 0]' ', "groups": [1, 1]' ', "groups": [2, 2]'
    # shellcheck disable=SC2086
    scope=', "groups": [0, 1]' part between 2 8 - $from_v100
    # shellcheck disable=SC2086
    scope=', "groups": [0, 2]' part between 2 8 - $from_t4
    # shellcheck disable=SC2086
    scope=', "groups": [1, 2]' part between 2 8 - $from_t4
    printf '\n  ],\n'
    rows=0 scope=
    # shellcheck disable=SC2086
    part overlap 2 8 - $t4
} >mix-a100-v100-t4.json

# Four nodes of which one runs at three quarters of its clock: the same links everywhere.
{
    head slow-a100-32 assumed
    # shellcheck disable=SC2086
    part class 3 8 a100-sxm-80gb $a100
    printf ',\n'
    # shellcheck disable=SC2086
    part class 1 8 a100-sxm-80gb-slow $a100 bf16=234e12 fp16=234e12 fp32=14.6e12
    printf '\n  ],\n  "node_groups": ['
    # shellcheck disable=SC2086
    part nodes 3 8 a100-sxm-80gb $a100
    printf ', '
    # shellcheck disable=SC2086
    part nodes 1 8 a100-sxm-80gb-slow $a100
    printf '],\n  "collectives": ['
    # shellcheck disable=SC2086
    part collectives 4 8 - $a100
    printf '\n  ],\n  "p2p": ['
    # shellcheck disable=SC2086
    part p2p 4 8 - $a100
    printf '\n  ],\n'
    # shellcheck disable=SC2086
    part overlap 4 8 - $a100
} >slow-a100-32.json
