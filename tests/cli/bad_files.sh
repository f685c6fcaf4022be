# Bad files, whichever program reads them: exit status 2, one line that names the place, what
# was found and what was expected, and no output left behind.
. "$UAP_SOURCE_DIR/tests/cli/common.bash"

model=$UAP_SOURCE_DIR/configs/models/bert-huge.json
cluster=$UAP_SOURCE_DIR/configs/clusters/env-a.json

has_check=no
"$UNIAP" --help | grep -q '^  check ' && has_check=yes

# A good instance to spoil.
cat >instance.json <<'END'
{"format": "uniap-instance", "version": 1, "objective": "simple", "schedule": "gpipe",
 "pp": 2, "micro_batches": 4, "cap": [10e9, 10e9], "inflight": [4, 4],
 "A": [[0.02, 0.03], [0.02]], "R": [[[0], [0.001]]], "Rp": [[[0.002], [0.003]]],
 "G": [[0.1, 0.05], [0.1]], "Ms": [[4e9, 2e9], [4e9]], "Ma": [[1e9, 1e9], [1e9]],
 "W": [[0, 0], [0]], "strategies": [["dp2", "fsdp2"], ["dp2"]]}
END

# refuse TEXT ARGUMENT...: status 2, one line with the text, no plan, nothing temporary.
refuse() {
    local text=$1
    shift
    run 2 "$@"
    one_line
    says err "$text"
    absent plan.json plan.json.tmp.*
    [ ! -s out ] || complain "$command_line: output on stdout"
}

# Reads FILE as each kind of input and expects the same complaint.
refuse_everywhere() {
    local file=$1 text=$2
    refuse "$text" model "$file"
    refuse "$text" plan -m "$file" -c "$cluster" -b 32 -o plan.json
    refuse "$text" plan -m "$model" -c "$file" -b 32 -o plan.json
    refuse "$text" solve "$file" -o plan.json
    if [ "$has_check" = yes ]; then
        refuse "$text" check "$file" -m "$model" -c "$cluster"
    fi
}

# ---- Files that are no JSON: every program reads them alike ---------------------------------
: >empty.json
refuse_everywhere empty.json "empty.json:1:1: found an empty file, expected a value"

head -c $(($(wc -c <instance.json) / 2)) instance.json >half.json
refuse_everywhere half.json "half.json:3:35: found the end of the file, expected a value"

truncate -s 100000000 huge.json
refuse_everywhere huge.json "huge.json:"
rm huge.json

head -c 100000 /dev/zero | tr '\0' '[' >deep.json
refuse_everywhere deep.json "deep.json:1:65: found nesting deeper than 64 levels"

printf '{"a": 1,\n "b": 2,\n "a": 3}' >twice.json
refuse_everywhere twice.json 'twice.json:3:2: found a second key "a", expected each key once'

printf '{"a": [1,\n  NaN]}' >nan.json
refuse_everywhere nan.json "nan.json:2:3: found 'NaN', expected a value"

printf '{"a": [1,\n  1e400]}' >overflow.json
refuse_everywhere overflow.json "overflow.json:2:3: found the number 1e400"

echo '[1, 2]' >list.json
refuse_everywhere list.json "list.json:1:1: "

# refuse_text TEXT COMPLAINT: a file of this text (as printf has it) where it costs least.
refuse_text() {
    printf "$1" >text.json
    refuse "text.json:$2" solve text.json -o plan.json
}
refuse_text '{"format":\n "uniap-' \
    "2:2: found a string without its closing quote, expected a valid string"
refuse_text '{"a": [1,\n  -Infinity]}' "2:3: found '-Infinity', expected a value"
refuse_text '{"a": 123456789012345678901234567890}' \
    "1:7: found the number 123456789012345678901234567890, expected one that fits 64 bits"
refuse_text '{"a": "\377\376"}' "1:7: found bytes that are not UTF-8, expected UTF-8 text"
refuse_text '{"a": 1\0}' "1:8: found byte 0x00, expected ',' or '}'"
refuse_text '<html>' "1:1: found '<', expected a value"
refuse_text '{}' '1:1: found no key "format", expected a string'

mkdir directory.json
refuse "directory.json: found a directory, expected a file" solve directory.json -o plan.json
refuse "directory.json: found a directory, expected a file" \
    plan -m "$model" -c directory.json -b 32 -o plan.json

# ---- Files of another kind or version -----------------------------------------------------
refuse "instance.json:1:12: " plan -m "$model" -c instance.json -b 32 -o plan.json
refuse "env-a.json:" solve "$cluster" -o plan.json
refuse "env-a.json:" plan -m "$cluster" -c "$cluster" -b 32 -o plan.json
sed 's/"version": 1/"version": 99/' instance.json >version.json
refuse 'version.json:1:41: found 99, expected the integer 1 for "version"' \
    solve version.json -o plan.json
sed 's/"version": *1/"version": 99/' "$cluster" >version.json
refuse 'found 99' plan -m "$model" -c version.json -b 32 -o plan.json

# ---- Values -------------------------------------------------------------------------------
# spoil FIND REPLACE TEXT: the instance with one change.
spoil() {
    sed "s/$1/$2/" instance.json >spoilt.json
    refuse "$3" solve spoilt.json -o plan.json
}
spoil '0.03' '"0.03"' 'spoilt.json:3:15: found the string "0.03", expected a number'
spoil '0.03' '-0.03' 'spoilt.json:3:15: found -0.03, expected a number from 0'
spoil '0.03' '1e300' 'spoilt.json:3:15: found 1e+300, expected a number from 0'
spoil '0.02, 0.03' '40000000, 0.03' 'spoilt.json: times: found'
spoil '0.02, 0.03' '0.02' 'found 2 entries, expected 1, one per strategy'
spoil '"pp": 2' '"pp": 0' 'found 0, expected an integer from 1 to 2 for "pp"'
spoil '"pp": 2' '"pp": 3' 'found 3, expected an integer from 1 to 2 for "pp"'
spoil '"micro_batches": 4' '"micro_batches": -4' 'found -4, expected an integer from 1'
spoil '\[4, 4\]' '[4, 0]' 'found 0, expected an integer from 1 to 2147483647'
spoil '"W"' '"Work"' 'found the unknown key "Work"'

sed 's/"hidden_size": 1280/"hidden_size": 1e15/' "$model" >model.json
refuse "model.json:" plan -m model.json -c "$cluster" -b 32 -o plan.json
sed 's/"hidden_size": 1280/"hidden_size": -1280/' "$model" >model.json
refuse "model.json:" plan -m model.json -c "$cluster" -b 32 -o plan.json
sed 's/"num_hidden_layers": 32/"num_hidden_layers": 4000000000/' "$model" >model.json
refuse "model.json:" plan -m model.json -c "$cluster" -b 32 -o plan.json
sed 's/"num_hidden_layers": 32/"num_hidden_layers": "32"/' "$model" >model.json
refuse "model.json:" plan -m model.json -c "$cluster" -b 32 -o plan.json
sed 's/"memory_bytes": *[0-9.e+]*/"memory_bytes": 0/' "$cluster" >cluster.json
refuse "cluster.json:" plan -m "$model" -c cluster.json -b 32 -o plan.json
sed 's/"memory_bytes": *[0-9.e+]*/"memory_bytes": 1e25/' "$cluster" >cluster.json
refuse "cluster.json:" plan -m "$model" -c cluster.json -b 32 -o plan.json
sed 's/"latency_s": *[0-9.e-]*/"latency_s": -1/' "$cluster" >cluster.json
refuse "cluster.json:" plan -m "$model" -c cluster.json -b 32 -o plan.json

# ---- Outputs ------------------------------------------------------------------------------
refuse "absent/plan.json: cannot write: No such file or directory" \
    solve instance.json -o absent/plan.json
refuse "directory.json: cannot write: it is a directory" solve instance.json -o directory.json
echo old >kept.json
printf 'x' >spoilt.json
run 2 solve spoilt.json -o kept.json
grep -qx old kept.json || complain "$command_line: the old output is gone"
run 1 solve instance.json -o /dev/full
says err "/dev/full: cannot write: No space left on device"
run 0 solve instance.json -o plan.json
[ -s plan.json ] || complain "$command_line: no plan"
finish
