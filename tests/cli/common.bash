# What the scripts of this folder share. UNIAP is the program, UAP_SOURCE_DIR the tree; the
# working directory is the test's own and is emptied first.
set -u
rm -rf ./* 2>/dev/null
failures=0

# Records a failure and goes on, so that one run shows all of them.
complain() {
    echo "FAILED: $*" >&2
    failures=$((failures + 1))
}

# run STATUS ARGUMENT...: the program's output in out and err, its exit status checked.
run() {
    local expected=$1 status=0
    shift
    command_line="uniap $*"
    "$UNIAP" "$@" >out 2>err || status=$?
    if [ "$status" -ne "$expected" ]; then
        complain "$command_line: exit status $status, expected $expected"
        sed 's/^/    /' err >&2
    fi
}

# run_ranks N STATUS ARGUMENT...: the same under mpirun.
run_ranks() {
    local ranks=$1 expected=$2 status=0
    shift 2
    command_line="mpirun -n $ranks uniap $*"
    mpirun --oversubscribe --timeout $((60 * ${UAP_TIME_SCALE:-1})) -n "$ranks" "$UNIAP" "$@" >out 2>err || status=$?
    if [ "$status" -ne "$expected" ]; then
        complain "$command_line: exit status $status, expected $expected"
        sed 's/^/    /' err >&2
    fi
}

# says FILE TEXT: the file has this text, as it is.
says() {
    grep -qF -- "$2" "$1" || {
        complain "$command_line: no '$2' in $1"
        head -20 "$1" | sed 's/^/    /' >&2
    }
}

# one_line: exactly one line of complaint, from uniap.
one_line() {
    if [ "$(wc -l <err)" -ne 1 ] || ! grep -q '^uniap: ' err; then
        complain "$command_line: not one line on stderr"
        head -20 err | sed 's/^/    /' >&2
    fi
}

# absent PATH...: nothing was left behind.
absent() {
    local path
    for path in "$@"; do
        [ ! -e "$path" ] || complain "$command_line: $path exists"
    done
}

# plan_only FILE: without the search's counts and times, and what stopped it.
plan_only() {
    sed -e '/^ *"search": {/,/}/d' -e '/"time_limit_s"/d' -e '/"gap": /d' "$1"
}

# same_plan: plan.json is the plan that `whole` is of.
same_plan() {
    plan_only plan.json | cmp -s whole - || complain "$command_line: another plan"
}

# hard_instance LAYERS STRATEGIES: one of unlike layers, dense random costs and tight memory.
hard_instance() {
    awk -v L="$1" -v S="$2" 'BEGIN {
        srand(7); pp = 4
        printf "{\"format\": \"uniap-instance\", \"version\": 1, \"objective\": \"simple\", "
        printf "\"schedule\": \"gpipe\", \"pp\": %d, \"micro_batches\": 16,\n", pp
        for (u = 0; u < L; u++) {
            for (k = 0; k < S; k++) {
                t = 100 + int(1000 * rand())
                a = a (k ? "," : (u ? "],[" : "[")) t * 1e-6
                m = m (k ? "," : (u ? "],[" : "[")) int(3e11 / t * (0.5 + rand()))
                z = z (k ? "," : (u ? "],[" : "[")) 0
                n = n (k ? "," : (u ? "],[" : "[")) "\"s" k "\""
            }
        }
        printf "\"A\": [%s]],\n\"Ms\": [%s]],\n\"G\": [%s]],\n\"Ma\": [%s]],\n\"W\": [%s]],\n", a, m, z, z, z
        printf "\"strategies\": [%s]],\n", n
        for (half = 0; half < 2; half++) {
            printf "\"%s\": [", half ? "Rp" : "R"
            for (u = 0; u + 1 < L; u++) {
                printf u ? ",[" : "["
                for (k = 0; k < S; k++) {
                    printf k ? ",[" : "["
                    for (q = 0; q < S; q++) printf "%s%g", q ? "," : "", int(200 * rand()) * 1e-6
                    printf "]"
                }
                printf "]"
            }
            printf "],\n"
        }
        printf "\"cap\": [1.8e10, 1.8e10, 1.8e10, 1.8e10], \"inflight\": [16, 16, 16, 16]}\n"
    }'
}

finish() {
    [ "$failures" -eq 0 ] || exit 1
}
