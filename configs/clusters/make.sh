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

describe() {
    file=$1 nodes=$2 per_node=$3 class=$4 source=$5
    shift 5
    args=""
    for figure in "$@"; do
        args="$args -v $figure"
    done
    # shellcheck disable=SC2086
    awk -v nodes="$nodes" -v per_node="$per_node" -v class="$class" -v name="$file" \
        -v source="$source" $args '
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
        "\"latency_s\": %.4g, \"bandwidth_Bps\": %.6g, \"contended\": true}",
        kind, size, stride, span, latency, bus / factor))
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
BEGIN {
    printf "{\n  \"format\": \"uniap-cluster\",\n  \"version\": 1,\n"
    printf "  \"name\": \"%s\",\n  \"source\": \"%s\",\n", name, source
    printf "  \"provenance\": {\"made_by\": \"configs/clusters/make.sh\", " \
        "\"sources\": \"docs/clusters.md\"},\n"
    printf "  \"device_classes\": [\n    {\"name\": \"%s\", \"memory_bytes\": %.0f, ", class, memory
    printf "\"peak_flops\": {\"fp32\": %.6g", fp32
    if (bf16 > 0) {
        printf ", \"bf16\": %.6g", bf16
    }
    printf ", \"fp16\": %.6g}, \"efficiency\": %.3g, ", fp16, efficiency
    printf "\"memory_bandwidth_Bps\": %.6g, \"layers\": []}\n  ],\n", hbm
    printf "  \"node_groups\": [{\"nodes\": %d, \"devices_per_node\": %d, " \
        "\"device_class\": \"%s\"}],\n  \"collectives\": [", nodes, per_node, class
    for (stride = 1; stride < per_node; stride *= 2) {
        for (size = 2; size * stride <= per_node; size *= 2) {
            group(size, stride, "node", node_bus(size), lat * log2(size))
        }
    }
    for (stride = 1; nodes > 1 && stride <= per_node; stride *= 2) {
        between(stride)
    }
    printf "\n  ],\n  \"p2p\": ["
    rows = 0
    row(sprintf("{\"span\": \"node\", \"latency_s\": %.4g, \"bandwidth_Bps\": %.6g}", lat, p2p))
    for (pairs = rails ? per_node : 1; nodes > 1 && pairs <= per_node; pairs *= 2) {
        row(sprintf("{\"span\": \"cluster\", \"pairs\": %d, \"latency_s\": %.4g, " \
            "\"bandwidth_Bps\": %.6g}", pairs, net, nic / pairs))
    }
    printf "\n  ],\n  \"overlap\": {\"compute_slowdown\": %.4g, ", slow
    printf "\"communication_slowdown\": %.4g}\n}\n", slow
}' </dev/null >"$file.json"
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
