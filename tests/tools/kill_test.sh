#!/usr/bin/env bash
# A kill before every call that changes the file system, and a failure of every such call: what is on disk is what was
# before or what was to be, never a mixture; the same command then succeeds with the same bytes and leaves nothing else.
# Calls are spread over about 50 places; MLD_KILL_ALL=1 takes every one.
# usage: kill_test.sh MLDCTL KILL_SHIM
shim=$(realpath "$2")
all=${MLD_KILL_ALL:-}
. "$(dirname "$0")/helpers.sh"
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0:detect_leaks=0"

# shimmed VARIABLE=VALUE... -- ARGS...: mldctl with the shim, in the folder t.
shimmed() {
  local settings=()
  while [ "$1" != -- ]; do
    settings+=("$1")
    shift
  done
  shift
  said="${settings[*]} mldctl $*"
  { (cd t && exec env LD_PRELOAD="$shim" "${settings[@]}" "$mldctl" "$@") >out 2>err </dev/null; } 2>/dev/null
  code=$?
}

# points TOTAL WANTED: numbers of calls, a third of them the first ones, the others spread to the last.
points() {
  local wanted=$2 dense=$(($2 / 3)) i
  if [ -n "$all" ] || [ $wanted -ge $1 ]; then wanted=$1 dense=$1; fi
  for ((i = 1; i <= dense; ++i)); do echo $i; done
  for ((i = 1; i <= wanted - dense; ++i)); do echo $((dense + i * ($1 - dense) / (wanted - dense))); done
}

# What a scenario may define: prepare (the folder t before), again (the command after a kill; leaves $code).
prepare() { :; }
once_more() {
  (cd t && "$mldctl" "${command[@]}") >out 2>err </dev/null
  code=$?
}
again() { once_more; }

fresh() {
  rm -rf t
  mkdir t
  prepare
}

equal() { diff -r -x report.html -x .lock "$1" "$2" >/dev/null 2>&1; }

# whole: what the folder t holds now is what it held before, or the result. A run is neither until it is complete.
whole() {
  case $kind in
    run) true ;;
    *) { [ ! -e t/out ] && [ ! -e before/out ]; } || equal t/out before/out || equal t/out after/out || aside ;;
  esac
}
aside() { [ -n "${exchange-}" ] && [ ! -e t/out ] && equal t/.out.replaced before/out; }

# restored PLACE: the command works now, and leaves what it would have without the kill.
restored() {
  check "$1: neither the old nor the new result" whole
  again
  check "$1: afterwards ${command[*]} ended with $code" [ $code = 0 ]
  check "$1: afterwards the result is another: $(diff -rq -x report.html t after 2>&1 | head -n 3)" equal t after
  check "$1: afterwards there is $(ls -A t | tr '\n' ' ')" [ "$(find t | sort)" = "$(cd after && find . | sort | sed 's/^\./t/')" ]
}

# scenario KIND KILLS FAILURES ARGS...: a command that writes t/out.
scenario() {
  kind=$1
  local kills=$2 failures_wanted=$3 n error
  shift 3
  command=("$@")
  fresh
  rm -rf before after
  cp -r t before
  shimmed ${exchange-} KILL_SHIM_COUNT="$work/count" -- "${command[@]}"
  check "$said: exit code $code, expected 0" [ $code = 0 ]
  cp -r t after
  local total=$(<count)
  check "$said: $total calls" [ "$total" -gt 5 ]
  for n in $(points $total $kills); do
    fresh
    shimmed ${exchange-} KILL_SHIM_AT=$n -- "${command[@]}"
    check "$said: exit code $code, expected 137" [ $code = 137 ]
    restored "$said"
  done
  for n in $(points $total $failures_wanted); do
    for error in "KILL_SHIM_ERROR=ENOSPC" "KILL_SHIM_ERROR=EIO KILL_SHIM_ON=1"; do
      fresh
      shimmed ${exchange-} KILL_SHIM_FAIL=$n $error -- "${command[@]}"
      # A failure that costs nothing (permissions, a process id in a lock) need not be an error.
      check "$said: exit code $code, expected 7" [ $code = 7 -o $code = 0 ]
      check "$said: does not say what failed" eval "[ $code = 0 ] || grep -qF ': cannot ' err"
      restored "$said"
    done
  done
}

# --- what there is to work with -----------------------------------------------------------------------------------

tiny_run

# --- scenarios ----------------------------------------------------------------------------------------------------

# A store that is there as a whole is not written again.
again() {
  once_more
  [ $code != 8 ] || ! grep -q 'nothing is overwritten' err || ! equal t/out after/out || code=0
}
scenario store 8 2 data import npy "$work/in" --out out
scenario store 4 1 data make digits --out out --train 2 --test 1
again() { once_more; }
scenario samples 6 2 sample "$work/run" -n 2 --threads 1 --device cpu --out out

again() {
  once_more
  [ $code != 8 ] || ! grep -q 'continue it with --resume' err || {
    (cd t && "$mldctl" train --resume --out out --threads 1 --device cpu) >out 2>err </dev/null
    code=$?
  }
}
scenario run 20 3 "${tiny[@]}" --out out
scenario run 8 1 "${tiny[@]}" --reuse "$work/run" --out out

works sample run -n 3 --seed 5 --threads 1 --device cpu --out old
prepare() { cp -r old t/out; }
again() { once_more; }
scenario samples 6 2 sample "$work/run" -n 2 --threads 1 --device cpu --out out
exchange=KILL_SHIM_NO_EXCHANGE=1
scenario samples 6 1 sample "$work/run" -n 2 --threads 1 --device cpu --out out

summary
