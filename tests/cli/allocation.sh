#!/usr/bin/env bash
# Device counts: those of the job, a part of the profile, and more than it has.
# shellcheck source=tests/cli/common.bash
. "$UAP_SOURCE_DIR/tests/cli/common.bash"
models=$UAP_SOURCE_DIR/configs/models
clusters=$UAP_SOURCE_DIR/configs/clusters
unset "${!SLURM_@}"
bert=(-m "$models/bert-huge.json" -b 32 --seq 512 -o plan.json)

# More devices than the profile has: planned with more of its nodes, which plan and log say.
run 0 plan "${bert[@]}" -c "$clusters/h100-16.json" --devices 64
says err "64 devices are more than the 16 of cluster \"h100-16\": more nodes like its own"
says plan.json '"device_count": 64'
says plan.json "64 devices are more than the 16 of cluster"
run 0 check plan.json
says out "time, memory and feasibility agree"
sed 's/"device_count": 64/"device_count": 32/' plan.json >other.json
run 1 check other.json
says out "device_count: found 32, expected 64"

# Within the profile nothing is said, and nothing changes.
run 0 plan "${bert[@]}" -c "$clusters/h100-16.json" --devices 16
! grep -q "more than" plan.json err || complain "$command_line: extrapolated"

# Unlike nodes: a multiple of all of them, or an answer that names one.
run 2 plan "${bert[@]}" -c "$clusters/mix-a100-v100-t4.json" --devices 56
one_line
says err "has 48 of unlike nodes: more than these only as a multiple of them, such as 96"

# In a job: a description of another machine is told, with what to do.
export SLURM_JOB_ID=7 SLURM_JOB_NODELIST="vn[1-4]" SLURM_JOB_NUM_NODES=4 SLURM_GPUS_PER_NODE=h100:8
run 0 plan "${bert[@]}" -c "$clusters/h100-16.json"
says err "this job has 4 nodes x 8 GPUs (SLURM_GPUS_PER_NODE)"
says err "--devices 32 plans for the job's"
says plan.json '"device_count": 16'

# A profile measured on these nodes and more: the job's part of them, on any number of ranks.
sed -e 's/"source": "datasheet"/"source": "measured"/' \
    -e 's/"provenance": {/"provenance": {"hosts": "vn[1-8]",/' "$clusters/h100-64.json" >measured.json
grep -q '"hosts"' measured.json || complain "the description has no provenance to change"
run 0 plan "${bert[@]}" -c measured.json
says err "planning for this job's 32 devices (SLURM_GPUS_PER_NODE), a part of the 64 of measured.json"
plan_only plan.json >whole
run_ranks 2 0 plan "${bert[@]}" -c measured.json
same_plan
run 0 plan "${bert[@]}" -c measured.json --devices 32
same_plan
SLURM_GPUS_PER_NODE=4 run 2 plan "${bert[@]}" -c measured.json
one_line
says err "this job has 4 nodes x 4 GPUs (SLURM_GPUS_PER_NODE), the profile 8 nodes x 8 devices"
SLURM_GPUS_PER_NODE='a lot' SLURM_TASKS_PER_NODE="8(x3),2" SLURM_GPUS_PER_TASK=1 \
    run 2 plan "${bert[@]}" -c measured.json
says err "SLURM_GPUS_PER_NODE: found a value of no known form"
says err "this job has 3 nodes x 8 + 1 x 2 GPUs (SLURM_GPUS_PER_TASK)"

# Where Slurm tells no GPUs, those that hwloc sees: two, and a server's own screen.
cat >node.xml <<'END'
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE topology SYSTEM "hwloc2.dtd">
<topology version="2.0">
  <object type="Machine" os_index="0" cpuset="0x1" complete_cpuset="0x1" allowed_cpuset="0x1" nodeset="0x1" complete_nodeset="0x1" allowed_nodeset="0x1" gp_index="1">
    <object type="NUMANode" os_index="0" cpuset="0x1" complete_cpuset="0x1" nodeset="0x1" complete_nodeset="0x1" gp_index="2" local_memory="1073741824"/>
    <object type="Core" os_index="0" cpuset="0x1" complete_cpuset="0x1" nodeset="0x1" complete_nodeset="0x1" gp_index="3">
      <object type="PU" os_index="0" cpuset="0x1" complete_cpuset="0x1" nodeset="0x1" complete_nodeset="0x1" gp_index="4"/>
    </object>
    <object type="Bridge" gp_index="5" bridge_type="0-1" depth="0" bridge_pci="0000:[00-ff]">
      <object type="PCIDev" gp_index="6" pci_busid="0000:01:00.0" pci_type="0302 [10de:2330] [10de:16c1] a1" pci_link_speed="0.000000"/>
      <object type="PCIDev" gp_index="7" pci_busid="0000:02:00.0" pci_type="0302 [10de:2330] [10de:16c1] a1" pci_link_speed="0.000000"/>
      <object type="PCIDev" gp_index="8" pci_busid="0000:03:00.0" pci_type="0300 [1a03:2000] [1a03:2000] 52" pci_link_speed="0.000000"/>
    </object>
  </object>
</topology>
END
HWLOC_XMLFILE=node.xml SLURM_GPUS_PER_NODE=0 run 0 plan "${bert[@]}" -c "$clusters/h100-64.json" --memory-limit 2
says err "this node has 2 GPUs (hwloc)"
says err "the search may take 2 GiB of a node, of which this job has 1 (hwloc)"

# The search keeps to the memory that the job has.
SLURM_MEM_PER_NODE=4096 run 0 plan "${bert[@]}" -c measured.json
says plan.json '"memory_limit_bytes": 3221225472'
SLURM_MEM_PER_NODE=4096 run 0 plan "${bert[@]}" -c measured.json --memory-limit 5
says err "the search may take 5 GiB of a node, of which this job has 4 (Slurm)"
finish
