#!/usr/bin/env bash
# tools/check_rooms.sh accepts the tree and names each fault that is planted in a copy of it.
#   rooms_test.sh REPOSITORY
set -euo pipefail

cd "$1"
tools/check_rooms.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r engine nn data mld tools "$work"
cd "$work"

fail() {
  echo "rooms_test: $*" >&2
  exit 1
}
names() {  # names LINE: the check fails, and LINE is the one fault that it names
  if tools/check_rooms.sh > out 2> err; then fail "accepted: $1"; fi
  [ "$(cat out)" = "$1" ] || fail "'$1' is not what it says: $(cat out err)"
}
lines() { wc -l < "$1"; }

tools/check_rooms.sh

cp nn/layers.h saved
echo '#include "mld/config/config.h"' >> nn/layers.h
names "nn/layers.h:$(lines nn/layers.h): nn includes mld/config/config.h of the higher room mld/config"
cp saved nn/layers.h
echo '#  include <engine/nowhere/x.h>' >> nn/layers.h
names "nn/layers.h:$(lines nn/layers.h): nn includes engine/nowhere/x.h, whose room \"engine/nowhere\" has no place in the order of rooms"
cp saved nn/layers.h
echo '#include "layers.h"' >> nn/layers.h
names "nn/layers.h:$(lines nn/layers.h): nn includes layers.h, whose room \"\" has no place in the order of rooms"
cp saved nn/layers.h
printf '\n%.0s' $(seq 450) > nn/long.h
tools/check_rooms.sh
echo >> nn/long.h
names "nn/long.h:451: 451 lines, 450 are allowed"
rm nn/long.h

mkdir mld/attic
echo '#include "mld/mld.h"' > mld/attic/new.cpp
names 'mld/attic/new.cpp:1: its room "mld/attic" has no place in the order of rooms'
rm -r mld/attic

there=$(find data/audio -name "*.h" -o -name "*.cpp" | wc -l)
for ((i = there; i < 24; ++i)); do echo > "data/audio/new_$i.h"; done
tools/check_rooms.sh
echo > data/audio/one_more.cpp
names "data/audio: 25 sources and headers, 24 are allowed"
echo "rooms_test: passed"
