#!/usr/bin/env bash
# The order of the rooms (folders), lowest first. A file includes files of its own room and of lower ones; every folder
# of the library has its place here, and at most 24 sources and headers; no source or header has over 450 lines.
set -euo pipefail
cd "$(dirname "$0")/.."

rooms=(
  engine/base engine/math engine/random engine/threads engine/cuda engine/memory engine/loops engine/core engine/io
  engine/runtime engine/kernels engine/kernels/cuda engine/ops
  nn
  data data/formats data/audio data/pictures data/digits data/store data/text data/birds data/sources data/importers
  mld/config mld/diffusion/networks mld/diffusion mld/modality/networks mld/modality mld/methods/vae mld/methods mld/run mld/train mld/evaluate/choice mld/evaluate/networks
  mld/evaluate mld/evaluate/metrics mld/study/tables mld/study mld/report mld
  tools tools/bench
)

find engine nn data mld tools -name '*.h' -o -name '*.cpp' -o -name '*.cpp.in' | LC_ALL=C sort |
  xargs awk -v order="${rooms[*]}" '
  function folder(path) { return substr(path, 1, match(path, /\/[^\/]*$/) - 1) }
  function fault(place, text) { print place ": " text; failed = 1 }
  function close_file() {
    if (lines > 450) fault(file ":" lines, lines " lines, 450 are allowed")
  }

  BEGIN {
    n = split(order, names, " ")
    for (i = 1; i <= n; ++i) rank[names[i]] = i
  }
  FNR == 1 {
    close_file()
    file = FILENAME
    room = folder(file)
    if (!(room in rank)) fault(file ":1", "its room \"" room "\" has no place in the order of rooms")
    ++files[room]
  }
  { lines = FNR }
  /^ *# *include *["<]/ {
    match($0, /["<][^">]*/)
    included = substr($0, RSTART + 1, RLENGTH - 1)
    to = folder(included)
    if (/</ && included !~ /^(engine|nn|data|mld|tools)\//) next
    if (included == "cuda_emulation.h") next  # of tests/, in place of the toolkit
    if (!(to in rank))
      fault(file ":" FNR, room " includes " included ", whose room \"" to "\" has no place in the order of rooms")
    else if (room in rank && rank[to] > rank[room])
      fault(file ":" FNR, room " includes " included " of the higher room " to)
  }
  END {
    close_file()
    for (room in files)
      if (files[room] > 24 && room !~ /^tools/) fault(room, files[room] " sources and headers, 24 are allowed")
    exit failed
  }
' || { echo "check_rooms: the order of rooms and the limits stand in tools/check_rooms.sh" >&2; exit 1; }
