#!/usr/bin/env bash
# What has to be seen on a machine with an NVIDIA GPU, from which nothing can be downloaded and which may be there for
# ten minutes only.
#
#   tools/gpu_check.sh pack        beforehand, where nvcc, cuDNN and the packages of tools/deps.sh are: builds the
#                                  programs for a GPU that need not be there and puts them into MLD_DEPS, with the
#                                  headers that `build` needs. The folder goes along with the sources.
#   tools/gpu_check.sh PART...     there, in the order named:
#     quick (300 s)                does it run, is it right, how fast is it, where does the time go
#     second (240 s)               against PyTorch, races, `digits` in two precisions
#     paper (MLD_PAPER_MINUTES)    a slice of the paper's million steps of stage 2 (tools/paper_slice.sh)
#     build                        the way round if the programs brought along do not run: needs nvcc, CMake, ninja
#     test sanitize bench compile digits    longer; each takes less than nine minutes
#     autotune                     PyTorch's slowest and best compilation, two cases
#
# A part is made of steps; each has a time limit of its own, and the next one goes on whatever became of it. The table
# of steps comes last. Logs and tables are in one archive, MLD_GPU_OUT/gpu_check.tar.gz, written anew after every step.
#
# Environment: MLD_DEPS (.gpu_deps), MLD_GPU_BUILD (build/gpu), MLD_GPU_OUT (MLD_GPU_BUILD), PYTHON (python3; with torch
# for what compares), MLD_PRECISION (tf32: of bench, compile, autotune and second), MLD_GPU_ARCH (90-real for pack,
# native for build), MLD_ARCH (x86-64-v3: -march of host code), MLD_JOBS (compilers at a time), MLD_PAPER_STATE
# (.gpu_paper), MLD_PAPER_MINUTES (8), MLD_CUDA_MODE (ON; `emulated` rehearses everything on a machine without a GPU,
# with sizes that mean nothing). Ways round a fault of the programs: MLD_CONV=gemm, MLD_NO_GRAPH=1.
set -euo pipefail
cd "$(dirname "$0")/.."

deps=${MLD_DEPS:-.gpu_deps}
build=${MLD_GPU_BUILD:-build/gpu}
out=${MLD_GPU_OUT:-$build}
python=${PYTHON:-python3}
precision=${MLD_PRECISION:-tf32}
mode=${MLD_CUDA_MODE:-ON}
gpu_arch=${MLD_GPU_ARCH:-}
host_arch=${MLD_ARCH:-x86-64-v3}
jobs=${MLD_JOBS:-}
paper_state=${MLD_PAPER_STATE:-.gpu_paper}
paper_minutes=${MLD_PAPER_MINUTES:-8}
# mldctl takes MLD_ variables for settings.
unset MLD_DEPS MLD_GPU_BUILD MLD_GPU_OUT MLD_PRECISION MLD_CUDA_MODE MLD_GPU_ARCH MLD_ARCH MLD_JOBS MLD_PAPER_STATE \
  MLD_PAPER_MINUTES
results=$build/results

fail() {
  echo "gpu_check: $*" >&2
  exit 1
}

emulated() { [ "$mode" != ON ]; }

# ---- programs

programs=(mldctl test_engine test_nn test_mld bench_steps)
pack_limit_mib=45

# For `pack` the kernels are in one shared library with thin programs beside it. Warnings of a compiler that has not been tried
# are no reason to come back with nothing.
compile() {  # compile FOLDER ARCHITECTURE BIN [CMAKE ARGUMENT...]
  local folder=$1 arch=$2 bin
  bin=$(realpath -m "$3")
  shift 3
  cmake -S . -B "$folder" -G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=ON -DCMAKE_SKIP_RPATH=ON \
    -DCMAKE_RUNTIME_OUTPUT_DIRECTORY="$bin" -DCMAKE_LIBRARY_OUTPUT_DIRECTORY="$bin" \
    -DMLD_CUDA="$mode" -DMLD_CUDA_ARCHS="$arch" -DMLD_CUDA_F64=ON -DMLD_BENCH=ON -DMLD_WERROR=OFF \
    -DMLD_ARCH="$host_arch" -DMLD_TEST_DATA=tests -DCMAKE_CUDA_FLAGS=--compress-mode=size \
    -DCMAKE_DISABLE_FIND_PACKAGE_PNG=ON -DCMAKE_DISABLE_FIND_PACKAGE_JPEG=ON -DCMAKE_DISABLE_FIND_PACKAGE_WebP=ON \
    -DCMAKE_DISABLE_FIND_PACKAGE_TIFF=ON -DCMAKE_DISABLE_FIND_PACKAGE_SndFile=ON -DCMAKE_DISABLE_FIND_PACKAGE_LibZip=ON "$@"
  cmake --build "$folder" ${jobs:+-j "$jobs"} --target "${programs[@]}"
}

# Of everything the programs are made of, to tell whether they are those of the sources beside them.
sources_hash() {
  find CMakeLists.txt cmake engine nn data mld tools tests -type f ! -path '*/__pycache__/*' -print0 | LC_ALL=C sort -z |
    xargs -0 sha256sum | sha256sum | cut -c1-16
}

pack() {
  local file library size
  rm -rf "$deps"
  mkdir -p "$deps/bin" "$deps/system"
  compile "${build}_pack" "${gpu_arch:-90-real}" "${build}_pack/bin"
  for file in "${build}_pack/bin"/{mldctl,test_engine,test_nn,test_mld,bench_steps,libmld_*.so}; do
    strip --strip-unneeded -o "$deps/bin/$(basename "$file")" "$file"
  done
  # Of the system, for a machine that lacks one or has an older one: all but the C library and the GPU's.
  ldd "$deps"/bin/* | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | sort -u | while read -r library; do
    case $(basename "$library") in
      libc.so* | libm.so* | libpthread* | libdl* | librt* | ld-linux* | libmld_* | libcu* | libnv*) ;;
      *) cp -L "$library" "$deps/system" ;;
    esac
  done
  headers | tar -C / -czf "$deps/headers.tar.gz" -T -
  sources_hash > "$deps/sources"
  size=$(du -sm "$deps" | cut -f1)
  echo "$deps: $size MiB: programs $(du -sm "$deps/bin" | cut -f1), system libraries $(du -sm "$deps/system" | cut -f1)," \
    "headers $(du -sm "$deps/headers.tar.gz" | cut -f1)"
  (cd "$deps" && find bin system -type f -printf '  %10s %p\n' | sort -k 2)
  [ "$size" -le "$pack_limit_mib" ] || fail "pack: more than $pack_limit_mib MiB"
}

# The header-only libraries and zlib, for `build`, below /usr.
headers() {
  local package file
  for package in libcli11-dev nlohmann-json3-dev doctest-dev libeigen3-dev zlib1g-dev; do
    dpkg-query -L "$package" > /dev/null || fail "pack: the package $package is not installed"
    dpkg-query -L "$package" | while read -r file; do
      [ -f "$file" ] || continue
      case $file in
        */pkgconfig/* | */libz.so) ;;
        */libz.a | /usr/include/* | /usr/lib/cmake/* | /usr/share/cmake/* | /usr/share/*/cmake/*) echo "${file#/}" ;;
      esac
    done
  done
}

# The folder of Python's CUDA packages, which PyTorch has its libraries from; one that is nowhere if there is none.
python_packages() { "$python" -c 'import nvidia; print(list(nvidia.__path__)[0])' 2> /dev/null || echo /nowhere; }

# Links to the GPU's libraries: those of Python's packages, where PyTorch has its own from, or of the toolkit. No more
# than these, as the folders they lie in hold parts of the profilers as well.
link_libraries() {
  local packages name folder file
  packages=$(python_packages)
  for name in libcudart.so.13 libcublasLt.so.13 libcublas.so.13 libnvrtc.so.13 libnvJitLink.so.13 libcudnn.so.9; do
    for folder in "$packages"/*/lib /usr/local/cuda*/lib64 /usr/lib/x86_64-linux-gnu; do
      [ -e "$folder/$name" ] || continue
      # cuDNN's parts, and what nvrtc has beside it, go by names of their own.
      for file in "$folder/${name%%.so*}"[-_.]*so*; do ln -sf "$file" "$1"; done
      break
    done
  done
}

# Where the programs are, and the folder of their libraries: the GPU's, and of those that travel what is missing here.
find_programs() {
  local missing file
  bin=$(realpath -m "$deps/bin")
  [ ! -x "$build/bin/mldctl" ] || bin=$(realpath "$build/bin")
  if [ ! -x "$bin/mldctl" ] && [ -e "$paper_state/programs.tar.xz" ]; then
    mkdir -p "$build/bin"
    tar -C "$build/bin" -xJf "$paper_state/programs.tar.xz"
    bin=$(realpath "$build/bin")
  fi
  [ -x "$bin/mldctl" ] || fail "$bin holds no programs: run 'tools/gpu_check.sh pack' beforehand, or the part build here"
  rm -rf "$build/libraries"
  mkdir -p "$build/libraries"
  emulated || link_libraries "$build/libraries"
  library_path=$bin:$(realpath "$build/libraries")${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  missing=$(ours ldd "$bin"/* 2>&1 | grep 'not found' || true)
  for file in "$deps"/system/*; do
    case $missing in *"$(basename "$file")"*) ln -sf "$(realpath "$file")" "$build/libraries" ;; esac
  done
}

ours() { LD_LIBRARY_PATH=$library_path "$@"; }

# ---- steps

# step NAME SECONDS FUNCTION...: runs it in a group of processes of its own. What it prints is its log; lines that begin
# with "* " are shown below the table. Status 77: it was skipped, and its last line says why. When the time is up, what it
# started is ended; the function itself goes on to say what there is, for five seconds. Leaves its status in step_status.
step() {
  local name=$1 seconds=$2 start=$SECONDS word job watch
  shift 2
  ! emulated || seconds=$((seconds * 20))
  echo "-- $name (at most $seconds s)"
  set +e
  (
    trap : TERM
    set -e
    "$@"
  ) > "$results/$name.log" 2>&1 &
  job=$!
  (
    sleep "$seconds"
    kill -TERM -- "-$job"
    sleep 5
    kill -KILL -- "-$job"
  ) > /dev/null 2>&1 &
  watch=$!
  wait "$job"
  step_status=$?
  kill -KILL -- "-$watch" "-$job" 2> /dev/null
  wait "$watch" 2> /dev/null
  set -e
  if [ "$step_status" -ne 0 ] && [ $((SECONDS - start)) -ge "$seconds" ]; then
    word="CUT SHORT after $seconds s" step_status=143
  elif [ "$step_status" -eq 77 ]; then
    word="skipped: $(tail -n 1 "$results/$name.log")"
  else
    word=passed
    [ "$step_status" -eq 0 ] || word="FAILED ($step_status)"
  fi
  case $word in passed | skipped*) ;; *) failed+=("$name") ;; esac
  tail -n 40 "$results/$name.log"
  printf '| %s | %s | %s s |\n' "$name" "$word" $((SECONDS - start)) >> "$results/steps.md"
  archive
}

archive_limit=$((15 << 20))

archive() {
  local new=$out/gpu_check.tar.gz.new
  mkdir -p "$out"
  tar -C "$results" -czf "$new" . || true  # a file that grows meanwhile is no reason to end
  if [ "$(stat -c %s "$new")" -gt "$archive_limit" ]; then
    (cd "$results" && tar -cz ./*.md ./*.log) > "$new" || true  # what explains most
  fi
  mv "$new" "$out/gpu_check.tar.gz"
}

# Status 3: the programs do not run; 4: they run and see no GPU.
probe() {
  uname -a
  nproc
  nvidia-smi || true
  nvidia-smi --query-gpu=name,driver_version,compute_cap,memory.total,clocks.sm,clocks.mem,power.limit --format=csv || true
  echo "programs: $bin"
  [ "$bin" != "$(realpath -m "$deps/bin")" ] || [ "$(cat "$deps/sources")" = "$(sources_hash)" ] ||
    echo "* the programs were packed from other sources"
  echo "libraries: $library_path"
  ours ldd "$bin"/mldctl "$bin"/test_engine || return 3
  ! ours ldd "$bin"/* 2>&1 | grep 'not found' || return 3
  ours "$bin/mldctl" version || return 3
  echo info | ours "$bin/bench_steps" --device cuda || return 4
}

doctor() {
  local status=0
  ours "$bin/mldctl" doctor || status=1
  echo "== without recordings"
  MLD_NO_GRAPH=1 ours "$bin/mldctl" doctor || status=1
  return "$status"
}

# The three programs side by side, the longest in as many pieces as there are cores for: none of their GPU cases
# skipped.
tests() {
  local room status=0 jobs=() job cases pieces piece log
  run_tests() {  # run_tests LOG ROOM [FIRST LAST]; doctest counts the cases out of the range as passed
    MLDTEST_REQUIRE_CUDA=1 OMP_NUM_THREADS=$pieces ours "$bin/test_$2" ${3:+--first="$3" --last="$4"} > "$results/test_$1.log" 2>&1 &
    jobs+=($!)
  }
  rm -f "$results"/test_*.log
  pieces=$((($(nproc) + 3) / 4))
  cases=$(ours "$bin/test_mld" --count 2> /dev/null | grep -aoE '[0-9]+$' | tail -n 1)
  for ((piece = 0; piece < pieces; ++piece)); do
    run_tests "mld_$piece" mld $((piece * cases / pieces + 1)) $(((piece + 1) * cases / pieces))
  done
  for room in engine nn; do run_tests "$room" "$room"; done
  for job in "${jobs[@]}"; do wait "$job" || status=1; done
  for log in "$results"/test_*.log; do
    echo "== $(basename "$log" .log)"
    grep -aE 'TEST CASE:|ERROR|tests:' "$log" | head -n 20 || true
    tail -n 3 "$log"
  done
  return "$status"
}

# Our own times, of each precision.
speed() {
  local p lines status=0
  rm -f "$results/speed.jsonl"
  for p in tf32 fp32 bf16; do
    lines="info"
    if emulated; then
      lines+=$'\ncopy-1 1\ngemm-64 1\ntrain-score-16 1'
      [ "$p" != tf32 ] || lines+=$'\ngenerate-16-4 1'
    else
      lines+=$'\ncopy-2048 20\ngemm-8192 20\ntrain-score-512 500\nproducts-512 500'
      [ "$p" != tf32 ] ||
        lines+=$'\ntrain-score-256 500\ntrain-score-mhd 200\ntrain-score-polymnist 50\ntrain-svhn 100\ntrain-mnist 100\ntrain-polymnist 100\ntrain-sound 100\ngenerate-512-5000 100'
    fi
    echo "$lines" | ours "$bin/bench_steps" --device cuda --precision "$p" >> "$results/speed.jsonl" || status=1
  done
  "$python" tools/bench/gpu_tables.py steps "$results/speed.jsonl"
  lines=$'info\ntrain-svhn 100\ntrain-mnist 100'
  ! emulated || lines=$'info\ngemm-64 1'
  echo "$lines" | MLD_CONV=gemm ours "$bin/bench_steps" --device cuda --precision tf32 > "$results/speed_gemm.jsonl" || status=1
  echo "Convolutions as products of patches:"
  "$python" tools/bench/gpu_tables.py steps "$results/speed_gemm.jsonl"
  return "$status"
}

# Name and time of every kernel in two steps that are not replayed.
kernels() {
  local ncu net=512 nodes status=0
  ncu=$(command -v ncu || compgen -G '/usr/local/cuda*/bin/ncu' | head -n 1 || compgen -G '/opt/nvidia/nsight-compute/*/ncu' |
    tail -n 1) || { echo "ncu is nowhere"; return 77; }
  emulated && net=16
  nodes=$("$python" tools/bench/gpu_tables.py nodes "$results/speed.jsonl" "train-score-$net" 2> /dev/null || echo 200)
  # Ten steps warm up. The libraries launch some kernels beside those counted, so three steps' worth holds two whole
  # ones, told by the kernel that begins a step.
  echo "train-score-$net 8" | MLD_NO_GRAPH=1 ours "$ncu" --clock-control none --cache-control none \
    --metrics gpu__time_duration.sum --csv \
    --launch-skip $((10 * nodes)) --launch-count $((3 * nodes + nodes / 2)) \
    "$bin/bench_steps" --device cuda --precision "$precision" > "$results/kernels.csv" 2> "$results/kernels.err" ||
    status=$?
  if [ "$status" -ne 0 ]; then
    tail -n 5 "$results/kernels.csv" "$results/kernels.err"
    if grep -qE 'LibraryNotLoaded|ERR_NVGPUCTRPERM|not supported' "$results/kernels.csv" "$results/kernels.err"; then
      echo "ncu does not profile on this machine"
      return 77
    fi
  fi
  "$python" tools/bench/gpu_tables.py kernels "$results/kernels.csv" KeepBuffer
  return "$status"
}

# Every kernel of ours at least once: drivers, operators with their gradients, and a recorded step.
suite='drivers:*,convolutions by patches*,gradients agree*,a captured step equals*,replays allocate*'

sanitizer() {  # sanitizer TOOL
  local program help status=0 filter=()
  if emulated; then  # the emulation's way of looking for missing barriers
    MLDTEST_REQUIRE_CUDA=1 MLDTEST_EMULATION_ORDER=reverse ours "$bin/test_engine" "-tc=$suite"
    return
  fi
  program=$(command -v compute-sanitizer || compgen -G '/usr/local/cuda*/bin/compute-sanitizer' | head -n 1 ||
    compgen -G '/usr/local/cuda*/compute-sanitizer/compute-sanitizer' | head -n 1) ||
    { echo "compute-sanitizer is nowhere"; return 77; }
  # Libraries' kernels are not ours to check, and slow.
  help=$("$program" --help || true)
  case $help in
    *--kernel-regex*) filter=(--kernel-regex kns=mld) ;;
    *--kernel-name*) filter=(--kernel-name kns=mld) ;;
  esac
  MLDTEST_REQUIRE_CUDA=1 ours "$program" --tool "$1" "${filter[@]}" --report-api-errors no --error-exitcode 9 \
    "$bin/test_engine" "-tc=$suite" || status=$?
  if [ "$status" -ne 0 ] && grep -aq 'Device not supported' "$results"/*"$1".log; then
    echo "compute-sanitizer does not support this machine's device"
    return 77
  fi
  return "$status"
}

# compare LOG ROUNDS ARGUMENTS...: the table goes to a Markdown file of that name; cut short, it holds what there is.
compare() {
  local log=$1 rounds=$2 small=()
  shift 2
  if emulated; then
    small=(--peer-device cpu --rounds 1 --threads 1 --gemm gemm-64 --copy copy-1
      --cases "train-score-16,sample-16-4,generate-16-4")
  fi
  "$python" -c 'import torch' || { echo "$python has no torch"; return 77; }
  ours "$python" tools/bench/compare_torch.py "$bin/bench_steps" --device cuda --precision "$precision" \
    --rounds "$rounds" "$@" "${small[@]}" 2> "$results/$log.err" | (trap '' TERM && exec tee "$results/$log.md")
}

peers() {  # eager, and as CUDA graphs
  arguments=(--peer "$python")
  emulated || arguments+=(--peer "$python --graph")
}

against_eager_and_graphs() {
  peers
  compare bench 7 "${arguments[@]}"
}

three_cases() {
  peers
  compare three 3 "${arguments[@]}" --cases train-score-512,train-score-mhd,generate-512-5000
}

against_compiled() {
  local arguments=(--peer "$python --compile --graph" --peer "$python --compile reduce-overhead")
  ! emulated || arguments=(--peer "$python --compile")
  compare compile 7 "${arguments[@]}" \
    --cases train-score-512,train-score-mhd,train-score-polymnist,train-svhn,generate-512-5000
}

autotuned() {
  ! emulated || { echo "needs a GPU"; return 77; }
  compare autotune 7 --peer "$python --compile max-autotune-no-cudagraphs --graph" \
    --cases train-score-polymnist,train-svhn
}

# The digits preset in a precision: how long it trains, and how coherent it is.
digits() {  # digits PRECISION
  local p=$1 run=$build/digits/$1 start evaluate=(--samples 1000) small=() make=()
  if emulated; then
    make=(--train 64 --test 32)
    small=(--set stage1.batch=4 --set stage1.steps=2 --set modalities.sound.stage1.steps=2 --set score.batch=8
      --set classifier_training.batch=4 --set classifier_training.steps=2 --set score.steps=2
      --set sampler.chunk=8 --set sampler.steps=2)
    evaluate=(--samples 8)
  fi
  rm -rf "$run"
  mkdir -p "$run"
  ours "$bin/mldctl" data make digits --out "$run/store" "${make[@]}"
  start=$SECONDS
  ours "$bin/mldctl" train --preset digits --data "$run/store" --out "$run/run" --device cuda --precision "$p" \
    "${small[@]}"
  echo "* digits, $p: trained in $((SECONDS - start)) s"
  ours "$bin/mldctl" eval "$run/run" "${evaluate[@]}" --device cuda --precision "$p"
  cp "$run/run/evaluation.json" "$results/digits-$p.json"
}

paper() {
  MLD_PAPER_STATE=$paper_state MLD_GPU_OUT=$out MLDCTL=$bin/mldctl MLD_PRECISION=$precision \
    ours tools/paper_slice.sh run "$paper_minutes"
}

# ---- parts

quick_part() {
  step probe 20 probe
  case $step_status in
    3) echo "gpu_check: the programs do not run here; the part build makes them on this machine" >&2 && return ;;
    4) echo "gpu_check: there is no GPU here that can be used; nothing more to see" >&2 && return ;;
  esac
  step doctor 30 doctor
  step tests 110 tests
  step speed 45 speed
  step kernels 45 kernels
  step memcheck 50 sanitizer memcheck
}

second_part() {
  step doctor_again 20 ours "$bin/mldctl" doctor
  step against_pytorch 90 three_cases
  step racecheck 50 sanitizer racecheck
  step digits_fp32 40 digits fp32
  step digits_tf32 40 digits tf32
}

paper_part() {
  step paper $((paper_minutes * 60 + 120)) paper
}

test_part() {
  step tests 500 tests
  step doctor 60 doctor
}

sanitize_part() {
  step memcheck 250 sanitizer memcheck
  step racecheck 250 sanitizer racecheck
}

bench_part() { step bench 500 against_eager_and_graphs; }
compile_part() { step compile 500 against_compiled; }
autotune_part() { step autotune 500 autotuned; }

digits_part() {
  local p
  for p in fp32 tf32 bf16; do step "digits_$p" 170 digits "$p"; done
}

# nvcc, cuDNN and cuBLAS: of the toolkit, or of Python's packages, whose libraries have no names for the linker; they
# get links in $build/cuda_libs.
find_compiler() {
  local nvcc toolkit packages name file
  packages=$(python_packages)
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
  for name in cudart cublasLt cublas nvrtc; do
    compgen -G "$toolkit/lib*/lib$name.so" > /dev/null && continue
    file=$(compgen -G "$packages/*/lib/lib$name.so.*" | head -n 1) || fail "lib$name is nowhere"
    ln -sf "$file" "$build/cuda_libs/$(basename "$file")"
    ln -sf "$file" "$build/cuda_libs/lib$name.so"
    [ "$name" != cublasLt ] || ln -sf "$(dirname "$(dirname "$file")")"/include/cublas*.h "$build/cuda_libs/include"
  done
  export CPATH=${CPATH:+$CPATH:}$PWD/$build/cuda_libs/include  # of the package no more than these: the rest is nvcc's
  export CMAKE_LIBRARY_PATH=$PWD/$build/cuda_libs
}

build_here() {
  [ -e "$deps/headers.tar.gz" ] || fail "$deps is not there: run 'tools/gpu_check.sh pack' and bring the folder along"
  mkdir -p "$build/headers"
  tar -C "$build/headers" -xzf "$deps/headers.tar.gz"
  emulated || find_compiler
  # Programs that stand alone: the zlib that came along is no shared library, nor for one.
  compile "$build" "${gpu_arch:-native}" "$build/bin" -DBUILD_SHARED_LIBS=OFF \
    -DCMAKE_PREFIX_PATH="$(realpath "$build/headers/usr")"
}

build_part() { step build 540 build_here; }

# ---- the call

parts=("$@")
[ ${#parts[@]} -gt 0 ] || fail "name the parts to run; the head of this script lists them"
if [ "$1" = pack ]; then
  pack
  exit
fi
for part in "${parts[@]}"; do
  declare -F "${part}_part" > /dev/null || fail "no part is called $part"
done
mkdir -p "$results"
printf '| step | | time |\n|---|---|---|\n' > "$results/steps.md"
set -m  # every step is a group of processes that ends as one
failed=()
for part in "${parts[@]}"; do
  echo "== $part"
  start=$SECONDS
  [ "$part" = build ] || find_programs
  "${part}_part"
  echo "== $part: $((SECONDS - start)) s"
done
cat "$results/steps.md"
grep -ah '^\* ' "$results"/*.log || true
echo "gpu_check: $out/gpu_check.tar.gz, $(du -k "$out/gpu_check.tar.gz" | cut -f1) KiB"
[ ${#failed[@]} -eq 0 ] || fail "failed: ${failed[*]}"
