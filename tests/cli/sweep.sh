#!/usr/bin/env bash
# Many device counts in one job: each as a run of its own would have it.
# shellcheck source=tests/cli/common.bash
. "$UAP_SOURCE_DIR/tests/cli/common.bash"
models=$UAP_SOURCE_DIR/configs/models
clusters=$UAP_SOURCE_DIR/configs/clusters
unset "${!SLURM_@}"
scale=${UAP_TIME_SCALE:-1}

# values KEY FILE: those of all points, on one line.
values() {
    sed -n "s/^      \"$1\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}$/\1/p" "$2" | tr '\n' ' '
}

# alone COUNT ARGUMENT...: the plan of one count by itself, without statistics, as $family-COUNT.
alone() {
    local count=$1
    shift
    run 0 plan "$@" --devices "$count" -o alone.json --quiet
    plan_only alone.json >"$family-$count"
}

# same_plans COUNT...: those in plans/ are these.
same_plans() {
    local count
    for count; do
        plan_only "plans/plan-$count.json" | cmp -s "$family-$count" - ||
            complain "$command_line: another plan for $count devices"
    done
}

# A count too small for the model, counts within the profile and one beyond it.
family=llama
llama=(-m "$models/llama-7b.json" -c "$clusters/h100-64.json" -b 48 --seq 1024)
counts=(8 16 24 64 128)
for count in "${counts[@]}"; do
    alone "$count" "${llama[@]}"
done
run 0 plan "${llama[@]}" --sweep-devices 1,8:16,24,64:128 --plans plans -o sweep.json
same_plans "${counts[@]}"
says out "Device counts for llama-7b on h100-64, batch 48, sequence 1024"
says out " 100.0 %"
says out "1: no plan fits: in the most frugal one"
says out "* more devices than the 64 of the profile"
says err "64 devices: "
says sweep.json '"format": "uniap-sweep"'
[ "$(values device_count sweep.json)" = "1 8 16 24 64 128 " ] || complain "$command_line: other counts"
[ "$(values status sweep.json)" = "infeasible optimal optimal optimal optimal optimal " ] ||
    complain "$command_line: other statuses"
[ "$(values extrapolated sweep.json)" = "false false false false false true " ] ||
    complain "$command_line: extrapolated"
says plans/plan-128.json "128 devices are more than the 64"
says plans/plan-1.json '"status": "infeasible"'
run 0 check plans/plan-128.json
run 3 plan "${llama[@]}" --devices 1 -o alone.json --quiet
reason=$(sed -n 's/^  "reason": "\([^;]*\).*/\1/p' alone.json)
says sweep.json "$reason"

# The figures follow from the points.
values tpi_s sweep.json | tr ' ' '\n' | grep . >tpi
values device_hours_per_sample sweep.json | tr ' ' '\n' | grep . >hours
values efficiency sweep.json | tr ' ' '\n' | grep . >efficiency
printf '%s\n' "${counts[@]}" | paste - tpi hours efficiency | awk '
    function far(a, b) { return a - b > 1e-9 * b || b - a > 1e-9 * b }
    NR == 1 { first = 1 / ($1 * $2) }
    far($3, $1 * $2 / 48 / 3600) || far($4, 1 / ($1 * $2) / first) { bad = 1 }
    END { exit bad || NR != 5 }' || complain "$command_line: figures that do not follow"

# The same on several ranks, without files of plans, and as JSON alone.
for ranks in 2 3; do
    rm -rf plans
    run_ranks "$ranks" 0 plan "${llama[@]}" --sweep-devices 8:16,24,64:128 --plans plans -o sweep.json
    same_plans "${counts[@]}"
done
run 0 plan "${llama[@]}" --sweep-devices 8:16 -o - --quiet
says out '"format": "uniap-sweep"'
[ "$(head -c 1 out)" = "{" ] || complain "$command_line: not JSON alone"
! grep -q '"plan":' out || complain "$command_line: a plan's file"
run 0 plan "${llama[@]}" --sweep-devices 8:16 --log-json log
says log '"event": "point"'

# A live tensor and ties; CBC, of whose plans of equal value another may be found.
family=t5
t5=(-m "$models/t5-large.json" -c "$clusters/env-b.json" -b 16)
for count in 2 4 8; do
    alone "$count" "${t5[@]}"
done
rm -rf plans
run_ranks 2 0 plan "${t5[@]}" --sweep-devices 2:8 --plans plans
same_plans 2 4 8
vit=(-m "$models/vit-huge.json" -c "$clusters/env-b.json" -b 2 --space paper --cost paper --precision fp32)
run 0 plan "${vit[@]}" --sweep-devices 1:2 -o exact.json
run 0 plan "${vit[@]}" --sweep-devices 1:2 -o cbc.json --engine cbc
[ "$(values tpi_s exact.json)" = "$(values tpi_s cbc.json)" ] || complain "$command_line: other values"

# Nothing fits at any count.
run 3 plan -m "$models/llama-3.1-70b.json" -c "$clusters/h100-8.json" -b 8 --sweep-devices 1:4
says out "infeasible"

# Bad arguments, each with a line.
refused() { # TEXT ARGUMENT...
    local text=$1
    shift
    run 2 plan "${llama[@]}" "$@"
    one_line
    says err "$text"
}
refused "--sweep-devices: found '16:8', expected FROM:TO" --sweep-devices 16:8
refused "--sweep-devices: found '8:16:*1'" --sweep-devices '8:16:*1'
refused "--sweep-devices: found ''" --sweep-devices ''
refused "--devices: expected only without --sweep-devices" --sweep-devices 8:16 --devices 8
refused "--dump-instances: expected only without" --sweep-devices 8:16 --dump-instances dump
refused "--plans: expected only with --sweep-devices" --plans plans -o plan.json
refused "plans/none/deep" --sweep-devices 8:16 --plans plans/none/deep
refused "-o/--output: not given"
run 2 plan -m "$models/bert-huge.json" -c "$clusters/mix-a100-v100-t4.json" -b 32 --sweep-devices 48,64
one_line
says err "more than these only as a multiple of them, such as 96"

# A sweep that is stopped writes all counts: those done, the one at work and, with what others
# lend, those still to come. 70B on 128 devices takes most of a minute, 64 some seconds.
hard=(-m "$models/llama-3.1-70b.json" -c "$clusters/h100-1024.json" -b 1024)
run 4 plan "${hard[@]}" --sweep-devices 128:1024 --time-limit $((2 * scale)) -o sweep.json --quiet
says sweep.json '"status": "feasible"'
[ "$(values status sweep.json | wc -w)" -eq 4 ] || complain "$command_line: not every count"
! grep -q unknown sweep.json || complain "$command_line: a count without a plan"

# wait_for FILE TEXT: until it is there.
wait_for() {
    for _ in $(seq $((300 * scale))); do
        grep -qsF -- "$2" "$1" && return
        sleep 0.1
    done
    complain "$command_line: no '$2' in $1"
}
for ranks in 1 2; do
    command_line="uniap plan --sweep-devices, $ranks ranks, then USR1"
    status=0
    launch=()
    [ "$ranks" -eq 1 ] || launch=(mpirun --oversubscribe -n "$ranks")
    rm -rf plans
    "${launch[@]}" "$UNIAP" plan "${hard[@]}" --sweep-devices 16,128:1024 --plans plans \
        -o stopped.json >out 2>err &
    wait_for err "16 devices: "
    sleep 1
    kill -USR1 $!
    wait $! || status=$?
    [ "$status" -eq 4 ] || complain "$command_line: exit status $status, expected 4"
    [ "$(values device_count stopped.json)" = "16 128 256 512 1024 " ] || complain "$command_line: other counts"
    case "$(values status stopped.json)" in
    "optimal feasible "*) ;;
    *) complain "$command_line: $(values status stopped.json)" ;;
    esac
    says plans/plan-1024.json '"bound_s"'
done

# A checkpoint for each count: what was proven is not searched again.
family=llama
run 0 plan "${llama[@]}" --sweep-devices 8:16 --plans plans --checkpoint state
if [ ! -e state.8 ] || [ ! -e state.16 ]; then
    complain "$command_line: no checkpoints"
fi
rm -rf plans
run_ranks 2 0 plan "${llama[@]}" --sweep-devices 8:16 --plans plans --checkpoint state
same_plans 8 16
finish
