#!/usr/bin/env bash
# Installs the library into a scratch prefix, compiles every installed header on its own, and builds and runs the
# programs of examples/ against it. `check_install.sh package BUILD PREFIX` does the part that any build can be asked
# for: it installs BUILD below PREFIX, looks for paths of this machine, and builds and runs one program.
set -euo pipefail
cd "$(dirname "$0")/.."

# Builds a program of examples/ against what is installed below $2, in the folder $3.
example() {
  cmake -S "examples/$1" -B "$3" -G Ninja -DCMAKE_PREFIX_PATH="$2" -DCMAKE_BUILD_TYPE=Release
  cmake --build "$3"
}

package() {  # package BUILD PREFIX
  rm -rf "$2"
  cmake --install "$1" --prefix "$2" > /dev/null
  # What the targets need is looked for where they are used: their files name no folder but their own.
  if grep -rnE '[";>]/[^"]' "$2"/lib*/cmake/mld "$2"/lib/*/cmake/mld --include='mldTargets*.cmake' 2> /dev/null; then
    echo "check_install: an installed target names a path of this machine" >&2
    exit 1
  fi
  example embed_engine "$2" "$2/embed_engine"
  "$2/embed_engine/embed_engine"
}

compile_headers() {  # compile_headers INCLUDE: as C++20, with no help from another header
  if grep -rnE '#include <(cuda|cub|cudnn)' "$1"; then
    echo "check_install: headers that need the CUDA toolkit, though the build has no CUDA" >&2
    exit 1
  fi
  (cd "$1" && find . -name '*.h') | sed 's|^\./||' | xargs -P "$(nproc)" -I{} sh -c \
    'echo "#include \"{}\"" | "${CXX:-c++}" -std=c++20 -Wall -Werror -fsyntax-only -x c++ -I "$0" - || exit 255' "$1"
}

if [ "${1:-}" = package ]; then
  package "$2" "$PWD/$3"
  exit
fi
prefix=$PWD/build/prefix
package build/demo "$prefix"
compile_headers "$prefix/include/mld"
build/demo/tools/mldctl export demo/quick/run demo/quick/model.safetensors
example embed_sampler "$prefix" build/embed_sampler
build/embed_sampler/embed_sampler demo/quick/model.safetensors
