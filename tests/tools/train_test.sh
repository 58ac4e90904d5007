#!/usr/bin/env bash
# Training on the command line where it begins, is continued and is put together from parts.
# usage: train_test.sh MLDCTL
. "$(dirname "$0")/helpers.sh"

# vectors FOLDER SPLIT ROWS VALUE...: vectors a and b with labels; the values go round.
vectors() {
  local folder=$1/$2 rows=$3
  shift 3
  mkdir -p "$folder"
  values $((rows * 3)) "$@" | npy "$folder/a.npy" '<f4' "$rows,3"
  values $((rows * 4)) "$@" | npy "$folder/b.npy" '<f4' "$rows,4"
  values "$rows" '\x00' '\x01' '\x02' | npy "$folder/labels.npy" '|u1' "$rows"
}
store() {  # store NAME ROWS VALUE...
  local name=$1
  shift
  vectors "in-$name" train "$@"
  vectors "in-$name" test "$@"
  works data import npy "in-$name" --out "$name"
}
store A 24 $zero $half $one
store B 24 $half $zero $one
store wide 30 $zero $half $one
store A2 24 $zero $half $one

cat >tiny.json <<'JSON'
{
  "stage1": {"steps": 4, "batch": 8, "schedule": "constant"},
  "classifier_training": {"steps": 4, "batch": 8, "schedule": "constant"},
  "score": {"steps": 6, "batch": 8, "width": 16, "time_dim": 8, "groups": 4, "schedule": "constant"},
  "run": {"log_every": 2, "checkpoint_every": 0},
  "sampler": {"steps": 4, "jump": 1, "resample": 1}
}
JSON
tiny=(train --config tiny.json --threads 1)
resume=(train --resume --threads 1)
fresh() { rm -rf "$1" && cp -r "${2:-run}" "$1"; }
count() { grep -c -- "$1" err; }

# --- VAEs -------------------------------------------------------------------------------------------------------

works "${tiny[@]}" --data A --out vae --set model.kind=mopoe --set vae.steps=3 --set vae.batch=8
check "a VAE has autoencoders of its own" [ ! -e vae/autoencoder.a.safetensors -a -e vae/vae.safetensors ]
works sample vae -n 4 --out vae-samples --seed 3
works eval vae --samples 12
refuses 2 "model.kind mopoe has no sampler: leave out its options" sample vae -n 4 --out x --steps 3
refuses 2 "model.kind mopoe has no sampler: leave out its options" eval vae --paper-schedule
works "${resume[@]}" --out vae --steps 5 --stage score
check "a continued VAE is told" grep -q 'vae: continues from step 3 of 5 steps' err

# --- budgets ----------------------------------------------------------------------------------------------------

works "${tiny[@]}" --data A --out run
fresh longer && works "${resume[@]}" --out longer --set score.steps=12
check "a continued stage is told" grep -qx 'score: continues from step 6 of 12 steps' err
works "${tiny[@]}" --data A --out straight --set score.steps=12
same longer/score.safetensors straight/score.safetensors
same longer/config.json straight/config.json
refuses 2 "6 steps are made, more than the 3 that score now asks for (3 steps)" "${resume[@]}" --out run --steps 3 --stage score
refuses 2 "4 steps are made, more than the 2 that modalities.a.stage1 now asks for (2 steps)" "${resume[@]}" --out run --set stage1.steps=2
refuses 2 "4 steps are made, more than the 3 that modalities.a.classifier_training now asks for (4 steps, 1 epochs (3 steps))" "${resume[@]}" --out run --set classifier_training.epochs=1
for budget in "--epochs 9 --stage score --set score.steps=6" "--minutes 5" "--minutes 5 --stage ae"; do
  refuses 2 "give the budget that it was trained with or a larger one" "${resume[@]}" --out run $budget
done
fresh shorter && rm shorter/score.safetensors
works "${resume[@]}" --out shorter --modality a --steps 7
check "the budget of another modality changed" [ "$(grep -c '"steps": 7,' shorter/config.json)" = 2 ]
refuses 2 "--stop-here has no stage to end" "${resume[@]}" --out run --stop-here
refuses 2 "--stop-here is of a run that is continued; add --resume" "${tiny[@]}" --data A --out x --stop-here
refuses 2 "autoencoder/a: would be trained on (continues from step 4 of 9 steps), but run/score.safetensors was trained on its latents; give the budget that it was trained with, or train the score network anew afterwards with --retrain-score" "${resume[@]}" --out run --set stage1.steps=9
works eval run --metrics coherence --split train,test
fresh retrained && works "${resume[@]}" --out retrained --set stage1.steps=9 --retrain-score
check "the evaluation of other networks steps aside" [ ! -e retrained/evaluation.json -a -e retrained/evaluation.old.json ]
check "that of another split does, too" [ ! -e retrained/evaluation-train.json -a -e retrained/evaluation-train.old.json ]
works "${tiny[@]}" --data A --out straight9 --set stage1.steps=9
same retrained/score.safetensors straight9/score.safetensors
works sample retrained -n 2 --out samples-retrained

# --- data -------------------------------------------------------------------------------------------------------

cp -r A moved
fresh other
for data in moved A2; do works "${resume[@]}" --out other --data $data; done
for data in B wide; do
  refuses 8 "other: was trained on other data than $data holds" "${resume[@]}" --out other --data $data
  refuses 4 "run: was trained on other data than" "${tiny[@]}" --data $data --reuse run --out x
  check "a refused reuse left a folder" [ ! -e x ]
done
works "${resume[@]}" --out other --data B --other-data --set score.steps=9
same other/dataset.json B/dataset.json
works report other
check "other data are marked in the report" grep -q 'was trained on others (--other-data)' other/report.html
works "${resume[@]}" --out other --data B
refuses 8 "other: was trained on other data than A holds" "${resume[@]}" --out other --data A
refuses 2 "--other-data goes with --resume or --reuse" "${tiny[@]}" --data A --out x --other-data

mkdir -p sub
(cd sub && ln -s ../A A && "$mldctl" "${tiny[@]/tiny.json/../tiny.json}" --data A --out run "${on_cpu[@]}" >out 2>err) || fail "train in sub"
works eval sub/run --metrics coherence
sed -i 's|"store": ".*"|"store": "A"|' sub/run/config.json
(cd / && "$mldctl" eval "$work/sub/run" --metrics coherence "${on_cpu[@]}") >out 2>err
check "a relative store of an older run is found beside it" [ $? = 0 ]
works "${resume[@]}" --out sub/run
sed -i 's|"store": ".*"|"store": "gone"|' sub/run/config.json
refuses 3 "gone: no such data set folder, neither here nor in $work/sub; name the data with --data" eval sub/run
refuses 3 "gone: no such data set folder, neither here nor in $work/sub" "${resume[@]}" --out sub/run
works "${resume[@]}" --out sub/run --data A

# --- parts ------------------------------------------------------------------------------------------------------

works "${tiny[@]}" --data A --out seed1 --seed 1
works "${tiny[@]}" --data B --out runB
works export run right.safetensors
check "a whole run is exported without a note" [ "$(count note:)" = 0 ]
fresh encoders && rm encoders/score.safetensors encoders/autoencoder.b.safetensors
works export encoders part.safetensors
check "what is not in the file is told" [ "$(grep -c "^note: the \(autoencoder of 'b'\|score network\) is not trained yet" err)" = 2 ]
for part in autoencoder.a autoencoder.b classifier.a; do
  fresh mixed && cp seed1/$part.safetensors mixed/
  for command in "sample mixed -n 2 --out x" "export mixed x.safetensors" "train --resume --out mixed --retrain-score"; do
    tells 4 "  seed: 1, not 0" $command
  done
  fresh mixed && cp runB/$part.safetensors mixed/
  for command in "sample mixed -n 2 --out x" "eval mixed" "export mixed x.safetensors" "report mixed"; do
    refuses 4 "mixed/$part.safetensors: is not the $part that mixed/score.safetensors was made with" $command
  done
  refuses 4 "mixed/$part.safetensors: is not the $part" "${resume[@]}" --out mixed
  check "a refused command left something" [ ! -e x -a ! -e x.safetensors ]
done
fresh mixed && cp runB/classifier.a.safetensors mixed/
refuses 4 "remove this one and train it with --resume --stage classifier" sample mixed -n 2 --out x
rm mixed/classifier.a.safetensors
works "${resume[@]}" --out mixed --stage classifier
works sample mixed -n 2 --out mixed-samples
fresh mixed && cp seed1/config.json mixed/
for command in "sample mixed -n 2 --out x" "eval mixed" "export mixed x.safetensors" "report mixed" "train --resume --out mixed"; do
  tells 4 "  seed: 0, not 1" $command
done
fresh mixed && sed -i '0,/"classifier": "mlp"/s//"classifier": "none"/' mixed/config.json
for command in "sample mixed -n 2 --out x" "eval mixed" "export mixed x.safetensors" "report mixed" "train --resume --out mixed"; do
  tells 4 '  modalities.a.classifier: "mlp", not "none"' $command
done
tells 4 "  modalities.a.stage1.steps: 4, not 9" "${tiny[@]}" --data A --reuse run --out x --set stage1.steps=9
check "a refused command left something" [ ! -e x -a ! -e x.safetensors ]
works sample right.safetensors -n 2 --out right
check "nothing is unchecked" [ "$(count 'was not checked')" = 0 ]
# A run of before there were units goes on with the data's, whatever is the default today.
works "${tiny[@]}" --data A --out old --set modalities.a.units=declared --set modalities.b.units=declared
sed -i '/"units":/d' old/config.json
works "${tiny[@]}" --data A --out old --resume
works "${tiny[@]}" --data A --out reused --reuse old
tells 8 '  modalities.a.units: "declared", not "standard"' "${tiny[@]}" --data A --out old --resume --set modalities.a.units=standard

# --- starts -----------------------------------------------------------------------------------------------------

for left in .config.json.tmp .dataset.json.tmp .lock reused.json; do
  rm -rf x && mkdir x && touch x/$left
  works "${tiny[@]}" --data A --out x --stage ae
done
rm -rf x && mkdir x && touch x/letter
refuses 8 "x: is not empty and holds no run" "${tiny[@]}" --data A --out x
check "something was put into a folder that is not ours" [ "$(ls -A x)" = letter ]
rm -rf x
refuses 2 "need the autoencoder 'mlp' or 'series', whose output is not bounded, not 'conv'" "${tiny[@]}" --data A --out x --set modalities.b.autoencoder=conv
refuses 2 "modality 'b'" "${tiny[@]}" --data A --out x --set modalities.b.likelihood=categorical
refuses 4 "train the autoencoders first" "${tiny[@]}" --data A --out deep/x --stage score
check "a failed start left a folder" [ ! -e x -a ! -e deep ]
store one 1 $half
refuses 3 "is in 1 of the 1 samples of split 'train'" "${tiny[@]}" --data one --out x
check "a failed start left a folder" [ ! -e x ]

# --- a training at work -----------------------------------------------------------------------------------------

"$mldctl" "${tiny[@]}" --data A --out busy --reuse run --set score.steps=1000000000 --set run.checkpoint_every=50 \
  "${on_cpu[@]}" >out1 2>err1 &
pid=$!
wait_for test -e busy/score.safetensors
refuses 4 "this stage is being trained, by process $pid; wait until it has finished" sample busy -n 1 --out x
kill -TERM $pid
wait $pid
refuses 4 "this stage was stopped before its end, at step " report busy
fresh ended busy
works "${resume[@]}" --out ended --stop-here
steps=$(sed -n 's/^score: ends here, at step \([0-9]*\)$/\1/p' err)
check "the configuration says how many steps were made" grep -q "\"steps\": $steps," ended/config.json
works sample ended -n 2 --out ended-samples
works "${tiny[@]}" --data A --out again --reuse run --set score.steps=$steps --set run.checkpoint_every=50
same ended/score.safetensors again/score.safetensors

summary
