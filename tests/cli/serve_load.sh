# A service under load and under attack: many clients with right answers, memory that stays as it
# is, no file anywhere but in its own places. UAP_REQUESTS and UAP_LINES: how many.
. "$UAP_SOURCE_DIR/tests/cli/common.bash"

scale=${UAP_TIME_SCALE:-1}
requests=${UAP_REQUESTS:-200}
lines=${UAP_LINES:-3000}
corpus=$UAP_SOURCE_DIR/tests/corpus/service

mkdir place
command_line="uniap serve"
(cd place && exec "$UNIAP" serve --socket s --cache cache --try 0.2 --max-request 1 >../log 2>&1) &
server=$!
trap 'kill -9 $server 2>/dev/null' EXIT
for i in $(seq $((100 * scale))); do
    grep -q '^serving' log && break
    sleep 0.1
done

# figure NAME: of the service's status.
figure() {
    "$UNIAP" status --connect place/s | sed -n "s/^ *\"$1\": \([^,]*\),*/\1/p"
}

# attack SEED: lines of the corpus, most of them broken.
attack() {
    command_line="service_tool fuzz, seed $1"
    "$UAP_SERVICE_TOOL" fuzz place/s "$lines" "$1" "$corpus"/*.jsonl >out ||
        complain "the service does not answer any more"
}

# load: requests of 8 clients, each answer compared with the command's own.
load() {
    run 0 bench serve --connect place/s --configs "$UAP_SOURCE_DIR/configs" --folder bench \
        --requests "$requests" --clients 8 --cases 8
    says out ': 0 lost, 0 wrong'
    tail -1 out
}

# The first round fills what is filled once: caches, arenas, threads' stacks.
load
attack 1
before=$(figure resident_bytes)
load
attack 2
attack 3
after=$(figure resident_bytes)
echo "resident: $before, then $after bytes"
# The sanitizers keep what was freed.
[ "$scale" -gt 1 ] || [ "$after" -lt $((before + 16 * 1048576)) ] ||
    complain "memory grew from $before to $after bytes"

# Nothing that requests name was made, and nothing else is open.
command_line="uniap serve"
absent /tmp/uniap-was-here
pid=$(figure pid)
for link in /proc/"$pid"/fd/*; do
    path=$(readlink "$link") || continue
    case $path in
    "$PWD"/place/cache/results.sqlite* | "$PWD/place/s.lock" | "$PWD/log") ;;
    /* )
        case $path in
        /dev/* | /proc/* | /tmp/ompi.* | */ompi.*) ;;
        *) # what it was started with is not its own
            ls -l /proc/$$/fd | grep -qF -- "-> $path" || complain "it has $path open"
            ;;
        esac
        ;;
    esac
done
for path in place/* place/cache/*; do
    case $path in
    place/s | place/s.lock | place/cache | place/cache/results.sqlite* | place/cache/checkpoints) ;;
    *) complain "it made $path" ;;
    esac
done
[ -z "$(ls place/cache/checkpoints)" ] || complain "checkpoints are left"

run 0 status --connect place/s --shutdown
command_line="uniap serve"
status=0
wait $server || status=$?
[ $status -eq 0 ] || complain "exit status $status after shutdown"
[ "$(grep -cv -e '^serving' -e '^asked' -e '^the service' -e Forwarding log)" -eq 0 ] || {
    complain "it printed:"
    head -5 log >&2
}
absent place/s place/s.lock

[ $failures -eq 0 ]
