# Profiles and plans as batch jobs: with srun and GPUs, with mpirun and without, a profile used
# again, and one that is of other nodes.
. "$UAP_SOURCE_DIR/tests/slurm/common.bash"
export MODELS=$MODEL BATCH=16 PLAN_OPTIONS="--seq 512 --precision fp32"
export PROFILE_OPTIONS="--quick --budget 2 --seq 512 --backend cpu" PROFILE=cluster.json

LAUNCH=srun submit --nodes=2 --gpus-per-node=2 "$scripts/profile.sbatch"
ended 0
says "$job.out" "4 ranks by srun"
says cluster.json '"hosts": "n[1-2]"'
says cluster.json '"devices_per_node": 2'
first=$(sha256sum <cluster.json)

LAUNCH=mpirun submit --nodes=2 --gpus-per-node=2 "$scripts/plan.sbatch"
ended 0
says "$job.out" "4 ranks by mpirun"
says "$job.out" "known from an earlier profile"
says "$job.out" "the plan is in plan.json"
says plan.json '"status": "optimal"'
says plan.json '"device_count": 4'
[ "$first" != "$(sha256sum <cluster.json)" ] || complain "$command_line: no new profile"
absent plan.checkpoint plan.checkpoint.nodes

# Nodes without GPUs, of which the profile knows nothing.
LAUNCH=srun submit --nodes=2 --ntasks-per-node=1 --nodelist=n3,n4 "$scripts/plan.sbatch"
ended 0
says "$job.out" "2 ranks by srun"
says cluster.json '"hosts": "n[3-4]"'
says plan.json '"status": "optimal"'
says plan.json '"device_count": 2'

command_line="uniap plan on nodes that the profile is not of"
status=0
srun --mpi=pmix --nodes=2 --ntasks=2 --nodelist=n2,n4 "$UNIAP" plan -m "$MODEL" -c cluster.json \
    -b 16 -o other.json >out 2>err || status=$?
[ $status -eq 2 ] || complain "$command_line: exit status $status, expected 2"
says err "measured on n[3-4], but this job also has n2"
absent other.json
finish
