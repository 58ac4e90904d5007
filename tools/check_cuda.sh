#!/usr/bin/env bash
# What can be shown of the CUDA backend without a GPU: its kernels, compiled for the host, pass the tests of engine, nn
# and mld (threads of a block in both orders); nvcc compiles it for all architectures with warnings as errors and
# without spilled registers; and the program so built runs where there is no GPU, with the cpu's results to the bit.
# Needs nvcc and cuDNN (CUDAToolkit_ROOT, CUDNN_ROOT); the builds go to build/emulated and build/cuda.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/deps.sh

install_packages "${mld_packages[@]}"
command -v nvcc > /dev/null || [ -n "${CUDACXX:-}" ] || { echo "check_cuda: nvcc is not on the PATH" >&2; exit 1; }

echo "== kernels on the host"
cmake -S . -B build/emulated -G Ninja -DCMAKE_BUILD_TYPE=Release -DMLD_CUDA=emulated
cmake --build build/emulated
MLDTEST_REQUIRE_CUDA=1 ctest --test-dir build/emulated -j 2 --output-on-failure -E '^(data|report_browser|kill|cli_.*)$'

echo "== nvcc"
cmake -S . -B build/cuda -G Ninja -DCMAKE_BUILD_TYPE=Release -DMLD_CUDA=ON
cmake --build build/cuda --target mldctl test_engine

echo "== without a GPU"
mldctl=build/cuda/tools/mldctl
"$mldctl" doctor
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$mldctl" data make digits --train 64 --test 16 --out "$work/store"
for build in emulated cuda; do  # the emulated build compiles everything with the host compiler alone
  build/$build/tools/mldctl train --preset digits --data "$work/store" --out "$work/$build" --device cpu \
    --set stage1.steps=3 --set modalities.sound.stage1.steps=3 --set classifier_training.steps=3 --set score.steps=3
done
for file in "$work"/cuda/*.safetensors; do
  cmp "$file" "$work/emulated/$(basename "$file")"
done
echo "== the installed package"
tools/check_install.sh package build/cuda build/cuda-prefix
echo "check_cuda: all passed"
