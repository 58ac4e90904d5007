# What the tests of the command line share; sourced by them with the program as $1. They work in a temporary folder,
# $work, and end with `summary`.
set -u
mldctl=$(realpath "$1")
work=$(mktemp -d)
trap 'jobs=$(jobs -p); [ -z "$jobs" ] || kill -KILL $jobs 2>/dev/null; rm -rf "$work"' EXIT
cd "$work" || exit 1
unset "${!MLD_@}"

failures=0 checks=0
fail() {
  failures=$((failures + 1))
  printf 'FAILED: %s\n' "$*"
  sed 's/^/    stderr: /' err | cut -c1-300
}

# check NAME COMMAND...: the command succeeds.
check() {
  local name=$1
  shift
  checks=$((checks + 1))
  "$@" || fail "$name"
}

# Runs mldctl with the arguments; leaves its exit code in $code, its output in the files out and err.
run() {
  said="mldctl $*"
  case ${1-} in
    train | ablate | experiment | sample | eval | report) [[ " $* " == *" --device "* ]] || set -- "$@" "${on_cpu[@]}" ;;
  esac
  "$mldctl" "$@" >out 2>err </dev/null
  code=$?
}

# What there is to compute with. Where `auto` would take a GPU, commands that name no device are given the cpu, whose
# samples have the same bits for every chunk.
on_cpu=()
run doctor
doctor=$code
built=$(sed -n 's/^built with CUDA  *//p' out) computes=$(sed -n 's/^computes on  *//p' out)
if [ "$built" = yes ] && [ "$computes" = cuda:0 ]; then on_cpu=(--device cpu); fi

# works ARGS...: exit code 0.
works() {
  run "$@"
  check "$said: exit code $code, expected 0" [ $code = 0 ]
}

# ended CODE TEXT: the last run ended with CODE, printed nothing on stdout, and its last line on stderr is the
# program's and contains TEXT.
ended() {
  check "$said: exit code $code, expected $1" [ $code = "$1" ]
  check "$said: stdout is not empty" [ ! -s out ]
  check "$said: the last line on stderr is not 'mldctl: ...$2...'" grep -qF -- "$2" <(tail -n 1 err | grep '^mldctl: ')
}

# refuses CODE TEXT ARGS...: as above, and stderr is that one line.
refuses() {
  local expected=$1 text=$2
  shift 2
  run "$@"
  ended "$expected" "$text"
  check "$said: stderr is not one line" [ "$(wc -l <err)" = 1 ]
}

# tells CODE LINE ARGS...: an error of several lines, of which one is LINE.
tells() {
  local expected=$1 line=$2
  shift 2
  run "$@"
  check "$said: exit code $code, expected $expected" [ $code = "$expected" ]
  check "$said: lacks '$line'" grep -qxF -- "$line" err
}

# wait_for COMMAND...: until it succeeds, for up to 100 seconds.
wait_for() {
  local i
  for ((i = 0; i < 2000; ++i)); do
    "$@" && return
    sleep 0.05
  done
}

same() { check "$1 and $2 differ" cmp -s "$1" "$2"; }

# npy FILE TYPE SHAPE: an array whose values come from stdin.
npy() {
  local header="{'descr': '$2', 'fortran_order': False, 'shape': ($3,), }" size
  size=$(((10 + ${#header} + 64) / 64 * 64 - 10))
  {
    printf '\x93NUMPY\x01\x00'
    printf "\\x$(printf %02x $size)\\x00"
    printf "%-$((size - 1))s\n" "$header"
    cat
  } >"$1"
}

# values N A B C...: N values that go round in the list, bytes in printf's notation.
values() {
  local n=$1 i
  shift
  local list=("$@")
  for ((i = 0; i < n; ++i)); do printf "${list[$((i * (i + 3) % ${#list[@]}))]}"; done
}

flip_byte() {  # flip_byte FILE OFFSET_FROM_END
  local at=$(($(stat -c %s "$1") - $2)) byte
  byte=$(od -An -tu1 -j $at -N 1 "$1")
  printf "\\x$(printf %02x $((byte ^ 64)))" | dd of="$1" bs=1 seek=$at conv=notrunc status=none
}

half='\x00\x00\x00\x3f' one='\x00\x00\x80\x3f' zero='\x00\x00\x00\x00' nan='\x00\x00\xc0\x7f'

# Everything as small as it gets: arrays in/, the store of them, the settings tiny.json, and a run. "${tiny[@]}" trains
# another, --out to be added.
tiny_run() {
  mkdir -p in/train in/test
  values 128 '\x00' '\x40' '\x80' '\xff' '\x20' | npy in/train/left.npy '|u1' 32,2,2
  values 64 $zero $half $one | npy in/train/right.npy '<f4' 32,2
  values 32 '\x00' '\x01' '\x02' | npy in/train/labels.npy '|u1' 32
  values 32 '\x00' '\x40' '\x80' '\xff' '\x20' | npy in/test/left.npy '|u1' 8,2,2
  values 16 $zero $half $one | npy in/test/right.npy '<f4' 8,2
  values 8 '\x00' '\x01' '\x02' | npy in/test/labels.npy '|u1' 8
  works data import npy in --out store
  cat >tiny.json <<'JSON'
{
  "stage1": {"steps": 2, "batch": 8, "schedule": "constant"},
  "classifier_training": {"steps": 2, "batch": 8, "schedule": "constant"},
  "score": {"steps": 4, "batch": 8, "width": 16, "time_dim": 16, "groups": 4, "schedule": "constant"},
  "run": {"log_every": 1, "checkpoint_every": 2},
  "sampler": {"steps": 2, "jump": 1, "resample": 1, "chunk": 16}
}
JSON
  tiny=(train --config "$work/tiny.json" --data "$work/store" --threads 1 --device cpu)
  works "${tiny[@]}" --out run
}

summary() {
  echo "$checks checks, $failures failed"
  [ $failures = 0 ]
}
