#!/usr/bin/env bash
# Installs what is missing (Debian), builds, and runs all tests. The build goes to build/test.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/deps.sh

install_packages "${mld_packages[@]}"
cmake -S . -B build/test -G Ninja -DCMAKE_BUILD_TYPE=Release
cmake --build build/test
ctest --test-dir build/test -j 2 --output-on-failure
