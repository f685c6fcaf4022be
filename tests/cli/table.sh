# Several plans as one table.
. "$UAP_SOURCE_DIR/tests/cli/common.bash"

models=$UAP_SOURCE_DIR/configs/models
clusters=$UAP_SOURCE_DIR/configs/clusters
run 0 plan -m "$models/bert-huge.json" -c "$clusters/env-a.json" -b 16 --seq 512 --quiet -o "a,b.json"
run 3 plan -m "$models/llama-3.1-70b.json" -c "$clusters/h100-8.json" -b 8 --quiet -o none.json

run 0 table "a,b.json" none.json
[ "$(wc -l <out)" -eq 3 ] || complain "$command_line: $(wc -l <out) lines"
grep -qE '^a,b.json +bert-huge +16 +8 +optimal +1f1b ' out || complain "$command_line: $(cat out)"
grep -qE '^none.json +llama-3.1-70b +8 +8 +infeasible( +-){7}$' out ||
    complain "$command_line: $(cat out)"

tpi=$(sed -n 's/^ *"tpi_s": \(.*\),/\1/p' a,b.json)
run 0 table --csv "a,b.json" none.json
says out "plan,model,batch,devices,status,schedule,pp,micro_batches,tpi_s,samples_per_s,samples_per_s_per_device,gap"
says out '"a,b.json",bert-huge,16,8,optimal,1f1b,'
says out ",$tpi,"
says out "none.json,llama-3.1-70b,8,8,infeasible,,,,,,,"

# What cannot be read is told; the others are shown.
run 2 table none.json no-such.json
one_line
says out "none.json"
run 2 table
one_line
finish
