# `uniap serve`: the one-shot commands' answers for many clients at once, on one and two ranks;
# what clients do wrong harms nobody; ends are orderly.
. "$UAP_SOURCE_DIR/tests/cli/common.bash"

models=$UAP_SOURCE_DIR/configs/models
clusters=$UAP_SOURCE_DIR/configs/clusters
scale=${UAP_TIME_SCALE:-1}
server=

# serve RANKS OPTION...: starts a service at ./s; its log is in ./log.
serve() {
    local ranks=$1 i
    shift
    command_line="uniap serve $* on $ranks ranks"
    if [ "$ranks" -eq 1 ]; then
        "$UNIAP" serve --socket s "$@" >log 2>&1 &
    else
        mpirun --oversubscribe -n "$ranks" "$UNIAP" serve --socket s "$@" >log 2>&1 &
    fi
    server=$!
    for i in $(seq $((100 * scale))); do
        grep -q '^serving' log && return
        sleep 0.1
    done
    complain "$command_line: did not start"
    cat log >&2
    exit 1
}
trap '[ -z "$server" ] || kill -9 $server 2>/dev/null' EXIT

# served STATUS: the service ends with it, and leaves nothing at its socket.
served() {
    local status=0
    wait $server || status=$?
    server=
    [ $status -eq "$1" ] || complain "$command_line: exit status $status, expected $1"
    absent s s.lock
}

# without_search FILE: without counts and times, and what mpirun says of signals.
without_search() {
    sed -e '/^ *"search": {/,/}/d' -e '/^search  /,/^ .* CPU s on /d' -e '/Forwarding signal/d' "$1"
}

# same STATUS ARGUMENT...: here and there the same files, streams and exit status.
same() {
    rm -f plan.json here.* there.*
    run "$@"
    for file in out err plan.json; do
        [ ! -e $file ] || without_search $file >here.$file
    done
    rm -f plan.json
    run "$@" --connect s
    for file in out err plan.json; do
        [ ! -e $file ] || without_search $file >there.$file
        [ -e $file ] || [ ! -e here.$file ] || complain "$command_line: no $file"
    done
    for file in here.*; do
        diff $file there.${file#here.} >difference || {
            complain "$command_line: ${file#here.} differs"
            head -5 difference >&2
        }
    done
    cp here.plan.json last.json 2>/dev/null || true
}

# talk COUNT: sends standard input, so many answers in ./answers.
talk() {
    command_line="service_tool talk"
    "$UAP_SERVICE_TOOL" talk s "$1" $((20 * scale)) >spaced || complain "no answer"
    sed 's/": /":/g' spaced | cut -c 1-12000 >answers
}

# figure NAME: of the service's status.
figure() {
    "$UNIAP" status --connect s | sed -n "s/^ *\"$1\": \([^,]*\),*/\1/p"
}

# until NAME VALUE: the figure has it before long.
until_figure() {
    local i
    for i in $(seq $((100 * scale))); do
        [ "$(figure "$1")" = "$2" ] && return
        sleep 0.1
    done
    complain "$1 is $(figure "$1"), expected $2"
}

mkdir llama
cp "$models/llama-7b.json" llama/config.json
hard_instance $((scale > 1 ? 120 : 200)) 40 >hard.json
hard_instance 24 8 >easy.json
printf '{"model_type": "llama", "hidden_size": \xff}' >bytes.json

# ---- The same as without it ----

check_answers() {
    same 0 plan -m "$models/bert-huge.json" -c "$clusters/env-a.json" -b 16 --seq 512 -o plan.json
    "$UNIAP" plan -m "$models/bert-huge.json" -c "$clusters/env-a.json" -b 16 --seq 512 -o kept.json >/dev/null 2>&1
    same 0 check kept.json
    same 2 export kept.json --to megatron -o plan.json
    same 2 export kept.json --to galvatron -o plan.json
    same 0 plan -m llama -c "$clusters/env-a.json" -b 8 -o - --quiet
    same 0 plan -m llama -c "$clusters/env-a.json" -b 8 -o plan.json --space dp,fsdp --gap 0.5
    same 0 export last.json --to deepspeed -o plan.json
    rm last.json
    same 0 solve easy.json
    same 3 plan -m "$models/llama-3.1-70b.json" -c "$clusters/h100-8.json" -b 8 -o plan.json
}

check_refusals() {
    same 2 plan -m no-such.json -c "$clusters/env-a.json" -b 16 -o plan.json
    same 2 plan -m bytes.json -c "$clusters/env-a.json" -b 16 -o plan.json
    same 2 plan -m llama -c llama -b 16 -o plan.json
    same 2 plan -m llama -b 16 -o plan.json
    same 2 plan -m llama -c "$clusters/env-b.json" -b 8 -o no/such/folder/plan.json
    same 2 check easy.json
    run 2 plan -m llama -c "$clusters/env-b.json" -b 8 -o plan.json --checkpoint c --connect s
    one_line
    run 2 plan -m llama -c "$clusters/env-b.json" -b 8 -o plan.json --dump-instances d --connect s
    one_line
    absent c d
    run 2 plan -m llama -c "$clusters/env-b.json" -b 8 -o plan.json --connect nowhere
    one_line
}

serve 1 --cache cache
[ "$(stat -c %a s)" = 600 ] || complain "the socket's mode is $(stat -c %a s)"
check_answers
check_refusals
hits=$(figure cache_hits_total)
run 0 plan -m "$models/bert-huge.json" -c "$clusters/env-a.json" -b 16 --seq 512 -o other.json --connect s
says out 'written to other.json'
[ "$(figure cache_hits_total)" -gt "$hits" ] || complain "the cache was not asked"
run 0 plan -m llama -c "$clusters/env-a.json" -b 8 -o plan.json --seq 256 --log-json log.jsonl --connect s
says log.jsonl '"event": "end"'
says log.jsonl '"event": "message"'
run 0 status --connect s --format prometheus
says out 'uniap_service_answer_seconds_count'
grep -qvE '^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[^}]*\})? [0-9.+-]+)$' out &&
    complain "$command_line: not Prometheus' format"

# A second one is refused, and harms nothing.
run 2 serve --socket s
says err 'a service is at work there'
[ -S s ] || complain "the socket is gone"

# ---- What clients do wrong ----

talk 9 <<'END'
{"jsonrpc":"2.0","id":1,"method":"status"
{"jsonrpc":"2.0","id":2,"method":"nothing"}
{"jsonrpc":"2.0","id":3,"method":"plan","params":{"options":{"batch":[]}}}
{"jsonrpc":"1.0","id":4,"method":"status"}
[]
{"jsonrpc":"2.0","id":"f\u00fcnf","method":"plan","params":{"args":["-m","/etc/passwd","-c","x","-b","8","-o","x"]}}
{"jsonrpc":"2.0","method":"status"}

{"jsonrpc":"2.0","id":6,"method":"solve","params":{"instance":{"format":"uniap-instance"}}}
{"jsonrpc":"2.0","id":7,"method":"plan","params":{"args":["--help"]}}
{"jsonrpc":"2.0","id":8,"method":"status"}
END
for text in '"id":null,"error":{"code":-32700' '"id":2,"error":{"code":-32601' \
    '"id":3,"error":{"code":-32602' '"id":4,"error":{"code":-32600' \
    '"id":null,"error":{"code":-32600' '"id":"fünf","error":{"code":-32003' \
    '"missing":"/etc/passwd"' '"id":6,"result":{"exit":2' 'Usage: uniap plan' '"id":8,"result"'; do
    says answers "$text"
done
# Documents in place of files, options in place of arguments.
{
    printf '{"jsonrpc":"2.0","id":1,"method":"plan","params":{"options":{"batch":16,"seq":512,"quiet":true},"model":'
    tr -d '\n' <"$models/bert-huge.json"
    printf ',"cluster":'
    tr -d '\n' <"$clusters/env-a.json"
    printf '}}\n'
} | talk 1
says answers '"output":{"batch":16'
says answers '"status":"optimal"'
command_line="service_tool fuzz"
"$UAP_SERVICE_TOOL" fuzz s 2000 1 "$UAP_SOURCE_DIR"/tests/corpus/service/*.jsonl >out ||
    complain "the service does not answer any more"
until_figure clients 1

# ---- Long searches ----

"$UNIAP" solve hard.json -o hard.plan --connect s >long.out 2>long.err &
long=$!
until_figure running 1
run 0 plan -m "$models/bert-huge.json" -c "$clusters/env-a.json" -b 24 --seq 512 --quiet -o plan.json --connect s
kill -INT $long
status=0
wait $long || status=$?
case $status in
4) says hard.plan '"status": "feasible"' ;;
5) absent hard.plan ;;
*) complain "uniap solve --connect, then INT: exit status $status, expected 4 or 5" ;;
esac
"$UNIAP" solve hard.json -o hard.plan --connect s >long.out 2>long.err &
long=$!
until_figure running 1
kill -9 $long
wait $long 2>/dev/null
until_figure running 0
[ "$(figure abandoned_total)" -ge 1 ] || complain "nobody noticed that the client is gone"
[ -z "$(ls cache/checkpoints)" ] || complain "checkpoints are left of what nobody waits for"
command_line="uniap serve, then USR1"
kill -USR1 $server
served 0

# ---- Two ranks; crashes ----

serve 2 --cache cache --checkpoint-interval 0.2
run 0 plan -m "$models/bert-huge.json" -c "$clusters/env-a.json" -b 16 --seq 512 -o plan.json --connect s
[ "$(figure cache_hits_total)" -eq 1 ] || complain "the last service's cache is of no use"
same 0 solve easy.json --engine cbc
"$UNIAP" solve hard.json -o hard.plan --connect s >long.out 2>long.err &
long=$!
until_figure running 1
same 0 plan -m "$models/t5-large.json" -c "$clusters/env-b.json" -b 16 -o plan.json
command_line="uniap serve on 2 ranks, then KILL"
sleep 2
pid=$(figure pid)
kill -9 "$pid"
wait $server
server=
wait $long 2>/dev/null
[ -S s ] || complain "$command_line: no socket was left to be replaced"
ls cache/checkpoints | grep -q . || complain "$command_line: no checkpoint is left"

# What a crash left is taken over; TERM keeps checkpoints.
serve 1 --cache cache --checkpoint-interval 0.2
run 0 plan -m "$models/t5-large.json" -c "$clusters/env-b.json" -b 16 -o plan.json --connect s
[ "$(figure cache_hits_total)" -eq 1 ] || complain "the crashed service's cache is of no use"
"$UNIAP" solve hard.json -o hard.plan --connect s >long.out 2>long.err &
long=$!
until_figure running 1
sleep 1
command_line="uniap serve, then TERM"
kill -TERM $server
status=0
wait $long || status=$?
[ $status -eq 4 ] || [ $status -eq 5 ] || complain "$command_line: the client's exit status is $status"
served 0
says long.err 'resuming from'
ls cache/checkpoints | grep -q . || complain "$command_line: no checkpoint is left"

# A damaged cache is put aside; limits hold.
printf 'no database' >cache/results.sqlite
serve 1 --cache cache --patience 1 --max-request 7 --max-clients 4 --time-limit 1
[ -s cache/results.damaged ] || complain "$command_line: the damaged cache is gone"
command_line="uniap solve, by a service with --time-limit 1"
start=$SECONDS status=0
"$UNIAP" solve hard.json -o hard.plan --connect s --time-limit 100 >out 2>err || status=$?
[ $status -eq 4 ] || [ $status -eq 5 ] || complain "$command_line: exit status $status"
[ $((SECONDS - start)) -lt $((20 * scale)) ] || complain "$command_line: took too long"
"$UAP_SERVICE_TOOL" stall s $((20 * scale)) 2>err || complain "$(cat err)"
head -c 9000000 /dev/zero | tr '\0' ' ' >long
{
    cat long
    echo
    echo '{"jsonrpc":"2.0","id":1,"method":"status"}'
} | talk 2
says answers '"code":-32004'
says answers '"id":1,"result"'
run 0 status --connect s --shutdown
served 0

[ $failures -eq 0 ]
