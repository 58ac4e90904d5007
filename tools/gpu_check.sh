#!/usr/bin/env bash
# What has to be seen on a machine with an NVIDIA GPU that has the CUDA toolkit, cuDNN, CMake, ninja and PyTorch, and
# from which nothing can be downloaded. One call runs the parts named, in their order; each takes less than nine
# minutes, so that they can be shared among calls with a time limit, and says how long it took.
#
#   tools/gpu_check.sh pack         beforehand, on Debian with the packages of tools/deps.sh: copies the libraries that
#                                   are not there (headers, and zlib for linking) to the folder MLD_DEPS
#   tools/gpu_check.sh PART...      there: build test sanitize bench compile digits; all: these six
#                                   autotune: PyTorch's slowest and best compilation, two cases
#
# Environment: MLD_DEPS (.gpu_deps), MLD_GPU_BUILD (build/gpu), MLD_GPU_OUT (build/gpu/results: tables and logs), PYTHON
# (python3, with torch), MLD_PRECISION (tf32: of bench, compile and autotune), MLD_ARCH (x86-64-v3: -march of host
# code; `native` asks nvcc to read what the newest processors' headers hold), MLD_JOBS (compilers at a time),
# MLD_CUDA_MODE (ON; `emulated` rehearses the parts on a machine without a GPU, with sizes that mean nothing).
set -euo pipefail
cd "$(dirname "$0")/.."

deps=${MLD_DEPS:-.gpu_deps}
build=${MLD_GPU_BUILD:-build/gpu}
out=${MLD_GPU_OUT:-$build/results}
python=${PYTHON:-python3}
precision=${MLD_PRECISION:-tf32}
mode=${MLD_CUDA_MODE:-ON}
arch=${MLD_ARCH:-x86-64-v3}
jobs=${MLD_JOBS:-}
# mldctl takes MLD_ variables for settings.
unset MLD_DEPS MLD_GPU_BUILD MLD_GPU_OUT MLD_PRECISION MLD_CUDA_MODE MLD_ARCH MLD_JOBS

fail() {
  echo "gpu_check: $*" >&2
  exit 1
}

pack() {
  local package file
  rm -rf "$deps"
  mkdir -p "$deps/lib"
  for package in libcli11-dev nlohmann-json3-dev doctest-dev libeigen3-dev zlib1g-dev; do
    dpkg-query -L "$package" > /dev/null || fail "pack: the package $package is not installed"
    while read -r file; do
      [ -f "$file" ] || continue
      case $file in
        */libz.a) cp "$file" "$deps/lib" ;;
        */pkgconfig/* | */libz.so) ;;
        /usr/include/* | /usr/lib/cmake/* | /usr/share/cmake/* | /usr/share/*/cmake/*)
          install -D -m 644 "$file" "$deps/${file#/usr/}"
          ;;
      esac
    done < <(dpkg-query -L "$package")
  done
  echo "$deps: $(du -sm "$deps" | cut -f1) MiB in $(find "$deps" -type f | wc -l) files"
}

# Where the toolkit is, and cuDNN and cuBLAS: in the toolkit, or in Python's packages beside PyTorch, whose libraries
# have no names for the linker; they get links in $build/cuda_libs.
find_cuda() {
  [ "$mode" = ON ] || return 0
  local nvcc packages name file
  packages=$("$python" -c 'import nvidia; print(list(nvidia.__path__)[0])' 2> /dev/null || true)
  nvcc=$(command -v nvcc || compgen -G '/usr/local/cuda*/bin/nvcc' | tail -n 1 ||
    compgen -G "$packages/*/bin/nvcc" | tail -n 1) || fail "nvcc is nowhere"
  toolkit=$(dirname "$(dirname "$(readlink -f "$nvcc")")")
  export CUDACXX=$nvcc
  if [ -z "${CUDNN_ROOT:-}" ] && ! compgen -G "$toolkit/include/cudnn.h" > /dev/null &&
    ! compgen -G "/usr/include/cudnn.h" > /dev/null && ! compgen -G "/usr/include/*/cudnn.h" > /dev/null; then
    export CUDNN_ROOT=$packages/cudnn
    [ -e "$CUDNN_ROOT/include/cudnn.h" ] || fail "no cudnn.h; set CUDNN_ROOT to a folder with cudnn.h and libcudnn.so.9"
  fi
  mkdir -p "$build/cuda_libs/include"
  for name in cublasLt cublas nvrtc; do
    compgen -G "$toolkit/lib*/lib$name.so" > /dev/null && continue
    file=$(compgen -G "$packages/*/lib/lib$name.so.*" | head -n 1) || fail "lib$name is nowhere"
    ln -sf "$file" "$build/cuda_libs/$(basename "$file")"
    ln -sf "$file" "$build/cuda_libs/lib$name.so"
    [ "$name" != cublasLt ] || ln -sf "$(dirname "$(dirname "$file")")"/include/cublas*.h "$build/cuda_libs/include"
  done
  export CPATH=${CPATH:+$CPATH:}$PWD/$build/cuda_libs/include  # of the package no more than these: the rest is nvcc's
  export CMAKE_LIBRARY_PATH=$PWD/$build/cuda_libs
  # cuDNN looks for its parts and for cuBLAS when it is used.
  libraries=$PWD/$build/cuda_libs${CUDNN_ROOT:+:$CUDNN_ROOT/lib}
}

# Runs a command that uses our programs.
ours() {
  LD_LIBRARY_PATH="${LD_LIBRARY_PATH:-}${LD_LIBRARY_PATH:+${libraries:+:}}${libraries:-}" "$@"
}

build_part() {
  [ -d "$deps/include" ] || fail "$deps is not there: run 'tools/gpu_check.sh pack' on Debian and bring the folder along"
  # Warnings of a compiler that has not been tried are no reason to come back with nothing.
  cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DMLD_CUDA="$mode" -DMLD_CUDA_ARCHS=native -DMLD_CUDA_F64=ON \
    -DMLD_BENCH=ON -DMLD_WERROR=OFF -DMLD_ARCH="$arch" -DCMAKE_PREFIX_PATH="$(realpath "$deps")" \
    -DCMAKE_DISABLE_FIND_PACKAGE_PNG=ON -DCMAKE_DISABLE_FIND_PACKAGE_JPEG=ON -DSNDFILE_LIBRARY=OFF
  cmake --build "$build" ${jobs:+-j "$jobs"} \
    --target mldctl bench_steps test_engine test_nn test_mld
}

test_part() {
  local status=0 limit=150
  [ "$mode" = ON ] || limit=1500
  MLD_REQUIRE_CUDA=1 ours ctest --test-dir "$build" -R '^(engine|nn|mld)$' --output-on-failure --timeout "$limit" ||
    status=$?
  ours "$build/tools/mldctl" doctor
  return "$status"
}

# Every kernel of ours at least once: drivers, operators with their gradients, and a recorded step.
suite='drivers:*,convolutions by patches*,gradients agree*,a captured step equals*,replays allocate*'

sanitize_part() {
  local tool help sanitizer status=0 filter=() program=("$build/tests/engine/test_engine" "-tc=$suite")
  if [ "$mode" != ON ]; then  # the emulation's way of looking for missing barriers
    MLD_REQUIRE_CUDA=1 MLD_EMULATION_ORDER=reverse "${program[@]}"
    return
  fi
  sanitizer=$(command -v compute-sanitizer || compgen -G "$toolkit/*/compute-sanitizer" | head -n 1) ||
    fail "compute-sanitizer is nowhere"
  # Libraries' kernels are not ours to check, and slow.
  help=$("$sanitizer" --help || true)
  case $help in
    *--kernel-regex*) filter=(--kernel-regex kns=mld) ;;
    *--kernel-name*) filter=(--kernel-name kns=mld) ;;
  esac
  for tool in memcheck racecheck; do
    echo "-- $tool"
    MLD_REQUIRE_CUDA=1 ours timeout 250 "$sanitizer" --tool "$tool" "${filter[@]}" --error-exitcode 9 \
      "${program[@]}" > "$out/$tool.log" 2>&1 || { status=$?; echo "$tool: exit status $status"; }
    tail -n 12 "$out/$tool.log"
  done
  return "$status"
}

# compare LOG SECONDS ARGUMENTS...: the table goes to the log as well; what is missing when the time is up is left out.
compare() {
  local log=$1 seconds=$2 small=()
  shift 2
  if [ "$mode" != ON ]; then
    small=(--peer-device cpu --rounds 1 --threads 1 --gemm gemm-64 --copy copy-1
      --cases "train-score-16,sample-16-4,generate-16-4")
  fi
  ours timeout --foreground "$seconds" "$python" tools/bench/compare_torch.py "$build/tools/bench/bench_steps" \
    --device cuda --precision "$precision" --rounds 7 "$@" "${small[@]}" 2> "$out/$log.err" | tee "$out/$log.md"
}

bench_part() {
  local peers=(--peer "$python")
  [ "$mode" = ON ] && peers+=(--peer "$python --graph")
  compare bench 500 "${peers[@]}"
}

compile_part() {
  local peers=(--peer "$python --compile")
  [ "$mode" = ON ] && peers=(--peer "$python --compile --graph" --peer "$python --compile reduce-overhead")
  compare compile 500 "${peers[@]}" \
    --cases train-score-512,train-score-mhd,train-score-polymnist,train-svhn,generate-512-5000
}

autotune_part() {
  [ "$mode" = ON ] || fail "autotune: needs a GPU"
  compare autotune 500 --peer "$python --compile max-autotune-no-cudagraphs --graph" \
    --cases train-score-polymnist,train-svhn
}

digits_part() {
  local mldctl=$build/tools/mldctl store=$build/digits evaluate=(--samples 1000)
  local make=() train=() run start p
  if [ "$mode" != ON ]; then
    make=(--train 64 --test 32)
    train=(--set stage1.batch=4 --set stage1.steps=2 --set modalities.sound.stage1.steps=2 --set score.batch=8
      --set classifier_training.batch=4 --set classifier_training.steps=2 --set score.steps=2
      --set sampler.chunk=8 --set sampler.steps=2)
    evaluate=(--samples 8)
  fi
  rm -rf "$store"
  mkdir -p "$store"
  "$mldctl" data make digits --out "$store/store" "${make[@]}"
  for p in fp32 tf32 bf16; do
    run=$store/$p
    start=$SECONDS
    ours timeout 150 "$mldctl" train --preset digits --data "$store/store" --out "$run" --device cuda --precision "$p" \
      "${train[@]}" 2> "$out/digits-$p.err"
    echo "-- $p: trained in $((SECONDS - start)) s"
    ours "$mldctl" eval "$run" "${evaluate[@]}" --device cuda --precision "$p" 2> /dev/null | tee "$out/digits-$p.txt"
  done
}

[ $# -gt 0 ] || fail "name the parts to run: pack, build, test, sanitize, bench, compile, autotune, digits or all"
if [ "$1" = pack ]; then
  pack
  exit
fi
parts=("$@")
[ "$1" = all ] && parts=(build test sanitize bench compile digits)
for part in "${parts[@]}"; do
  case $part in
    build | test | sanitize | bench | compile | autotune | digits) ;;
    *) fail "no part is called $part" ;;
  esac
done
mkdir -p "$out"
find_cuda
failed=()
for part in "${parts[@]}"; do
  start=$SECONDS
  echo "== $part"
  set +e  # and no || here: it would switch off -e inside as well
  (set -e; "${part}_part")
  status=$?
  set -e
  echo "== $part: $([ "$status" -eq 0 ] && echo "done" || echo "FAILED ($status)") in $((SECONDS - start)) s"
  [ "$status" -eq 0 ] || failed+=("$part")
  [ "${failed[*]}" != build ] || break
done
[ ${#failed[@]} -eq 0 ] || fail "failed: ${failed[*]}"
