#!/usr/bin/env bash
# `mldctl sample` on the command line: conditions of another scale, folders that are replaced as a whole or refused,
# two at once, kills, and a memory that does not grow with the number of samples.
# usage: sample_test.sh MLDCTL
. "$(dirname "$0")/helpers.sh"
tiny_run
record() { sed -n "s/^  \"$1\": \(.*[^,]\),\{0,1\}\$/\1/p" "$2/sample.json"; }

# --- conditions -------------------------------------------------------------------------------------------------

array() {  # array FILE TYPE SHAPE BYTES: bytes in printf's notation
  printf "$4" | npy "$1.npy" "$2" "$3"
}
array good '|u1' 2,2 '\x00\x40\x80\xff'
array floats '<f4' 2,2 "$zero$half$one$zero"
for file in good floats; do works sample run -n 2 --given left=$file.npy --out ok; done
array bytes '<f4' 2,2 "$zero$zero$one"'\x00\x00\x7f\x43'   # 255
array signed '<f4' 2,2 "$zero$half$one"'\x00\x00\x80\xbf'  # -1
array huge '<f4' 2,2 "$zero$half$one"'\xca\xf2\x49\x71'    # 1e30
array long '<i8' 2,2 "$zero$zero$zero$zero$zero$zero"'\x01\x00\x00\x00\x00\x00\x00\x00'
array short '<u2' 2,2 '\x00\x00\x01\x00\x00\x00\x01\x00'
array bool '|b1' 2,2 '\x00\x01\x00\x01'
given() { refuses 3 "$2" sample run -n 1 --out refused --given left=$1.npy; }
given bytes "bytes.npy: values from 0 to 255, expected 0 to 1; scale or clip them"
given signed "values from -1 to 1, expected 0 to 1"
given huge "values from 0 to 1e+30, expected 0 to 1"
given long "holds <i8, but modality 'left' is of kind image and takes floats or uint8"
given short "holds <u2"
given bool "holds |b1"
array right '<f4' 2 "$zero"'\x00\x00\x7f\x43'
refuses 3 "the training values lie in 0 to 0.5" sample run -n 1 --out refused --given right=right.npy

# Another store: the kind, the shape and the range are those of the training data.
other() {  # other NAME TEXT: the store of in-NAME is refused
  works data import npy in-$1 --out store-$1
  refuses 3 "$2" sample run --from store-$1 --split train --given-mods left --index 0:2 --out refused
}
for name in shape kind range; do mkdir -p in-$name/train && cp in/train/right.npy in-$name/train; done
values 192 '\x00' '\x40' | npy in-shape/train/left.npy '|u1' 32,2,3
values 128 $zero $one | npy in-kind/train/left.npy '<f4' 32,4
values 128 $one $half '\x00\x00\x80\xbf' | npy in-range/train/left.npy '<f4' 32,2,2
echo '{"modalities": [{"name": "left", "kind": "image", "range": [-1, 1]}, {"name": "right"}]}' >in-range/modalities.json
other shape "modality 'left' has shape [2,3,1], the model was trained on [2,2,1]"
other kind "modality 'left' has kind vector, the model was trained on image"
other range "modality 'left' has values from -1 to 1, the model was trained on 0 to 1"

cp -r in in-classes
values 32 '\x05' | npy in-classes/train/labels.npy '|u1' 32
other classes "has 6 classes, the model was trained on"

# --- texts ------------------------------------------------------------------------------------------------------

# Rows "red bird <eos> <pad>" and "blue bird <eos> <pad>", and a number that says which.
mkdir -p in-text/train
token() { printf '\\x0%d\\x00\\x00\\x00' "$1"; }
values 64 $(token 3) $(token 5) $(token 2) $(token 1) $(token 4) $(token 5) $(token 2) $(token 1) | npy in-text/train/caption.npy '<i4' 16,4
values 16 $zero $one | npy in-text/train/number.npy '<f4' 16,1
printf '<exc>\n<pad>\n<eos>\nred\nblue\nbird\n' >in-text/words.txt
echo '{"modalities": [{"name": "number"}, {"name": "caption", "kind": "tokens", "categories": 6, "vocabulary": "words.txt"}]}' \
  >in-text/modalities.json
works data import npy in-text --out store-text
works train --data store-text --out text --threads 1 --set score.width=16 --set score.steps=1 \
  --set modalities.caption.stage1.steps=1 --set modalities.number.stage1.steps=1
works sample text -n 3 --out texts
check "samples of tokens are not written as text" [ "$(wc -l <texts/caption.txt)" = 3 ]
works export text text.safetensors
mv store-text elsewhere
works sample text.safetensors -n 3 --out texts-of-file
check "the exported file has other words" cmp -s texts/caption.txt texts-of-file/caption.txt
works sample text -n 2 --given caption="Red owl bird" --out of-text
check "an unknown word is not named" grep -q 'given caption: words that are not known: owl$' err
check "a given text is not what was given" [ "$(sort -u of-text/caption.txt)" = "red bird" ]
printf 'red\nblue bird\n' >two.txt
works sample text -n 2 --given caption=two.txt --out of-text
check "the lines of a file are not the texts" cmp -s two.txt of-text/caption.txt
refuses 2 "2 conditions of 'caption' for 3 samples" sample text -n 3 --given caption=two.txt --out refused
refuses 3 "none.txt: no such file" sample text -n 3 --given caption=none.txt --out refused
rm text/vocabulary.caption.txt
run sample text -n 3 --given caption="Red bird" --out refused
ended 2 "Red bird: unknown kind of file"
check "words that are missing are told" grep -q "text: the words of 'caption' are not there" err
printf 'red\n' >text/vocabulary.caption.txt
refuses 4 "vocabulary.caption.txt: 1 words, the model has 6 of 'caption'" sample text -n 3 --out refused
mv elsewhere store-text

# --- options ----------------------------------------------------------------------------------------------------

from=(sample run --from store --given-mods left --out refused)
for rows in -1 1:1 2:1 : 1: 1:2:3 a 99999999999999999999 9223372036854775807 0:99999999999; do
  refuses 2 "--index: '$rows' is" "${from[@]}" --index "$rows"
done
refuses 2 "rows 0:9 of split 'test', which has 8" "${from[@]}" -n 9
refuses 2 "rows 8:9 of split 'test', which has 8" "${from[@]}" --index 8
ln -s nothing dangling
refuses 7 "dangling: exists and is a symbolic link to nothing" sample run -n 2 --out dangling
refuses 7 "a symbolic link to nothing" sample run -n 2 --out dangling/below
check "a link to nothing was written through" [ ! -e nothing ]
refuses 2 "--index: goes with --from" sample run --index 0:2 --out refused
refuses 2 "--given-mods: 'left' is named twice" sample run --from store --given-mods left,left --out refused
refuses 2 "--want: 'left' is named twice" sample run --want left,left --out refused
refuses 2 "--want: 'left' is a condition" "${from[@]}" -n 1 --want left
for file in 'left=' '=x.npy' left; do
  refuses 2 "--given: '$file' is not MODALITY=FILE" sample run --given "$file" --out refused
done
for jump in "--jump 3" "--steps 20 --jump 30" "--steps 5 --jump 6 --resample 1" "--paper-schedule --steps 5"; do
  refuses 2 "levels do not fit" sample run $jump --out refused
  refuses 2 "levels do not fit" eval run $jump --data store
done
works sample run -n 1 --steps 5 --jump 5 --resample 2 --out jumps
works train --config tiny.json --data store --reuse run --out jumping --set sampler.steps=20 --set sampler.jump=10 \
  --set sampler.resample=3 --threads 1
works sample jumping -n 1 --steps 5 --out jumps
check "jumps that were left out are recorded" grep -q '"resample": 1' jumps/sample.json
check "a refused sampling made its folder" [ ! -e refused ]

# --- the folder -------------------------------------------------------------------------------------------------

works sample run -n 9 --seed 1 --out folder
works sample run -n 3 --seed 2 --singles 1 --out folder
works sample run -n 3 --seed 2 --singles 1 --out fresh
check "files of the earlier sampling stay" diff -r folder fresh
works sample run -n 3 --want right --out folder
check "pictures of what is not wanted stay" [ "$(ls -A folder | tr '\n' ' ')" = "right.npy sample.json " ]

cp -r folder before
echo mine >folder/notes.txt
refuses 8 "folder: holds 'notes.txt', which no earlier sampling wrote" sample run -n 1 --out folder
rm folder/notes.txt
check "a refused sampling changed the folder" diff -r folder before
mkdir folder/right
echo mine >folder/right/mine.png
works sample run -n 2 --force --out folder
check "--force keeps what is not its own" [ "$(cat folder/right/mine.png)" = mine ]
check "--force replaces the samples" [ "$(record samples folder)" = 2 ]
for text in '' '{' '{"files": ["right.npy"]}'; do
  rm -rf odd && cp -r before odd
  printf '%s' "$text" >odd/sample.json
  refuses 8 "which no earlier sampling wrote" sample run -n 1 --out odd
  works sample run -n 1 --force --out odd
done
refuses 8 "store: holds " sample run -n 1 --out store
refuses 8 "run: holds " sample run -n 1 --out run
refuses 7 "exists and is not a folder" sample run -n 1 --out good.npy
refuses 7 "cannot make the folder" sample run -n 1 --out /dev/null/x
if [ "$(id -u)" != 0 ]; then
  mkdir closed && chmod 555 closed
  refuses 7 "closed: cannot write: Permission denied; check the permissions" sample run -n 100000000 --out closed
  refuses 7 "check the permissions" sample run -n 100000000 --out closed/in
fi
(
  failures=0
  ulimit -f 8
  refuses 7 "files are limited to" sample run -n 100000 --out refused
  exit $failures
) || fail "a limit of the file size is not known before"

# --- two at once, and kills -------------------------------------------------------------------------------------

endless=(sample run -n 100000000 --steps 1 --chunk 64 --out folder "${on_cpu[@]}")
rm -rf folder before
works sample run -n 4 --out folder
cp -r folder before
for signal in KILL INT KILL TERM; do
  rm -rf .folder.partial  # of the one killed before, which is not to be taken for that of the next
  "$mldctl" "${endless[@]}" >out1 2>err1 </dev/null &
  pid=$!
  wait_for test -s .folder.partial/.right.npy.tmp
  refuses 8 "folder: another process is writing this folder" sample run -n 1 --out folder
  kill -$signal $pid
  wait $pid 2>/dev/null
  code=$?
  [ $signal = KILL ] || check "SIG$signal ends with $code, expected 75" [ $code = 75 ]
  check "a sampling ended by SIG$signal changed the folder" diff -r folder before
done
check "a stopped sampling leaves its temporary" [ ! -e .folder.partial ]
"$mldctl" "${endless[@]}" >out1 2>err1 </dev/null &
pid=$!
wait_for test -s .folder.partial/.right.npy.tmp
kill -KILL $pid
wait $pid 2>/dev/null
works sample run -n 4 --out folder
check "the sampling after a kill differs" diff -r folder before
check "what a killed sampling left stays" [ ! -e .folder.partial ]

# --- any number -------------------------------------------------------------------------------------------------

works sample run -n 40 --chunk 7 --seed 3 --singles 40 --out pieces
works sample run -n 40 --seed 3 --singles 40 --out whole
check "samples drawn in pieces differ" diff -r pieces whole
works sample run -n 40 --given left=good.npy --seed 3 --chunk 7 --out pieces
works sample run -n 40 --given left=good.npy --seed 3 --out whole
check "conditioned samples drawn in pieces differ" diff -r pieces whole
peak() {  # peak N: kilobytes
  "$mldctl" sample run -n $1 --steps 1 --chunk 256 --singles 0 --out many "${on_cpu[@]}" >out 2>err </dev/null &
  local pid=$! most=0 now
  while now=$(sed -n 's/^VmHWM: *\([0-9]*\) kB/\1/p' /proc/$pid/status 2>/dev/null) && [ -n "$now" ]; do
    most=$now
    sleep 0.02
  done
  wait $pid || fail "sample -n $1"
  echo $most
}
if [ -r /proc/self/status ]; then
  few=$(peak 2000) many=$(peak 40000)
  check "the memory grows with the number: $few kB for 2000, $many kB for 40000" [ $many -lt $((few + 4096)) ]
fi

summary
