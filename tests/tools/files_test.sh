#!/usr/bin/env bash
# What is no file where one is expected, what cannot be read or written, how the program ends when its reader or its
# terminal goes away, seeds and empty values: exit codes and one clear sentence, never 70, never a wait without end.
# usage: files_test.sh MLDCTL KILL_SHIM
shim=$(realpath "$2")
. "$(dirname "$0")/helpers.sh"
tiny_run

# --- what is no file ----------------------------------------------------------------------------------------------

# bounded ARGS...: the last argument list must end within seconds, whatever it reads.
bounded() {
  said="mldctl $*"
  timeout -k 1 20 "$mldctl" "$@" >out 2>err </dev/null
  code=$?
  check "$said: exit code $code, expected 2, 3, 4, 7 or 8" [ $code = 2 -o $code = 3 -o $code = 4 -o $code = 7 -o $code = 8 ]
  check "$said: no sentence of ours" grep -q '^mldctl: ' <(tail -n 1 err)
}

# in_place_of FILE COMMAND...: FILE replaced by what is no regular file, one after the other.
in_place_of() {
  local file=$1 kind
  shift
  cp -r "$file" kept
  for kind in fifo folder device loop; do
    rm -rf "$file"
    case $kind in
      fifo) mkfifo "$file" ;;
      folder) mkdir "$file" ;;
      device) ln -s /dev/zero "$file" ;;
      loop) ln -s "$(basename "$file")" "$file" ;;
    esac
    bounded "$@"
    check "$said, $kind: $(basename "$file") is not named" grep -qF "$(basename "$file")" err
  done
  rm -rf "$file"
  mv kept "$file"
}

cp tiny.json given.json
in_place_of given.json train --config given.json --data store --out x --device cpu
for file in dataset.json train/left.npy train/samples.npy test/labels.npy train/left.labels.npy; do
  in_place_of store/$file data info store --validate
done
for file in train/left.npy test/right.npy train/labels.npy; do in_place_of in/$file data import npy in --out x; done
for file in config.json dataset.json score.safetensors autoencoder.left.safetensors; do
  in_place_of run/$file sample run -n 2 --out x --device cpu
done
in_place_of run/config.json train --resume --out run --device cpu
for file in config.json dataset.json score.safetensors; do  # the same code as for a file that holds nonsense
  rm -rf odd
  cp -r run odd
  rm odd/$file
  echo '{"x": 1}' >odd/$file
  run sample odd -n 2 --out x --device cpu
  expected=$code
  rm odd/$file && mkfifo odd/$file
  bounded sample odd -n 2 --out x --device cpu
  check "$said: exit code $code, $expected for nonsense" [ $code = $expected ]
done
in_place_of run/score.safetensors export run x.safetensors
in_place_of run/score.safetensors inspect run/score.safetensors
for file in picture.png sound.wav array.npy; do
  echo >$file
  in_place_of $file sample run -n 2 --given left=$file --out x --device cpu
done
cp -r run evaluated
works eval evaluated --samples 4 --resample 1 --steps 2 --device cpu
in_place_of evaluated/evaluation.json compare evaluated
in_place_of evaluated/evaluation.json report evaluated --device cpu
check "a refused command made its folder" [ ! -e x ]

# A training that finds such a thing in its folder does not wait either.
for file in metrics.jsonl .lock .config.json.tmp .score.safetensors.tmp; do
  rm -rf odd
  cp -r run odd
  rm -f odd/$file odd/score.safetensors
  mkfifo odd/$file
  bounded train --resume --out odd --device cpu --set run.log_every=3
  check "$said: $file is not named" grep -qF $file err
done

# --- what the system refuses ----------------------------------------------------------------------------------------

ln -s loop loop
long=$(printf 'x%.0s' $(seq 300))
for path in loop loop/x $long; do
  for command in "data info $path" "data import npy $path --out y" "train --data $path --out y --device cpu" \
    "sample $path --out y --device cpu" "eval $path --device cpu" "report $path --device cpu" "inspect $path" \
    "export $path y" "compare $path" "bench-samplers $path --device cpu" "sample run --from $path --given-mods left --out y" \
    "train --data store --config $path --out y --device cpu" "train --resume --out $path --device cpu" \
    "train --config tiny.json --data store --out $path --device cpu" "data make digits --train 1 --test 0 --out $path" \
    "sample run -n 2 --device cpu --out $path" "eval run --out $path --samples 2 --device cpu"; do
    # shellcheck disable=SC2086
    run $command
    check "$said: exit code $code, expected 2, 3, 4, 7 or 8" [ $code = 2 -o $code = 3 -o $code = 4 -o $code = 7 -o $code = 8 ]
    check "$said: no sentence of ours" grep -q '^mldctl: ' <(tail -n 1 err)
  done
done
check "a refused command made its folder" [ ! -e y ]

# sick NAME ARGS...: files and folders of that name cannot be opened, or not be read.
sick() {
  local name=$1 error
  shift
  for error in EACCES EIO; do
    said="mldctl $*, with $error at $name"
    env LD_PRELOAD="$shim" KILL_SHIM_SICK="$name" KILL_SHIM_ERROR=$error "$mldctl" "$@" >out 2>err </dev/null
    code=$?
    ended 7 "$name: cannot "
  done
}
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0"
sick dataset.json data info store
sick samples.npy data info store
sick left.npy data info store
sick train data import npy in --out y
sick left.npy data import npy in --out y
sick labels.npy data import npy in --out y
sick given.json train --config given.json --data store --out y --device cpu
sick config.json sample run --out y --device cpu
sick score.safetensors sample run --out y --device cpu
sick autoencoder.left.safetensors export run y.safetensors
sick score.safetensors inspect run/score.safetensors
sick dataset.json eval run --device cpu
sick array.npy sample run --given left=array.npy --out y --device cpu
sick evaluation.json compare evaluated
sick metrics.jsonl report run --device cpu
cp -r run sick-run
sick config.json train --resume --out sick-run --device cpu
sick score.safetensors train --resume --out sick-run --device cpu
rm sick-run/score.safetensors
sick metrics.jsonl train --resume --out sick-run --device cpu
sick autoencoder.left.safetensors train --resume --out sick-run --device cpu
check "a refused command made its folder" [ ! -e y ]

# --- truncated model files ----------------------------------------------------------------------------------------

size=$(stat -c %s run/score.safetensors)
for bytes in 0 7 8 100 $((size - 1)); do
  rm -rf cut
  cp -r run cut
  truncate -s $bytes cut/score.safetensors
  refuses 4 "cut/score.safetensors: truncated: has $bytes bytes, " inspect cut/score.safetensors
  refuses 4 "cut/score.safetensors: truncated: has $bytes bytes, " sample cut --out x
done

# --- permissions and links ----------------------------------------------------------------------------------------

works report run --out page.html
chmod 600 page.html
works report run --out page.html
check "a report of mode 600 has mode $(stat -c %a page.html)" [ "$(stat -c %a page.html)" = 600 ]
chmod 640 run/config.json
works train --resume --out run --device cpu
check "config.json of mode 640 has mode $(stat -c %a run/config.json)" [ "$(stat -c %a run/config.json)" = 640 ]
ln -s page.html link.html
works report run --out link.html
check "a named link is kept" [ -L link.html ]
echo precious >victim
ln victim .new.html.tmp
refuses 7 ".new.html.tmp is a file of 2 names that this program did not make" report run --out new.html
check "what a planted link points to is kept" [ "$(cat victim)" = precious ]
works sample run -n 2 --out pictures
rm -f pictures/grid.png pictures/left/0000.png
ln -s ../victim pictures/grid.png
ln -s ../../victim pictures/left/0000.png
run sample run -n 2 --out pictures
check "what a picture's link points to is kept" [ "$(cat victim)" = precious ]

# --- two at the same time -----------------------------------------------------------------------------------------

"$mldctl" data make digits --train 400 --test 0 --out twice >/dev/null 2>&1 &
first=$!
wait_for test -e .twice.partial
if kill -STOP $first 2>/dev/null && [ -e .twice.partial ]; then
  refuses 8 "twice: another process is writing this folder" data make digits --train 1 --test 0 --out twice
  kill -CONT $first
fi
wait $first
code=$? said="the first of two"
check "$said: exit code $code, expected 0" [ $code = 0 ]
works data info twice

# --- the reader, or the terminal, goes away -------------------------------------------------------------------------

# unread ARGS...: nobody reads the output; the program says nothing.
unread() {
  said="mldctl $*, with nobody reading"
  {
    sleep 0.3
    "$mldctl" "$@" 2>err
    echo $? >code
  } | true
  code=$(<code)
  check "$said: exit code $code, expected 141" [ $code = 141 ]
  check "$said: something is said" [ ! -s err ]
}
unread --help
unread train --help
unread train --help-config
unread data info store
unread data info store --json
unread inspect run/score.safetensors
unread compare evaluated
unread doctor
unread version

# Its log's viewer gone, a training goes on to its end.
{ "$mldctl" "${tiny[@]}" --out unwatched; echo $? >code; } 2>&1 | true
check "a training without a viewer ended with $(<code)" [ "$(<code)" = 0 ]
same unwatched/score.safetensors run/score.safetensors

for signal in HUP TERM INT; do
  rm -rf stopped
  "$mldctl" "${tiny[@]}" --out stopped --set score.steps=1000000000 >out 2>err &
  pid=$!
  wait_for grep -qs '"stage":"score","step":2,' stopped/metrics.jsonl
  kill -$signal $pid
  wait $pid
  code=$? said="training stopped by SIG$signal"
  ended 75 "stopped on request; a checkpoint is written"
  works inspect stopped/score.safetensors
done
rm -rf stopped
(trap '' HUP && exec "$mldctl" "${tiny[@]}" --out stopped --set score.steps=1000000000 >out 2>err) &
pid=$!
wait_for grep -qs '"stage":"score","step":2,' stopped/metrics.jsonl
kill -HUP $pid
sleep 0.3
check "under nohup SIGHUP does nothing" kill -0 $pid
kill -TERM $pid
wait $pid

# --- progress -----------------------------------------------------------------------------------------------------

works eval run --samples 4 --resample 1 --steps 2 --device cpu
check "a finished line counts nothing done: $(grep -m 1 '  0/' err)" eval "! grep -q '  0/.*  in ' err"
works report run --device cpu
check "a finished line counts nothing done: $(grep -m 1 '  0/' err)" eval "! grep -q '  0/.*  in ' err"

# --- seeds --------------------------------------------------------------------------------------------------------

for seed in -1 18446744073709551616 1e3 ' 5' '5 ' 0x10 +1 1.0 five; do
  for command in "data make digits --out x --train 1 --seed" "data import npy in --out x --seed" \
    "data import mnist-svhn --mnist in --svhn in --out x --seed" "train --data store --out x --seed" \
    "sample run --out x --seed" "eval run --seed" "ablate score.d=0.1 --data store --out x --seeds"; do
    # shellcheck disable=SC2086
    refuses 2 "expected an integer from 0 to 2^64-1, found '$seed'" $command "$seed"
  done
  MLD_SEED=$seed refuses 2 "seed: expected an integer from 0 to 2^64-1, found '$seed'" train --data store --out x
  refuses 2 "seed: expected an integer from 0 to 2^64-1, found '$seed'" train --data store --out x --set "seed=$seed"
done
MLD_SEED='' refuses 2 "seed: expected an integer from 0 to 2^64-1, found ''" train --data store --out x
refuses 2 "seed: expected an integer from 0 to 2^64-1, found ''" train --data store --out x --set seed=
for seed in 0 7 18446744073709551615; do
  rm -rf a b
  works data make digits --out a --train 2 --test 0 --seed $seed
  works data make digits --out b --train 2 --test 0 --seed 00$seed
  same a/train/image.npy b/train/image.npy
  works sample run -n 2 --seed $seed --out seeded-$seed
  check "the seed $seed is recorded" grep -q "\"seed\": $seed\b" seeded-$seed/sample.json
  rm -rf c
  works "${tiny[@]}" --reuse run --seed $seed --out c
  check "the seed $seed is in config.json" grep -q "\"seed\": $seed\b" c/config.json
done

# --- empty values -------------------------------------------------------------------------------------------------

for command in "data info" "data make digits --out" "data import npy" "data import npy in --out" "data import npy in --out x --spec" \
  "data import mnist-svhn --svhn in --out x --mnist" "data import mnist-svhn --mnist in --svhn in --out x --valid 3 --photos" \
  "train --data store --out" "train --out x --data" \
  "train --data store --out x --config" "train --data store --out x --reuse" "train --data store --out x --preset" \
  "train --data store --out x --seed" "sample" "sample run --out" "sample run --out x --from" "sample run --out x --seed" \
  "eval" "eval run --data" "eval run --out" "eval run --weights" "report" "report run --out" "report run --data" "compare" \
  "compare run --out" "export" "export run" "inspect" "bench-samplers" "bench-samplers run --out" \
  "ablate score.d=0.1 --data store --out" "ablate score.d=0.1 --out x --data" "ablate score.d=0.1 --data store --out x --seeds"; do
  # shellcheck disable=SC2086
  refuses 2 "found ''" $command ''
done
check "a refused command made something" [ ! -e x ]

summary
