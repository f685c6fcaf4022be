# Checkpoints: what is written when, what is resumed, and what is refused.
. "$UAP_SOURCE_DIR/tests/cli/common.bash"

models=$UAP_SOURCE_DIR/configs/models
clusters=$UAP_SOURCE_DIR/configs/clusters
bert=(plan -m "$models/bert-huge.json" -c "$clusters/env-a.json" --precision fp32 --quiet)

# A finished search leaves a checkpoint that holds its end: asked again, it answers at once.
run 0 "${bert[@]}" -b 64 -o whole.json
plan_only whole.json >whole
run 0 "${bert[@]}" -b 64 -o plan.json --checkpoint ck
same_plan
head -1 ck | grep -q '^uniap-checkpoint 1$' || complain "$command_line: no checkpoint"
says ck "nodes 0"
cp ck done
run_ranks 2 0 "${bert[@]}" -b 64 -o plan.json --checkpoint ck
same_plan
says plan.json '"nodes": 0'

# Other inputs, with the reason; the file stays as it was.
cp done ck
run 2 "${bert[@]}" -b 32 -o plan.json --checkpoint ck
one_line
says err "other inputs: found batch 64, expected batch 32"
run_ranks 2 2 "${bert[@]}" -b 64 --schedule gpipe -o plan.json --checkpoint ck
says err "other inputs: found schedule"
cmp -s ck done || complain "$command_line: the checkpoint was touched"

# Of another version, or no checkpoint at all.
sed '1s/1/2/' done >ck
run 2 "${bert[@]}" -b 64 -o plan.json --checkpoint ck
one_line
says err "found version 2 of the format, expected 1"
cp "$models/bert-huge.json" ck
run 2 "${bert[@]}" -b 64 -o plan.json --checkpoint ck
one_line
says err "not a checkpoint"
cmp -s ck "$models/bert-huge.json" || complain "$command_line: a file was written over"

# Damaged: cut off, or a byte changed. The older one does, where it is there.
rm -f ck.old
for damage in "head -c 300" "head -c 20" "head -c 0" "sed s/worked/wurked/"; do
    $damage done >ck
    run 2 "${bert[@]}" -b 64 -o plan.json --checkpoint ck
    one_line
    says err "damaged checkpoint"
done
head -c 300 done >ck
cp done ck.old
run 0 "${bert[@]}" -b 64 -o plan.json --checkpoint ck
same_plan
says err "going on from ck.old"
cmp -s ck.old done || complain "$command_line: the good one went"
run 0 "${bert[@]}" -b 64 -o plan.json --checkpoint ck
[ ! -s err ] || complain "$command_line: the new one is not good"
rm ck
run 0 "${bert[@]}" -b 64 -o plan.json --checkpoint ck
says err "the newest checkpoint is missing; going on from ck.old"
same_plan

# Where it cannot be: before anything is searched. With CBC: not at all.
run 2 "${bert[@]}" -b 64 -o plan.json --checkpoint no-such/ck
one_line
run 2 "${bert[@]}" -b 64 -o plan.json --checkpoint ck --engine cbc
one_line

# An instance: the file is what it is of.
run 0 plan -m "$models/vit-huge.json" -c "$clusters/env-b.json" -b 64 --quiet -o plan.json \
    --dump-instances dump
set -- dump/*.json
cp "$1" one.json
rm -f ck ck.old
run 0 solve one.json -o first.json --quiet --checkpoint ck
run 0 solve one.json -o plan.json --quiet --checkpoint ck
cmp -s <(plan_only first.json) <(plan_only plan.json) || complain "$command_line: another plan"
cp "$2" one.json
run 2 solve one.json -o plan.json --quiet --checkpoint ck
one_line
says err "other inputs: found instance"
finish
