#!/usr/bin/env bash
# A stage 2 that is trained in two slices elsewhere equals one that was never interrupted; slices of another run, and
# damaged ones, are refused and leave the run as it is.
#   paper_slice_test.sh MLDCTL REPOSITORY
set -euo pipefail

mldctl=$1 script=$2/tools/paper_slice.sh
command -v python3 > /dev/null || { echo "skipped: there is no python3"; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() {
  echo "paper_slice_test: $*" >&2
  exit 1
}
refused() {  # refused TEXT COMMAND...
  local text=$1
  shift
  if "$@" > refused.log 2>&1; then fail "accepted: $*"; fi
  grep -qF "$text" refused.log || fail "'$text' is not in: $(cat refused.log)"
}
tensors() {  # of a safetensors file, without its metadata
  python3 - "$1" << 'EOF'
import hashlib, json, struct, sys
with open(sys.argv[1], "rb") as file:
    header, data = json.loads(file.read(struct.unpack("<Q", file.read(8))[0])), file.read()
header.pop("__metadata__")
for name, entry in sorted(header.items()):
    print(name, hashlib.sha256(data[slice(*entry["data_offsets"])]).hexdigest())
EOF
}

"$mldctl" data make digits --train 64 --test 16 --out store > /dev/null
"$mldctl" train --preset digits --data store --out run --set stage1.steps=2 --set modalities.sound.stage1.steps=2 \
  --set score.width=16 --set score.steps=1500 --set run.checkpoint_every=100 --stage ae > /dev/null
cp -r run whole
"$mldctl" train --out whole --resume --stage score > /dev/null 2>&1

slice() {  # mldctl itself takes MLD_ variables for settings
  MLD_PAPER_STATE=$work/state MLD_DEPS=$work/deps MLD_GPU_OUT=$work/out MLD_DEVICE=cpu MLDCTL=$mldctl "$script" "$@"
}
mkdir -p deps/bin
touch deps/bin/{mldctl,libmld_engine.so,libmld_nn.so,libmld_data.so,libmld_mld.so}
refused "run/score.safetensors is missing" slice pack run

"$mldctl" train --out run --resume --stage score > log 2>&1 &
while [ ! -e run/score.safetensors ] && kill -0 $! 2> /dev/null; do sleep 0.05; done
kill -INT $! 2> /dev/null || true
wait $! || true
[ "$(tensors run/score.safetensors)" != "$(tensors whole/score.safetensors)" ] ||
  echo "note: the training was over before it could be interrupted"
refused "holds no score.part" slice take run .

slice pack run > /dev/null
rm store/train/image.npy  # a slice does without the items
(cd / && slice run 1) > /dev/null 2>&1
before=$(sha256sum < run/score.safetensors)
printf x | dd of=out/score.part0 bs=1 seek=5000 conv=notrunc 2> /dev/null
refused "not those of one file" slice take run out
[ "$before" = "$(sha256sum < run/score.safetensors)" ] || fail "a damaged slice changed the run"

(cd / && slice run 1) > /dev/null 2>&1
python3 -c 'import json; c = json.load(open("run/config.json")); c["seed"] = 7; json.dump(c, open("config.json", "w"))'
mkdir other
cp config.json other
refused "slice of another run" slice take other out
slice take run out > /dev/null
[ "$(tensors run/score.safetensors)" = "$(tensors whole/score.safetensors)" ] || fail "the slices differ from one run"
grep -q '"stage":"score","step":1500,' run/metrics.jsonl || fail "the curve does not end at step 1500"
echo "paper_slice_test: passed"
