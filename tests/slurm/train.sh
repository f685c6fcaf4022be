# What a job array finds, as one table; and profile, plan and launch lines in one job, and in
# three that wait for each other.
. "$UAP_SOURCE_DIR/tests/slurm/common.bash"
configs=$UAP_SOURCE_DIR/configs

export BATCH="64 128" MODEL="$configs/models/llama-7b.json $configs/models/llama-13b.json"
CLUSTER=$configs/clusters/a100-32.json PLAN_OPTIONS="--seq 2048" \
    submit --array=0-4 --ntasks-per-node=1 --oversubscribe --mem=100 "$scripts/plan.sbatch"
array=$job
for i in 0 1 2 3; do
    job=${array}_$i
    until_true 60 is_over "$job"
    [ "$(field ExitCode)" = 0:0 ] || complain "$command_line: element $i failed"
done
job=${array}_4
until_true 60 is_over "$job"
[ "$(field ExitCode)" = 2:0 ] || complain "$command_line: element 4 of 4"
run 0 table plan-*.json --csv
[ "$(cut -d, -f2-5 out | tail -n +2)" = "llama-7b,64,32,optimal
llama-7b,128,32,optimal
llama-13b,64,32,optimal
llama-13b,128,32,optimal" ] || complain "$command_line: $(cat out)"

export MODEL=$configs/models/bert-huge.json MODELS=$configs/models/bert-huge.json BATCH=16
export PROFILE_OPTIONS="--quick --budget 2 --seq 512 --backend cpu" PROFILE=cluster.json
export PLAN_OPTIONS="--seq 512 --precision fp32 --space tp"

# three_lines: the arguments that the plan says are in the launch lines.
three_lines() {
    says "$job.out" "torchrun --nnodes=2 --nproc-per-node=1 --master-addr=n3"
    says "$job.out" "pretrain_gpt.py --"
    says "$job.out" "--global-batch-size 16"
    says "$job.out" "--deepspeed_config ds.json"
    says "$job.out" "-m torchtitan.train"
    says ds.json '"train_batch_size": 16'
    says plan.py "def apply("
}

LAUNCH=srun submit --nodes=2 --nodelist=n3,n4 --ntasks-per-node=1 "$scripts/train.sbatch"
ended 0
three_lines

rm -f plan.json ds.json plan.py
export LAUNCH=mpirun
job=$(sbatch --parsable --nodes=2 --nodelist=n3,n4 --ntasks-per-node=1 --output=%A.out "$scripts/profile.sbatch")
job=$(sbatch --parsable --dependency=afterok:"$job" --nodes=2 --nodelist=n3,n4 --ntasks-per-node=1 --output=%A.out \
    "$scripts/plan.sbatch")
TRAIN_ONLY=yes submit --dependency=afterok:"$job" --nodes=2 --nodelist=n3,n4 --ntasks-per-node=1 "$scripts/train.sbatch"
ended 0
three_lines
finish
