# `uniap export`: every target against files that were checked by hand, refusals that name
# layers and options and leave nothing behind, and Galvatron's file read back as the same plan.
. "$UAP_SOURCE_DIR/tests/cli/common.bash"
models="$UAP_SOURCE_DIR/configs/models"
clusters="$UAP_SOURCE_DIR/configs/clusters"
golden="$UAP_SOURCE_DIR/tests/golden/export"

# golden PLAN TARGET...: these targets take the plan, and no others.
targets="megatron deepspeed torchtitan torchtitan-toml galvatron"
golden() {
    local plan=$1 target
    shift
    for target in $targets; do
        case " $* " in
        *" $target "*)
            run 0 export "$golden/$plan.json" --to "$target" -o "$plan.$target"
            cmp -s "$golden/$plan.$target" "$plan.$target" || {
                complain "$command_line: not as in $golden"
                diff "$golden/$plan.$target" "$plan.$target" | head -20 >&2
            }
            run 0 export "$golden/$plan.json" --to "$target" --quiet
            cmp -s "$golden/$plan.$target" out || complain "$command_line: another output"
            ! grep -q note: err || complain "$command_line: not quiet"
            ;;
        *)
            run 2 export "$golden/$plan.json" --to "$target" -o "$plan.$target"
            says err "nothing written"
            absent "$plan.$target"
            ;;
        esac
    done
}
golden uneven megatron torchtitan galvatron
golden sharded megatron deepspeed torchtitan torchtitan-toml
golden layout megatron
golden pipe megatron deepspeed torchtitan torchtitan-toml
golden mixed galvatron

# Refusals name the layers and the option, and an old file stands.
echo old >kept
run 2 export "$golden/mixed.json" --to megatron -o kept
says err "mixed.json: layer 3 (block.2): tp 4, but usually 2; Megatron-LM has one --tensor-model-parallel-size"
says err "layers 0-7: schedule gpipe"
[ "$(cat kept)" = old ] || complain "$command_line: wrote over a file"
run 2 export "$golden/uneven.json" --to deepspeed -o kept
says err "layers 4-5: stage 1; pipeline.partition"
says err "tensor_parallel.autotp_size"
run 2 export "$golden/layout.json" --to torchtitan
says err "layers 1-2, 6, 8 (block.0 and block.1, block.5, block.7): recompute"
run 2 export "$golden/layout.json" --to galvatron
says err "default_dp_type"
[ "$(cat kept)" = old ] || complain "$command_line: wrote over a file"

# Python and TOML that Python reads: the module sets fields that are there, and no others.
if command -v python3 >/dev/null; then
    python3 - "$golden" >python.out 2>&1 <<'END' || { complain "python"; cat python.out >&2; }
import glob, json, sys, types
ac = types.ModuleType("torchtitan.distributed.activation_checkpoint")
ac.FullAC = type("FullAC", (), {"Config": dict})
for name in ("torchtitan", "torchtitan.distributed"):
    sys.modules[name] = types.ModuleType(name)
sys.modules[ac.__name__] = ac
for path in glob.glob(sys.argv[1] + "/*.torchtitan"):
    scope = {}
    exec(compile(open(path).read(), path, "exec"), scope)
    config = types.SimpleNamespace(parallelism=types.SimpleNamespace(), training=types.SimpleNamespace())
    p = scope["apply"](config).parallelism
    plan = json.load(open(path.replace(".torchtitan", ".json")))
    assert p.pipeline_parallel_degree == plan["pp"]
    if plan["pp"] > 1:
        names = [name for part in p.module_fqns_per_model_part for name in part]
        assert len(names) == len(plan["layers"]) + 1 and len(set(names)) == len(names), names
try:
    import tomllib
except ImportError:
    sys.exit(0)
for path in glob.glob(sys.argv[1] + "/*.torchtitan-toml"):
    assert tomllib.load(open(path, "rb"))["training"]["seq_len"] == 4096
END
fi

# Galvatron's file read back: the same stages, strategies, batch, and so the same numbers.
# plan_numbers FILE: what the plan says, without where it comes from.
plan_numbers() {
    sed -e '/^ *"search": {/,/}/d' -e '/^ *"options": {/,/}/d' -e '/"status":/d' \
        -e '/"bound_s":/d' -e '/"gap":/d' -e '/^ *"warnings"/,/\]/d' "$1"
}
# back MODEL CLUSTER OPTION...: a plan there and back. The cluster has no measured layers.
back() {
    local model="$models/$1.json" cluster="$clusters/$2.json"
    shift 2
    run 0 plan -m "$model" -c "$cluster" -o plan.json --quiet "$@" --seq 512 --precision fp16
    run 0 check plan.json -o full.json --quiet
    run 0 export plan.json --to galvatron -o strategy.json --quiet
    run 0 check strategy.json --from galvatron -m "$model" -c "$cluster" --seq 512 \
        --precision fp16 -o back.json
    says out "a plan by hand: legal"
    run 0 export back.json --to galvatron -o again.json --quiet
    cmp -s strategy.json again.json || complain "$command_line: another strategy file"
    plan_numbers full.json >full.txt
    plan_numbers back.json >back.txt
    cmp -s full.txt back.txt || {
        complain "$command_line: another plan"
        diff full.txt back.txt | head -20 >&2
    }
}
back llama-7b env-c -b 16 --space dp,fsdp,recompute
back llama-7b env-a -b 16 --space fsdp --schedule gpipe
back llama-3.1-8b a100-16 -b 64 --space fsdp
back bert-huge env-b -b 32 --space dp

# A strategy file of another tool: scored, or refused with the key.
printf '{"pp_deg": 2, "tp_sizes_enc": "1,2,1,1", "dp_types_enc": "0,0,1,1", "world_size": 8,
"global_bsz": 16, "chunks": 2, "default_dp_type": "zero2", "vtp": 4, "embed_sdp": 1}\n' >other.json
run 2 check other.json --from galvatron
says err "-m/--model: not given"
bad() {
    sed "$2" other.json >bad.json
    run 2 check bad.json --from galvatron -m "$models/llama-7b.json" -c "$clusters/env-a.json"
    one_line
    says err "$1"
}
bad "dp_types_enc: found 3 numbers" 's/0,0,1,1/0,0,1/'
bad "use_sp: layer 1" 's/"vtp"/"use_sp": "1,1,0,0", "vtp"/'
bad "tp_consecutive_flags: layer 1" 's/"vtp"/"tp_consecutive_flags": "1,0,1,1", "vtp"/'
bad "cp_sizes_enc: layer 2" 's/"vtp"/"cp_sizes_enc": "1,1,2,1", "vtp"/'
bad "vocab_sdp: found 0" 's/"vtp"/"vocab_sdp": 0, "vtp"/'
bad "pp_division" 's/"vtp"/"pp_division": "1,2", "vtp"/'
bad "found tensor-parallel degree 3" 's/1,2,1,1/1,3,1,1/'
bad "world_size" 's/"world_size": 8/"world_size": 9/'
bad "default_dp_type: found \"zero1\"" 's/zero2/zero1/'
bad "tp_sizes_enc: found \"x,1,1\" as number 1" 's/1,2,1,1/1,x,1,1/'
bad "vpp" 's/"vtp"/"vpp"/'
run 2 check "$golden/pipe.json" --seq 8
says err "--from galvatron"

# What is no plan to export.
run 2 export
run 2 export "$golden/pipe.json"
says err "--to: not given, expected megatron|"
run 2 export "$golden/pipe.json" --to megatron5
says err "megatron|deepspeed|torchtitan|torchtitan-toml|galvatron"
run 2 export absent.json --to megatron
one_line
run 2 export "$golden/pipe.json" --to megatron -o no/such/folder
one_line
sed 's/"type": "block", //' "$golden/pipe.json" >no_types.json
run 2 export no_types.json --to megatron
says err "layer 1: type: found none"
sed '/block.0"/s/"dp": 4/"dp": 5/' "$golden/pipe.json" >odd.json
run 2 export odd.json --to megatron
says err "layer 1: dp * fsdp * tp: found 5, expected the stage's 4"
run 3 plan -m "$models/llama-3.1-70b.json" -c "$clusters/h100-8.json" -b 8 -o plan.json --quiet
run 2 export plan.json --to megatron
says err "infeasible"

# Unlike devices: stages of other sizes, and of devices in another order.
sed '/block.[4-7]"/s/"dp": 4/"dp": 2/;/head"/s/"dp": 4/"dp": 2/' "$golden/pipe.json" >unlike.json
sed 's/"last_layer": 4/"last_layer": 4, "device_ids": "4-7"/' "$golden/pipe.json" >order.json
for target in $targets; do
    run 2 export unlike.json --to "$target" -o x
    says err "layers 5-9 (block.4 .. head): stage 1 has 2 devices and stage 0 4; all stages of"
    run 2 export order.json --to "$target" -o x
    says err "stage 0, layers 0-4: device_ids 4-7, but ranks 0-3 of"
    absent x
done

run_ranks 2 0 export "$golden/pipe.json" --to megatron -o two.args
cmp -s "$golden/pipe.megatron" two.args || complain "two ranks: another output"
finish
