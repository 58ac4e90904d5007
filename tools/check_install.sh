#!/usr/bin/env bash
# Installs the library into a scratch prefix and builds and runs the programs of examples/ against it.
set -euo pipefail
cd "$(dirname "$0")/.."

prefix=$PWD/build/prefix
rm -rf "$prefix"
cmake --install build/demo --prefix "$prefix" > /dev/null
for example in embed_engine embed_sampler; do
  cmake -S "examples/$example" -B "build/$example" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_BUILD_TYPE=Release
  cmake --build "build/$example"
done
build/embed_engine/embed_engine
build/demo/tools/mldctl export demo/quick/run demo/quick/model.safetensors
build/embed_sampler/embed_sampler demo/quick/model.safetensors
