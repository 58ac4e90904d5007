#!/usr/bin/env bash
# Stage 2 of a run in slices, on GPUs that are there for minutes. What travels there is one folder: the state of the
# training, the latents (latents.safetensors), the autoencoders, a store without its items, the programs. What comes
# back is the state, in at most four files of 15 MiB, and the curve. The run stays where it is and can be continued
# anywhere.
#
#   tools/paper_slice.sh pack RUN         at home, after `gpu_check.sh pack`: RUN, whose score network has begun, into
#                                         MLD_PAPER_STATE
#   tools/paper_slice.sh run MINUTES      there: trains on; leaves score.part*, slice.txt and metrics.jsonl.gz in
#                                         MLD_GPU_OUT (gpu_check.sh's part `paper` calls this)
#   tools/paper_slice.sh take RUN FOLDER  at home: what a slice left in FOLDER becomes RUN's
#
# For example, the paper's 1 314 000 steps of mnist-svhn at a width whose state is 38 MB:
#
#   mldctl train --preset mnist-svhn --data STORE --out RUN --set score.width=256 --stage ae
#   mldctl train --out RUN --resume --stage score        # Ctrl-C after the first steps: a checkpoint is written
#   tools/gpu_check.sh pack && tools/paper_slice.sh pack RUN
#   tools/gpu_check.sh paper                              # there
#   tools/paper_slice.sh take RUN FOLDER                  # and pack again
#
# Environment: MLD_PAPER_STATE (.gpu_paper), MLD_DEPS (.gpu_deps), MLD_GPU_OUT (build/gpu), PYTHON (python3); of `run`
# also MLDCTL (mldctl), MLD_PRECISION (tf32), MLD_DEVICE (cuda).
set -euo pipefail
home=$(cd "$(dirname "$0")/.." && pwd)

state=${MLD_PAPER_STATE:-$home/.gpu_paper}
deps=${MLD_DEPS:-$home/.gpu_deps}
out=${MLD_GPU_OUT:-$home/build/gpu}
python=${PYTHON:-python3}
mldctl=${MLDCTL:-mldctl}
precision=${MLD_PRECISION:-tf32}
device=${MLD_DEVICE:-cuda}
unset MLD_PAPER_STATE MLD_DEPS MLD_GPU_OUT MLD_PRECISION MLD_DEVICE  # mldctl takes MLD_ variables for settings
part_bytes=$((15 << 20))
parts=4
travels_mib=58  # there, beside the sources

fail() {
  echo "paper_slice: $*" >&2
  exit 1
}

split_score() {  # split_score RUN FOLDER
  rm -f "$2"/score.part*
  split -b "$part_bytes" -d -a 1 "$1/score.safetensors" "$2/score.part"
  printf 'config %s\nscore %s\n' "$(settings "$1")" "$(sum "$1/score.safetensors")" > "$2/slice.txt"
}

sum() { sha256sum < "$1" | cut -c1-64; }

# Of the settings apart from the place of the data, which differs from machine to machine.
settings() {  # settings RUN
  "$python" -c 'import hashlib, json, sys
config = json.load(open(sys.argv[1]))
del config["data"]["store"]
print(hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest())' "$1/config.json"
}

join_score() {  # join_score FOLDER RUN: RUN/score.safetensors.new
  compgen -G "$1/score.part*" > /dev/null || fail "$1 holds no score.part*"
  [ -e "$1/slice.txt" ] || fail "$1/slice.txt is missing"
  grep -qx "config $(settings "$2")" "$1/slice.txt" || fail "$1 is a slice of another run than $2"
  cat "$1"/score.part* > "$2/score.safetensors.new"
  grep -qx "score $(sum "$2/score.safetensors.new")" "$1/slice.txt" || {
    rm "$2/score.safetensors.new"
    fail "$1: the parts are not those of one file; copy them again"
  }
}

# A finished autoencoder without the state of its training, which stage 2 does not read.
without_moments() {  # without_moments FILE COPY
  "$python" - "$1" "$2" << 'EOF'
import json, struct, sys

with open(sys.argv[1], "rb") as file:
    size = struct.unpack("<Q", file.read(8))[0]
    header, data = json.loads(file.read(size)), file.read()
kept, blocks, end = {}, [], 0
for name, entry in header.items():
    if name == "__metadata__":  # without checksums, which are of the whole file
        kept[name] = {k: v for k, v in entry.items() if k.split("/")[0] != "crc32"}
    elif not name.startswith("adam."):
        first, last = entry["data_offsets"]
        blocks.append(data[first:last])
        kept[name] = dict(entry, data_offsets=[end, end + last - first])
        end += last - first
text = json.dumps(kept, separators=(",", ":")).encode()
text += b" " * (-len(text) % 8)
with open(sys.argv[2], "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text + b"".join(blocks))
EOF
}

# The store without its items: files of the same size, all zeros behind the arrays' headers. Reading an item is an
# error then, as its checksum is wrong.
empty_store() {  # empty_store STORE COPY
  "$python" - "$1" "$2" << 'EOF'
import json, pathlib, shutil, sys

store, copy = map(pathlib.Path, sys.argv[1:])
description = json.loads((store / "dataset.json").read_text())
items = {f"{split}/{modality['name']}.npy" for split in description["splits"] for modality in description["modalities"]}
for source in sorted(store.rglob("*")):
    name = source.relative_to(store)
    if source.is_dir() or name.parts[0].startswith("."):
        continue
    (copy / name).parent.mkdir(parents=True, exist_ok=True)
    if name.as_posix() not in items:
        shutil.copyfile(source, copy / name)
        continue
    with source.open("rb") as array, (copy / name).open("wb") as hollow:
        head = array.read(12)  # magic, version, length of the header: 2 bytes in version 1, 4 after it
        length = 10 + int.from_bytes(head[8:10], "little") if head[6] == 1 else 12 + int.from_bytes(head[8:12], "little")
        array.seek(0)
        hollow.write(array.read(length))
        hollow.truncate(source.stat().st_size)
EOF
}

pack() {
  local run=$1 size store part name
  [ -e "$run/score.safetensors" ] ||
    fail "$run/score.safetensors is missing: begin with 'mldctl train --out $run --resume --stage score' and stop it"
  [ -e "$run/latents.safetensors" ] || fail "$run/latents.safetensors is missing: its data have no fingerprint; import them anew"
  [ -e "$deps/bin/mldctl" ] || fail "$deps/bin/mldctl is missing: run 'tools/gpu_check.sh pack' first"
  size=$(stat -c %s "$run/score.safetensors")
  [ "$size" -le $((parts * part_bytes)) ] ||
    fail "$run/score.safetensors has $size bytes, more than $parts files of $part_bytes; slices are for smaller networks"
  store=$("$python" -c 'import json, sys; print(json.load(open(sys.argv[1]))["data"]["store"])' "$run/config.json")
  [ -e "$store/dataset.json" ] || fail "$store, the store of $run, is not there"
  rm -rf "$state"
  mkdir -p "$state"
  split_score "$run" "$state"
  tar -C "$deps/bin" -cJf "$state/programs.tar.xz" mldctl libmld_engine.so libmld_nn.so libmld_data.so libmld_mld.so
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  empty_store "$store" "$work/store"
  mkdir "$work/run"
  cp "$run"/{config.json,dataset.json,latents.safetensors,metrics.jsonl} "$work/run"
  [ ! -e "$run/reused.json" ] || cp "$run/reused.json" "$work/run"
  for part in "$run"/{autoencoder,classifier}.*.safetensors; do
    name=$(basename "$part")
    [ ! -e "$part" ] || without_moments "$part" "$work/run/$name"
  done
  tar -C "$work" -cJf "$state/run.tar.xz" run store
  size=$(du -sm "$state" | cut -f1)
  (cd "$state" && find . -type f -printf '  %10s %P\n' | sort -k 2)
  echo "$state: $size MiB"
  [ "$size" -le "$travels_mib" ] || fail "pack: more than $travels_mib MiB; a narrower network or fewer latents would fit"
}

run() {
  local minutes=$1 work=$home/build/paper status=0 start
  [ -e "$state/run.tar.xz" ] || fail "$state holds no run: 'tools/paper_slice.sh pack RUN' makes it"
  rm -rf "$work"
  mkdir -p "$work" "$out"
  tar -C "$work" -xJf "$state/run.tar.xz"
  join_score "$state" "$work/run"
  mv "$work/run/score.safetensors.new" "$work/run/score.safetensors"
  start=$SECONDS
  # Interrupted, it ends after the step in progress with a checkpoint and status 75. (Without --foreground it would get
  # the signal twice, which kills it.)
  timeout --foreground --preserve-status --signal=INT --kill-after=60 $((minutes * 60)) "$mldctl" train --out "$work/run" --resume \
    --data "$work/store" --stage score --device "$device" --precision "$precision" || status=$?
  case $status in
    0 | 75) ;;
    *) fail "the training ended with status $status" ;;
  esac
  split_score "$work/run" "$out"
  gzip -c "$work/run/metrics.jsonl" > "$out/metrics.jsonl.gz"
  echo "* paper: $(tail -n 1 "$work/run/metrics.jsonl"), $((SECONDS - start)) s of it here"
}

take() {
  local run=$1 folder=$2
  [ -e "$run/config.json" ] || fail "$run is no run"
  join_score "$folder" "$run"
  gzip -dc "$folder/metrics.jsonl.gz" > "$run/metrics.jsonl.new" || fail "$folder/metrics.jsonl.gz is missing or damaged"
  mv "$run/metrics.jsonl.new" "$run/metrics.jsonl"
  mv "$run/score.safetensors.new" "$run/score.safetensors"
  tail -n 1 "$run/metrics.jsonl"
}

case "${1:-} $#" in
  "pack 2" | "run 2" | "take 3") "$@" ;;
  *) fail "usage: pack RUN, run MINUTES, or take RUN FOLDER; the head of this script says more" ;;
esac
