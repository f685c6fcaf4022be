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

finish() {
    [ "$failures" -eq 0 ] || exit 1
}
