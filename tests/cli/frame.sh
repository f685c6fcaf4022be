# The program's frame: help, version, unknown words, any number of ranks.
. "$UAP_SOURCE_DIR/tests/cli/common.bash"

run 0 --version
says out "uniap "
run 0 --help
for name in plan solve; do
    says out "  $name "
done
run 2
says err "Commands:"
run 2 frobnicate
says err "uniap: 'frobnicate': unknown command"
says err "  plan "
for name in plan solve; do
    run 0 $name --help
    says out "Usage: uniap $name "
    says out "--help"
    run 0 $name --version
    says out "uniap "
done

# What is of one process alone starts no MPI, which takes half a second.
export OMPI_MCA_pml=none-of-these
run 0 --version
run 0 check --help
run 1 solve no-such.json
unset OMPI_MCA_pml

# Every rank returns the same status, and only one of them speaks.
run_ranks 3 0 --version
[ "$(wc -l <out)" -eq 1 ] || complain "$command_line: not one line"
run_ranks 3 0 plan --help
[ "$(grep -c Usage: out)" -eq 1 ] || complain "$command_line: not one help text"
run_ranks 3 2 frobnicate
[ "$(grep -c 'unknown command' err)" -eq 1 ] || complain "$command_line: not one line"
mpirun --oversubscribe --timeout 60 -n 3 bash -c '"$UNIAP" solve no-such.json; echo "status $?"' \
    >out 2>err || true
command_line="mpirun -n 3 uniap solve no-such.json"
[ "$(grep -c '^status 2$' out)" -eq 3 ] || complain "$command_line: not status 2 on each rank"
run_ranks 2 2 plan
[ "$(grep -c '^uniap: ' err)" -eq 1 ] || complain "$command_line: not one line"

# Results that cannot be written are a failure.
if [ -w /dev/full ]; then
    status=0
    "$UNIAP" --help >/dev/full 2>err || status=$?
    [ "$status" -eq 1 ] || complain "uniap --help >/dev/full: exit status $status"
fi
finish
