#!/usr/bin/env bash
# Builds all fuzz targets with clang, AddressSanitizer and UndefinedBehaviorSanitizer, and runs each for some seconds,
# one after the other, on its seeds and on what earlier runs found. One line of results each; exit code 1 if a target
# found an error: the input that shows it is named, and `fuzz_NAME INPUT` repeats it.
#
#   tests/fuzz/run.sh [SECONDS_EACH [BUILD_FOLDER]]      60 and build/fuzz
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-60} build=${2:-build/fuzz}

cmake -S . -B "$build" -G Ninja -DCMAKE_CXX_COMPILER="${CXX:-clang++}" -DMLD_FUZZ=ON -DMLD_TESTS=OFF -DMLD_TOOLS=OFF \
  -DMLD_ARCH=x86-64-v3
cmake --build "$build" --target fuzz

status=0
for seeds in tests/fuzz/corpus/*/; do
  name=$(basename "$seeds")
  corpus=$build/corpus/$name log=$build/$name.log
  mkdir -p "$corpus" "$build/found"
  if ! "$build/tests/fuzz/fuzz_$name" -max_total_time="$seconds" -timeout=120 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$build/found/$name-" "$corpus" "$seeds" >"$log" 2>&1; then
    echo "$name: found an error, see $log"
    grep -h 'ERROR\|runtime error\|SUMMARY\|Test unit written' "$log" || tail -n 5 "$log"
    status=1
    continue
  fi
  awk -v name="$name" '
    $3 == "cov:" { coverage = $4; features = $6 }
    /number_of_executed_units/ { runs = $2 }
    /average_exec_per_sec/ { rate = $2 }
    END { printf "%-13s %9d runs  %6d/s  %5d edges  %6d features  no finding\n", name, runs, rate, coverage, features }
  ' "$log"
done
exit $status
