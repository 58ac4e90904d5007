#!/usr/bin/env bash
# What can be shown of the CUDA backend without a GPU: its kernels, compiled for the host, pass the tests of engine, nn
# and mld (of engine and nn with the threads of a block in both orders) and a run by the command line; nvcc compiles it with
# warnings as errors and without spilled registers; and the program so built runs where there is no GPU, with the cpu's
# results to the bit. Needs nvcc and cuDNN (CUDAToolkit_ROOT, CUDNN_ROOT); the builds go to build/emulated and build/cuda.
#   tools/check_cuda.sh             nvcc for all architectures
#   tools/check_cuda.sh ARCHS       nvcc for these alone, as in CMAKE_CUDA_ARCHITECTURES
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/deps.sh

install_packages "${mld_packages[@]}"
command -v nvcc > /dev/null || [ -n "${CUDACXX:-}" ] || { echo "check_cuda: nvcc is not on the PATH" >&2; exit 1; }

echo "== kernels on the host"
cmake -S . -B build/emulated -G Ninja -DCMAKE_BUILD_TYPE=Release -DMLD_CUDA=emulated
cmake --build build/emulated --target mldctl test_engine test_nn test_mld
export MLDTEST_REQUIRE_CUDA=1
ctest --test-dir build/emulated -j 2 --output-on-failure -R '^(engine|nn)(_threads_reversed)?$'
# Of mld's tests those that compute on a device: the others were the same in a build without CUDA.
on_devices=$(grep -lE 'kCuda|test_devices|queued_devices|has_cuda|metrics_golden.h' tests/mld/*/*_test.cpp | sed 's/^/*/')
build/emulated/tests/mld/test_mld --source-file="$(paste -sd, <<<"$on_devices")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mldctl=build/emulated/tools/mldctl
"$mldctl" data make digits --train 64 --test 16 --out "$work/store"
steps=(--set stage1.steps=3 --set modalities.sound.stage1.steps=3 --set classifier_training.steps=3 --set score.steps=3
  --set sampler.steps=2)
"$mldctl" train --preset digits --data "$work/store" --out "$work/on-cuda" --device cuda "${steps[@]}"
"$mldctl" sample "$work/on-cuda" --device cuda -n 4 --steps 2 --out "$work/joint"
"$mldctl" eval "$work/on-cuda" --device cuda --samples 10 --steps 2 --metrics coherence

echo "== nvcc"
if [ $# -gt 0 ]; then archs=-DMLD_CUDA_ARCHS=$1; else archs=-UMLD_CUDA_ARCHS; fi
cmake -S . -B build/cuda -G Ninja -DCMAKE_BUILD_TYPE=Release -DMLD_CUDA=ON "$archs"
cmake --build build/cuda --target mldctl test_engine

echo "== without a GPU"
mldctl=build/cuda/tools/mldctl
"$mldctl" doctor
for build in emulated cuda; do  # the emulated build compiles everything with the host compiler alone
  build/$build/tools/mldctl train --preset digits --data "$work/store" --out "$work/$build" --device cpu \
    "${steps[@]}"
done
for file in "$work"/cuda/*.safetensors; do
  cmp "$file" "$work/emulated/$(basename "$file")"
done
echo "== the installed package"
tools/check_install.sh package build/cuda build/cuda-prefix
echo "check_cuda: all passed"
