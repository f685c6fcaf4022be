# `uniap model`: totals, folded runs, JSON, and one line and status 2 for what it cannot read.
set -u
models=$UAP_SOURCE_DIR/configs/models
failures=0

fail() {
    echo "FAILED: $*"
    failures=$((failures + 1))
}

# expect STATUS PATTERN ARGUMENTS...: the status, and the pattern somewhere in stdout.
expect() {
    local status=$1 pattern=$2
    shift 2
    "$UNIAP" model "$@" >out 2>err
    local got=$?
    [ $got -eq "$status" ] || fail "$*: status $got, expected $status"
    grep -qE -- "$pattern" out || fail "$*: no '$pattern' in the output"
}

# refuse PATTERN ARGUMENTS...: status 2, nothing on stdout, one line on stderr.
refuse() {
    local pattern=$1
    shift
    "$UNIAP" model "$@" >out 2>err
    local got=$?
    [ $got -eq 2 ] || fail "$*: status $got, expected 2"
    [ ! -s out ] || fail "$*: output on stdout"
    [ "$(wc -l <err)" -eq 1 ] || fail "$*: $(wc -l <err) lines on stderr"
    grep -qE -- "^uniap: .*$pattern" err || fail "$*: no '$pattern' in: $(cat err)"
}

expect 0 '^6,738,415,616 parameters' "$models/llama-7b.json"
expect 0 '^block\.0 - block\.125 +block +126 ' "$models/llama-3.1-405b.json"
expect 0 '^405,853,388,800 parameters.* of 8192 tokens$' --seq 8192 "$models/llama-3.1-405b.json"
expect 0 '^encoder\.0\.mlp - encoder\.31\.mlp +mlp +32 ' --granularity operator "$models/bert-huge.json"
expect 0 '^head shares 32,899,072 parameters with encoder\.embedding$' "$models/t5-large.json"
expect 0 '"parameters": 1016178840' --json "$models/swin-huge.json"
expect 0 'fp32: 4 bytes' --precision=fp32 "$models/vit-huge.json"
expect 0 'of 197 tokens' --seq 64 "$models/vit-huge.json"
grep -q 'does not apply' err || fail "--seq of a vision model: no warning"
expect 0 'Usage: uniap model' --help

refuse 'MODEL'
refuse 'cannot open' nothing-here.json
refuse '--seq' --seq 0 "$models/bert-huge.json"
refuse '--seq' --seq -5 "$models/bert-huge.json"
refuse '512 learned positions' --seq 513 "$models/bert-huge.json"
refuse '--precision' --precision int8 "$models/bert-huge.json"
refuse '--tp' --tp 0 "$models/bert-huge.json"
printf '{"model_type":\n "gpt5"}' >unknown.json
refuse 'unknown\.json:2:2: .*gpt5.*bert, gpt2, llama, mistral, qwen2, swin, t5, vit' unknown.json
sed 's/"hidden_size": 1280/"hidden_size": -1280/' "$models/bert-huge.json" >negative.json
refuse 'negative\.json:8:18: .*-1280' negative.json
sed '/"hidden_size"/d' "$models/bert-huge.json" >missing.json
refuse 'missing\.json:1:1: .*hidden_size' missing.json
sed 's/"num_attention_heads": 16/"num_attention_heads": 7/' "$models/bert-huge.json" >uneven.json
refuse 'uneven\.json:[0-9]+:[0-9]+: .*7.*hidden_size.*1280' uneven.json
: >empty.json
refuse 'empty\.json' empty.json
head -c 200 "$models/bert-huge.json" >cut.json
refuse 'cut\.json:[0-9]+:[0-9]+' cut.json
truncate -s 200M huge.json
refuse 'huge\.json' huge.json
rm -f huge.json

if "$UNIAP" model "$models/bert-huge.json" >/dev/full 2>err; then
    fail "a full disk was not noticed"
fi
[ $failures -eq 0 ]
