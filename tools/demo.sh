#!/usr/bin/env bash
# The main job on the embedded data set: makes `digits`, trains autoencoders, classifiers and the score network,
# samples jointly and conditionally, evaluates, and says where the pictures are. Installs what is missing
# (Debian) and builds first. Everything is seeded, and budgets are steps: the results are the same every time.
#
#   tools/demo.sh           the full demonstration
#   tools/demo.sh --quick   the same stages with few steps, to see that everything runs
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/deps.sh

out=demo quick=() samples=1000
if [ "${1:-}" = --quick ]; then
  out=demo/quick
  quick=(--set stage1.steps=60 --set classifier_training.steps=60 --set score.steps=100)
  samples=100
elif [ $# -gt 0 ]; then
  echo "usage: tools/demo.sh [--quick]" >&2
  exit 2
fi

begin=$SECONDS
times=""
phase() {  # phase NAME COMMAND...: runs it and notes how long it took
  local name=$1 start=$SECONDS
  shift
  echo "== $name"
  "$@"
  times+=$(printf '%-12s %4d s' "$name" $((SECONDS - start)))$'\n'
}

build() {
  install_packages "${mld_packages[@]}"
  cmake -S . -B build/demo -G Ninja -DCMAKE_BUILD_TYPE=Release -DMLD_TESTS=OFF
  cmake --build build/demo
}
mldctl=build/demo/tools/mldctl

samples() {
  "$mldctl" sample "$out/run" -n 32 --out "$out/joint"
  for given in image sound trajectory; do
    "$mldctl" sample "$out/run" --from "$out/store" --given-mods $given --index 0:32 --out "$out/given-$given"
  done
}

phase build build
rm -rf "$out/store" "$out/run"
mkdir -p "$out"
phase data "$mldctl" data make digits --out "$out/store"
phase train "$mldctl" train --preset digits --data "$out/store" --out "$out/run" "${quick[@]}"
phase sample samples
phase evaluate "$mldctl" eval "$out/run" --samples "$samples"

printf '\n%s%-12s %4d s\n\n' "$times" total $((SECONDS - begin))
echo "Pictures: $out/joint/grid.png and $out/given-{image,sound,trajectory}/grid.png (conditions on top);"
echo "sounds and arrays beside them; the model is $out/run"
