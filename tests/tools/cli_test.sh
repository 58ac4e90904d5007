#!/usr/bin/env bash
# The command line as its users meet it: exit codes, one clear line on stderr, results alone on stdout, and what
# is left on disk after an error or an interruption.
# usage: cli_test.sh MLDCTL
. "$(dirname "$0")/helpers.sh"

# --- help and version -------------------------------------------------------------------------------------------

for command in "" data "data make" "data make digits" "data make birds" "data import" "data import npy" "data import mnist-svhn" "data import cub" "data import captions" \
  "data info" train ablate experiment sample eval bench-samplers compare report export inspect doctor version; do
  works $command --help
  check "$said: stderr is not empty" [ ! -s err ]
  check "$said: no usage on stdout" grep -q "^Usage: mldctl${command:+ $command} " out
done
works train --help-config
check "help-config lists score.width" grep -q '^  score.width = 512 (1 .. 65536)$' out
check "doctor: exit code $doctor, expected 0" [ $doctor = 0 ]
check "doctor: $built" grep -qx 'yes\|no\|emulated on the host' <<<"$built"
check "doctor: $computes" grep -qx 'cuda:0\|cpu; .*' <<<"$computes"
works --version
check "version" grep -q '^[0-9]*\.[0-9]*\.[0-9]*$' out
works version
check "version" grep -q '^mldctl [0-9]*\.[0-9]*\.[0-9]*$' out
for asked in 1 3 5,2; do
  OMP_NUM_THREADS=$asked works version
  check "OMP_NUM_THREADS=$asked" grep -qx "threads *${asked%,*} (OMP_NUM_THREADS)" out
done
OMP_NUM_THREADS=many works version
check "a wrong OMP_NUM_THREADS is told" grep -q "^threads .*; OMP_NUM_THREADS='many' is no number of threads)$" out

# --- usage ------------------------------------------------------------------------------------------------------

refuses 2 "a command is required: data, train, ablate, experiment, sample"
refuses 2 "'trian': unknown command, did you mean train?; see \`mldctl --help\`" trian
refuses 2 "'imprt': unknown command, did you mean import?; see \`mldctl data --help\`" data imprt
refuses 2 "'--ouput': unknown option, did you mean --out?; see" train --ouput x
refuses 2 "'--bogus': unknown option; see" train --bogus
refuses 2 "'--stpes': unknown option, did you mean --steps?; see \`mldctl sample --help\`" sample run --stpes=3
refuses 2 "--out is required; see \`mldctl train --help\`" train --data store
refuses 2 "RUN is required" sample --out x
refuses 2 "--steps: expected 1 to 100000, found 0" sample run --out x --steps 0
refuses 2 "--steps: expected 1 to 100000, found 2000000000" sample run --out x --steps 2000000000
refuses 2 "-n: expected 1 to 1000000000, found ten" sample run --out x -n ten
refuses 2 "--threads: expected 0 to 1024, found 100000" eval run --threads 100000
refuses 2 "--stage: " train --out x --stage none
refuses 2 "device: 'nonsense' is none of auto, cpu, cuda, cuda:1" eval run --device nonsense
refuses 2 "precision: 'fp8' is none of fp32, tf32, bf16" sample run --out x --precision fp8
refuses 2 "--photos requires --valid" data import mnist-svhn --mnist in --svhn in --out x --photos p.npy
refuses 2 "--valid: expected 1 to 2147483647, found 0" data import mnist-svhn --mnist in --svhn in --out x --valid 0
refuses 2 "digits: 0 training" data make digits --out x --train 0
refuses 2 "birds: 0 training" data make birds --out x --train 0

# --- stores -----------------------------------------------------------------------------------------------------

works data make digits --out digits --train 3 --test 2
check "data make: stdout is not empty" [ ! -s out ]
works data info digits --validate
check "data info" grep -q 'trajectory: 3 items' out
works data make birds --out birds --train 40 --test 2
check "data make birds: the end is told" grep -q 'wrote birds' err
works data info birds --validate
check "data info: attributes" grep -qx 'classes are combinations of colour (8), size (2), beak (3), bars (2), pose (3)' out
check "data info: captions" grep -q 'caption: 400 items' out
refuses 8 "not empty; nothing is overwritten" data make birds --out birds
refuses 8 "not empty; nothing is overwritten" data make digits --out digits --train 3
refuses 7 "cannot make the folder" data make digits --out /dev/null/digits --train 1 --test 0

mkdir -p in/train in/test
values 1024 '\x00' '\x40' '\x80' '\xff' '\x20' | npy in/train/left.npy '|u1' 64,4,4
values 384 $zero $half $one $half $one | npy in/train/right.npy '<f4' 64,6
values 64 '\x00' '\x01' '\x02' | npy in/train/labels.npy '|u1' 64
values 256 '\x00' '\x40' '\x80' '\xff' '\x20' | npy in/test/left.npy '|u1' 16,4,4
values 96 $zero $half $one | npy in/test/right.npy '<f4' 16,6
values 16 '\x00' '\x01' '\x02' | npy in/test/labels.npy '|u1' 16
works data import npy in --out store
works data info store --validate --json
check "data info --json" grep -q '"name": "left"' out

refuses 3 "nowhere: no such data set folder" data info nowhere
refuses 3 "in: no dataset.json" data info in
refuses 3 "nowhere/train: no such folder" data import npy nowhere --out x
cp -r in bad
values 60 '\x00' | npy bad/train/labels.npy '|u1' 60
refuses 3 "labels.npy: shape [60], expected [64]" data import npy bad --out x
{ values 5 $half && printf $nan && values 378 $half; } | npy bad/train/right.npy '<f4' 64,6
refuses 3 "right.npy: sample 0, value 5 is nan" data import npy bad --out x
echo "no array" >bad/train/left.npy
refuses 3 "bad/train/left.npy: " data import npy bad --out x
check "a failed import left something behind" [ ! -e x ]
check "a failed import left a partial folder behind" [ -z "$(ls -A | grep partial)" ]

printf 'a red bird\na blue bird\na red owl\nan owl\n' >birds.txt
works data import captions birds.txt --out captions --together 2 --test-fraction 0.5 --length 4
check "what is not in a vocabulary is not said" grep -q '^test: .* words are not among the' err
check "captions are not [2,4] in each split" [ "$(head -c 128 captions/train/caption.npy | grep -ac "(2, 4)")" = 1 ]
refuses 3 "birds.txt: 4 captions, which is no multiple of 3" data import captions birds.txt --out x --together 3
refuses 3 "in/text_trainvalclasses.txt: no such file" data import cub in --out x
refuses 2 "--on-bad: other not in {fail,skip,missing}" data import cub in --out x --on-bad other

cp -r in mixed
echo x | tee mixed/README mixed/train/._left.npy mixed/train/.DS_Store >mixed/train/old.txt
works data import npy mixed --out mixed-store
check "files that are not read are named" grep -qx 'mixed: not read: README, train/old.txt' err
check "an equal import has the same fingerprint" [ "$(grep '"fingerprint"' store/dataset.json)" = \
  "$(grep '"fingerprint"' mixed-store/dataset.json)" ]
cp mixed/train/labels.npy mixed/train/lefft.mask.npy
refuses 3 "lefft.mask.npy: a mask of no modality, did you mean left.mask.npy?" data import npy mixed --out x
rm mixed/train/lefft.mask.npy
values 96 $zero $half $one | npy mixed/test/right.npy '<f4' 6,16
refuses 3 "mixed/test/right.npy: shape [6,16], expected items [6]" data import npy mixed --out x
refuses 8 "store: " data import npy in --out store
refuses 7 "/dev/null" data import npy in --out /dev/null/store

# A store as it was before there were checksums.
cp -r store old-store
sed -i -z 's/"version": 2/"version": 1/; s/,\n  "fingerprint".*/\n}\n/' old-store/dataset.json
rm old-store/checksums.json
works data info old-store --validate
check "a store without checksums is told once" [ "$(grep -c 'without checksums' err)" = 1 ]
works data info store --validate
check "a store with checksums needs no remark" [ ! -s err ]

broken() {  # a fresh copy of the store to break
  rm -rf broken
  cp -r store broken
}
broken && rm broken/train/left.npy
refuses 3 "broken/train/left.npy: missing" train --data broken --out x
broken && truncate -s -1 broken/train/left.npy
refuses 3 "broken/train/left.npy: " train --data broken --out x
broken && flip_byte broken/train/left.npy 1150
refuses 3 "broken/train/left.npy: " train --data broken --out x
broken && flip_byte broken/train/left.npy 7
run train --data broken --out trained-on-broken
ended 3 "broken/train/left.npy: block 0 (bytes 128 to 1152) has checksum"
broken && mv broken/test broken/x && mv broken/train broken/test && mv broken/x broken/train
refuses 3 "broken/train/left.npy: holds |u1 [16,4,4,1], dataset.json says |u1 [64,4,4,1]" data info broken
broken && truncate -s 100 broken/dataset.json
refuses 3 "broken/dataset.json: " train --data broken --out x
broken && printf $nan | dd of=broken/train/right.npy bs=1 seek=140 conv=notrunc status=none
refuses 3 "broken/train/right.npy: block 0 (bytes 128 to 1664) has checksum" data info broken --validate
check "a refused training made its folder" [ ! -e x ]

# --- configuration ----------------------------------------------------------------------------------------------

train=(train --data store --out x)
refuses 2 "unknown key, did you mean score.width?" "${train[@]}" --set score.widht=3
refuses 2 "score.width: expected an integer, found 'abc'" "${train[@]}" --set score.width=abc
refuses 2 "score.width: expected 1 to 65536, found 0" "${train[@]}" --set score.width=0
refuses 2 "did you mean digits?" "${train[@]}" --preset digitz
refuses 2 "nowhere.json: no such file" "${train[@]}" --config nowhere.json
MLD_SCORE__WIDHT=3 refuses 2 "variable 'MLD_SCORE__WIDHT'" "${train[@]}"
MLD_SCORE_WIDTH=3 refuses 2 "did you mean score.width, whose '.' is written '__'?" "${train[@]}"
run "${train[@]}" --set score.widht=3 --set score.d=2 --set seed=-1
check "$said: exit code $code, expected 2" [ $code = 2 ]
check "three problems are counted" grep -q '^mldctl: configuration: 3 problems$' err
for problem in "did you mean score.width?" "score.d: expected 0 to 1, found 2" "seed: expected an integer"; do
  check "'$problem' is listed" grep -qF "$problem" err
done
check "a refused configuration made its folder" [ ! -e x ]

# --- training ---------------------------------------------------------------------------------------------------

cat >tiny.json <<'JSON'
{ // everything as small as it gets
  "stage1": {"steps": 4, "batch": 8, "schedule": "constant"},
  "classifier_training": {"steps": 4, "batch": 8, "schedule": "constant"},
  "score": {"steps": 10, "batch": 16, "width": 16, "time_dim": 16, "groups": 4, "schedule": "constant"},
  "run": {"log_every": 3, "checkpoint_every": 1000000},
  "sampler": {"steps": 6, "jump": 2, "resample": 2, "chunk": 16}
}
JSON
tiny=(train --config tiny.json --data store --threads 1)
works "${tiny[@]}" --out run
check "training prints on stdout" [ ! -s out ]
check "training tells its threads first" grep -qx 'CPU threads: 1 (as asked)' <(head -n 1 err)
check "training tells its progress" grep -q '^score  10/10  loss ' err
check "training tells of its report" grep -qx 'report: run/report.html' err
works train --config tiny.json --data store --threads 2 --out run2
same run/metrics.jsonl run2/metrics.jsonl

refuses 8 "run: holds a run already; continue it with --resume" "${tiny[@]}" --out run
refuses 8 "store: is not empty and holds no run" "${tiny[@]}" --out store
run "${tiny[@]}" --out run --resume --set score.lr=0.5
check "$said: exit code $code, expected 8" [ $code = 8 ]
check "another configuration is named" grep -q 'run: holds a run of another configuration:$' err
check "what differs is named" grep -q '^  score.lr: .*, not 0.5$' err
refuses 2 "nowhere: holds no run to resume" train --resume --out nowhere
refuses 7 "cannot make the folder" "${tiny[@]}" --out /dev/null/x
refuses 4 "nowhere: is not a run" "${tiny[@]}" --out x --reuse nowhere
tells 4 "  modalities.left.latent: 16, not 3" "${tiny[@]}" --out x --reuse run --set modalities.left.latent=3
refuses 2 "no modality 'lefft'; it has left, right" "${tiny[@]}" --out x --modality lefft
refuses 2 "leave it out with --stage score" "${tiny[@]}" --out x --modality left --stage score
check "a refused training made its folder" [ ! -e x ]

# interrupted SIGNAL RUN ARGS...: a training that is stopped in the score stage, once it has logged step 50, and while
# the folder is refused to another. $steps is a few steps more than it made.
interrupted() {
  local signal=$1 out=$2
  shift 2
  "$mldctl" "$@" --out $out --set run.log_every=50 --set score.steps=1000000000 >out1 2>err1 &
  local pid=$!
  wait_for grep -qs '"stage":"score","step":50,' $out/metrics.jsonl
  refuses 8 "$out: in use by process $pid" train --resume --out $out --threads 1
  kill -$signal $pid
  wait $pid
  code=$? said="training interrupted by SIG$signal"
  mv out1 out && mv err1 err
  ended 75 "stopped on request; a checkpoint is written, continue with --resume"
  works inspect $out/score.safetensors
  steps=$(($(sed -n 's/.*"step":\([0-9]*\).*/\1/p' out | head -n 1) + 8))
}

tiny+=(--reuse run --set run.log_every=50)
interrupted INT stopped "${tiny[@]}" "${on_cpu[@]}"

# A full disk: an error, and the checkpoint from before stays. (The limit is above config.json and metrics.jsonl.)
cp stopped/score.safetensors before
run_limited() {
  (
    ulimit -f 64
    run "$@"
    exit $code
  )
  code=$? said="mldctl $*, with files limited to 64 KiB"
}
run_limited train --resume --out stopped --set score.steps=$steps
ended 7 "stopped/score.safetensors: cannot write: File too large; free space there or choose another folder"
same stopped/score.safetensors before
check "a temporary file is left" [ -z "$(ls -A stopped | grep tmp)" ]

works train --resume --out stopped --set score.steps=$steps
works "${tiny[@]}" --out straight --set score.steps=$steps
same stopped/score.safetensors straight/score.safetensors
same stopped/metrics.jsonl straight/metrics.jsonl
same stopped/config.json straight/config.json

# --- sampling ---------------------------------------------------------------------------------------------------

works sample run -n 5 --seed 7 --out joint --threads 1
check "sample prints its record's name and nothing else" [ "$(cat out)" = joint/sample.json ]
check "sampling tells its threads" grep -qx 'CPU threads: 1 (as asked)' err
works sample run -n 5 --seed 7 --out again --threads 2 --chunk 2
check "sampling tells its threads" grep -qx 'CPU threads: 2 (as asked)' err
works sample run2 -n 5 --seed 7 --out threads
works sample run -n 5 --seed 8 --out other
for name in left right; do
  same joint/$name.npy again/$name.npy
  same joint/$name.npy threads/$name.npy
  check "another seed gives the same $name" eval "! cmp -s joint/$name.npy other/$name.npy"
done
works sample --given left=in/test/left.npy run -n 16 --out given
works sample run --from store --given-mods right --index 3:5 --out from-store --want left
check "the rows of the condition" grep -q '"first": 3' from-store/sample.json

sample=(sample run -n 3 --out x)
refuses 3 "in/test/right.npy: shape [16,6], but modality 'left' has samples of shape [4,4,1]" \
  "${sample[@]}" --given left=in/test/right.npy
refuses 2 "16 conditions of 'left' for 3 samples; pass -n 16" "${sample[@]}" --given left=in/test/left.npy
refuses 2 "no modality 'lefft'; it has left, right" "${sample[@]}" --from store --given-mods lefft
refuses 2 "no modality 'lefft'; it has left, right" "${sample[@]}" --given lefft=in/test/left.npy
refuses 2 "unknown modality 'lefft'" "${sample[@]}" --want lefft
refuses 2 "every modality is given" "${sample[@]}" --from store --given-mods left,right
refuses 2 "--given: 'left' is not MODALITY=FILE" "${sample[@]}" --given left
refuses 2 "rows 90:91 of split 'test', which has 16" "${sample[@]}" --from store --given-mods left --index 90
refuses 2 "no split 'dev'" "${sample[@]}" --from store --given-mods left --split dev
refuses 3 "nowhere.npy: no such file" "${sample[@]}" --given left=nowhere.npy
refuses 4 "nowhere: no such run or model file" sample nowhere --out x

works eval run --resample 1 --samples 8 --json
check "eval --json" grep -q '"classifier"' out
refuses 7 "nowhere/x.json" eval run --out nowhere/x.json
refuses 7 "nowhere: no such folder" eval run --weights nowhere
refuses 2 "--churn is of --method dpm_sde, not of em" eval run --method em --churn 3
refuses 2 "has not learnt to do without modalities" eval run --guidance 2
refuses 2 "--guidance = much" eval run --guidance much
refuses 2 "sampler guidance -1; expected 0 to 100" eval run --guidance -1
works eval run --guidance 2 --guidance-low 1e5 --metrics coherence --out unguided.json
refuses 2 "--renoise is of --method em, not of dpm" eval run --method dpm --renoise exact
refuses 2 "sampler method 'ddim'; expected em, dpm, dpm_sde or heun" eval run --method ddim
refuses 2 "--steps: expected 1 to 100000, found 0" eval run --steps 0
cp run/evaluation.json own.json
works eval run --judges run2 --samples 8 --steps 2 --metrics coherence --out judged.json
check "who judged is said" grep -q 'judged by the classifiers of another run' out judged.json
works eval run --judges run2 --samples 8 --steps 2 --metrics coherence
same run/evaluation.json own.json
refuses 4 "nowhere: no such run or model file" eval run --judges nowhere
works eval run --ceilings
check "eval" grep -q '^Ceilings' out
refuses 3 "nowhere: no such data set folder" eval run --data nowhere
refuses 2 "no split 'dev'; it has train, test: choose one with --split" eval run --split dev
refuses 2 "no split 'dev'" eval run --split test,dev
refuses 2 "--split: 'test' is named twice" eval run --split test,train,test
works eval run --split train,test --samples 8 --steps 2 --resample 1 --metrics coherence
check "eval of two splits" [ "$(grep -o "of split '[a-z]*'" out | tr '\n' ' ')" = "of split 'train' of split 'test' " ]
check "the last split's result is the run's" grep -q '"split": "test"' run/evaluation.json
check "the other's is beside it" grep -q '"split": "train"' run/evaluation-train.json
works compare run/evaluation-train.json
works eval run --split test,train --samples 8 --steps 2 --resample 1 --metrics coherence --out both.json --json
check "the JSON of two splits is a list" eval "head -1 out | grep -qx '\[' && [ \$(grep -c '^\"split\"' out) = 2 ]"
check "--out: the last split" grep -q '"split": "train"' both.json
check "--out: the other one" grep -q '"split": "test"' both-test.json
rm run/evaluation-train.json
works eval run --ceilings --samples 1000
check "eval: more samples than there are" grep -q '1000 samples were asked for' out
works eval run --given-sets left --samples 8 --resample 1 --out sets.json
check "eval --given-sets" eval "grep -q 'left -> right' out && ! grep -q 'right -> left' out"
refuses 2 "'2' is none of sizes 1, loo (all but one), all, or names of left, right" eval run --given-sets 2
refuses 2 "'left+left' names 'left' twice" eval run --given-sets left+left
for empty in "eval run --out" "eval run --data" "eval run --given-sets" "report run --out" "report run --data" \
  "bench-samplers run --out" "compare run --out" "ablate score.d=1 --data store --out"; do
  refuses 2 "found '', which is no value" $empty ''
done
refuses 7 "nowhere/x.json" bench-samplers run --out nowhere/x.json

# --- comparing evaluations --------------------------------------------------------------------------------------

# evaluation RUN SEED COHERENCE CLASSIFIER: what eval leaves in a run, as far as compare needs it.
evaluation() {
  mkdir -p $1
  printf '{"run": {"kind": "mld", "preset": "", "dataset": "own", "seed": %s, "d": 0.5, "config_hash": "aa"},
"split": "test", "samples": 10, "modalities": ["left"], "classifier_hash": {"left": "%s"},
"joint": {"coherence": {"value": %s}}}' $2 $4 $3 >$1/evaluation.json
}
evaluation seed0 0 0.5 11111111
evaluation seed1 1 0.7 11111111
evaluation other 2 0.9 22222222
works compare seed0 seed1/evaluation.json
check "compare: mean and deviation" grep -q '^MLD  60.00+-14.14$' out
check "compare: how it was made" grep -q '^N 10 of split .test.; mean .* over seeds 0, 1; classifiers left 11111111$' out
works compare seed0 seed1 --format markdown --out table.md
check "compare --out prints on stdout" [ ! -s out ]
check "compare --format markdown" grep -qF '| MLD | 60.00±14.14 |' table.md
refuses 2 "seed0 and other were measured differently: classifier of left 11111111 and 22222222" compare seed0 other
works compare seed0 other --force
check "compare --force marks" grep -q '^MLD  70.00+-28.28!$' out
refuses 2 "format: 'html' is none of table, markdown, latex, csv" compare seed0 --format html
refuses 2 "the paper has no table of data set 'own'" compare seed0 --paper
refuses 2 "RUN is required" compare
refuses 3 "in: is not evaluated; run \`mldctl eval\` on it first" compare in
echo '{"run": {}}' >broken.json
refuses 3 "broken.json: run.kind: missing" compare broken.json
refuses 7 "nowhere/table.md: cannot" compare seed0 --out nowhere/table.md

# --- ablations --------------------------------------------------------------------------------------------------

study=(ablate score.d=0.2,0.8 --config tiny.json --data store --reuse run --out study --samples 8 --resample 1)
works "${study[@]}" --steps 3
check "ablate: a row for each value" [ "$(grep -c '^MLD, d 0\.[28] ' out)" -ge 2 ]
check "ablate: the page is named last" [ "$(tail -n 1 out)" = study/ablation.html ]
check "ablate: curves" grep -q 'Coherence against score.d' study/ablation.html
rm -r study/0.2-seed0
works "${study[@]}" --steps 3
check "ablate: what is evaluated is not made again" [ ! -e study/0.2-seed0 ]
refuses 8 "0.2-seed0.json: was made with schedule dpm_sde 3 churn 10, not dpm_sde 4 churn 10" "${study[@]}" --steps 4
refuses 2 "'score.d' is not of the form KEY=VALUE,VALUE" ablate score.d --data store --out x
refuses 2 "'score.dd': unknown key" ablate score.dd=1,2 --config tiny.json --data store --out x
check "a refused ablation made its folder" [ ! -e x ]

# --- experiments ------------------------------------------------------------------------------------------------

refuses 2 "'tabel5' is none of table1, table10" experiment tabel5 --data store --out x
refuses 2 "--hours: expected more than 0 and at most 100000 hours, found 0" experiment table5 --data store --out x --hours 0
check "a refused experiment made its folder" [ ! -e x ]
own=(models --config tiny.json --data store --reuse run --samples 8 --resample 1 --steps 3 --seeds 0 --set vae.steps=2)
run experiment "${own[@]}" --out hurried --hours 1e-9
check "experiment: exit code $code, expected 75" [ $code = 75 ]
check "experiment: the budget is told" grep -q "of --hours are over: 0 of 8 cells are made" err
works experiment "${own[@]}" --out models
check "experiment: every model" [ "$(grep -cE '^(MLD|MLD-Uni|MLD-Inpaint|MVAE|MMVAE|MOPOE|NEXUS|MVTCAE)[ ,]' out)" -ge 8 ]
check "experiment: the page" [ "$(tail -n 1 out)" = models/models.html ]

mv run/report.html made-by-train.html
check "eval leaves its numbers in the run" grep -q '"conditional"' run/evaluation.json
rm run/evaluation.json
works report run --threads 1
check "report prints its file's name and nothing else" [ "$(cat out)" = run/report.html ]
same run/report.html made-by-train.html
works report run --out small.html --samples 1
check "a smaller report is smaller" [ "$(stat -c %s small.html)" -lt "$(stat -c %s run/report.html)" ]
works eval run --ceilings --samples 8 --json
cp out run/evaluation.json
works report run
check "the evaluation is in the report" grep -q 'Ceilings: ' run/report.html
echo "no numbers" >run/evaluation.json
refuses 3 "run/evaluation.json: not an evaluation" report run
rm run/evaluation.json
refuses 4 "nowhere: is no run directory" report nowhere
refuses 4 "in: is not a run" report in
refuses 3 "nowhere: no such data set folder" report run --data nowhere
refuses 7 "nowhere/report.html: cannot" report run --out nowhere/report.html
refuses 2 "--samples: expected 1 to 64, found 65" report run --samples 65
cp -r run unreported
rm unreported/report.html
mkdir unreported/report.html
works train --resume --out unreported
check "a report that fails is told" grep -q '^report: not made, the training itself is complete; ' err

# --- a GPU ------------------------------------------------------------------------------------------------------

if [ "$computes" != cuda:0 ]; then
  said="a GPU that is not there"
  why=${computes#cpu; }
  if [ "$built" = no ]; then check "doctor: '$why' names no remedy" grep -qF -- -DMLD_CUDA=ON <<<"$why"; fi
  refuses 6 "device cuda: $why" train --config tiny.json --data store --out x --device cuda
  refuses 6 "device cuda: $why" sample run --out x --device cuda
  refuses 6 "device cuda:1: $why" eval run --device cuda:1
  check "a refused device made a folder" [ ! -e x ]
else
  # Between processes the clock may choose another algorithm for a convolution.
  export MLD_CONV=gemm
  cuda=(--device cuda --precision fp32)
  refuses 6 "device cuda:15: this machine has" sample run --out x --device cuda:15
  gpu=(train --config tiny.json --data store "${cuda[@]}")
  works "${gpu[@]}" --out gpu
  check "training on a GPU tells its progress" grep -q '^score  10/10  loss ' err

  gpu+=(--reuse gpu --set run.log_every=50)
  interrupted TERM gpu-stopped "${gpu[@]}"
  if [ "$built" = "emulated on the host" ]; then
    # Memory runs out while a run is continued: the checkpoint stays.
    cp gpu-stopped/score.safetensors before
    export MLDTEST_EMULATION_MEMORY=100000
    run train --resume --out gpu-stopped --set score.steps=$steps "${cuda[@]}"
    ended 6 "memory: cuda:0 cannot provide "
    run sample gpu --out x "${cuda[@]}"
    ended 6 "memory: cuda:0 cannot provide "
    check "a sampling without memory made its folder" [ ! -e x ]
    unset MLDTEST_EMULATION_MEMORY
    same gpu-stopped/score.safetensors before
  fi
  works train --resume --out gpu-stopped --set score.steps=$steps "${cuda[@]}"
  works "${gpu[@]}" --out gpu-straight --set score.steps=$steps
  same gpu-stopped/score.safetensors gpu-straight/score.safetensors
  same gpu-stopped/metrics.jsonl gpu-straight/metrics.jsonl
  same gpu-stopped/config.json gpu-straight/config.json

  # A network larger than any memory: what was asked for, what there is; stage 1 of the run is kept.
  run "${gpu[@]}" --out large --set score.width=65536
  ended 6 "memory: cuda:0 cannot provide "
  for part in "bytes; in use " ", peak " ", free on the GPU "; do check "'$part' is told" grep -qF "$part" err; done
  same large/autoencoder.left.safetensors gpu/autoencoder.left.safetensors
  check "a checkpoint of nothing is left" [ ! -e large/score.safetensors ]

  for model in run gpu; do
    for device in cpu cuda; do
      works sample $model -n 5 --seed 7 --chunk 4 --out $model-on-$device --device $device
      works sample $model -n 5 --seed 7 --chunk 4 --out $model-on-$device-again --device $device
      same $model-on-$device/left.npy $model-on-$device-again/left.npy
    done
  done
  same run-on-cpu/left.npy joint/left.npy
  works eval gpu --resample 1 --samples 8 --chunk 8 --json "${cuda[@]}"
  check "eval --json on a GPU" grep -q '"classifier"' out
  unset MLD_CONV
fi

# --- model files ------------------------------------------------------------------------------------------------

works export run model.safetensors
check "export prints on stdout" [ ! -s out ]
works sample model.safetensors -n 5 --seed 7 --out exported
same joint/left.npy exported/left.npy
refuses 7 "nowhere/model.safetensors: cannot write" export run nowhere/model.safetensors

damaged() {  # a fresh copy of the run to damage
  rm -rf damaged
  cp -r run damaged
}
damaged && flip_byte damaged/score.safetensors 100
refuses 4 "damaged/score.safetensors: " sample damaged --out x
check "the checksum is named" grep -qi 'checksum' err
refuses 4 "damaged/score.safetensors: " train --resume --out damaged
damaged && truncate -s -64 damaged/autoencoder.left.safetensors
refuses 4 "damaged/autoencoder.left.safetensors: " sample damaged --out x
refuses 4 "damaged/autoencoder.left.safetensors: " train --resume --out damaged
damaged && rm damaged/dataset.json
refuses 4 "damaged: is not a run; dataset.json is missing" sample damaged --out x
refuses 4 "left.npy: " inspect in/train/left.npy
check "a refused sampling made its folder" [ ! -e x ]

# --- where results cannot go ------------------------------------------------------------------------------------

run_limited sample run -n 3 --out limited --singles 0
check "a small output fits the limit" [ $code = 0 ]
run_limited export run limited.safetensors
ended 7 "limited.safetensors: cannot write: File too large"
check "half a file is left" [ ! -e limited.safetensors ]
run_limited data make digits --out limited-store --train 40 --test 0
ended 7 "File too large"
check "half a store is left" [ ! -e limited-store ]
if [ -c /dev/full ]; then
  "$mldctl" data info store >/dev/full 2>err
  code=$? said="data info, with stdout on a full disk"
  : >out
  ended 7 "standard output: cannot write: No space left on device"
  "$mldctl" train --help-config >/dev/full 2>err  # longer than a buffer of the C library
  code=$? said="train --help-config, with stdout on a full disk"
  ended 7 "standard output: cannot write: No space left on device"
fi
summary
