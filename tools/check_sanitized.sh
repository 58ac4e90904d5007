#!/usr/bin/env bash
# Tests under AddressSanitizer and UndefinedBehaviorSanitizer, built in build/asan. The whole suite takes long, so that
# rooms can be named.
#   tools/check_sanitized.sh             everything
#   tools/check_sanitized.sh engine nn   their tests alone
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/deps.sh

install_packages "${mld_packages[@]}"
cmake -S . -B build/asan -G Ninja -DMLD_SANITIZE=address,undefined -DMLD_ARCH=x86-64-v3
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
if [ $# -eq 0 ]; then
  cmake --build build/asan
  ctest --test-dir build/asan --output-on-failure
else
  cmake --build build/asan --target "${@/#/test_}"
  ctest --test-dir build/asan --output-on-failure -R "^($(IFS='|'; echo "$*"))$"
fi
