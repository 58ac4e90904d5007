#!/usr/bin/env bash
# No function has more than 60 lines, no class more than 250, from the line of its name to its closing brace. Where
# blocks begin and end is read off the indentation, which tools/check_format.sh makes sure of: ctags would leave out a
# function here and there.
set -euo pipefail
cd "$(dirname "$0")/.."

find engine nn data mld tools -name '*.h' -o -name '*.cpp' | LC_ALL=C sort | xargs awk '
  FNR == 1 { raw = 0; split("", head); split("", from) }
  raw { raw = !/\)[a-z]*"/; next }
  { raw = /R"[a-z]*\(/ && !/R"[a-z]*\(.*\)[a-z]*"/ }
  /^ *$/ || /^ *\/\// || /^#/ { next }
  { match($0, /^ */); indent = RLENGTH }
  /^ *}$/ || /^ *} catch/ { report("function", 60) }
  /^ *};$/ && head[indent] ~ /\) \{$/ { report("function", 60) }  # a lambda with a name
  /^ *};$/ && head[indent] ~ /^ *(class|struct|union) / { report("class", 250) }
  !/^ *}/ { head[indent] = $0; from[indent] = FNR }

  function report(what, limit,    size, name) {
    size = FNR - from[indent] + 1
    if (size <= limit) return
    name = head[indent]
    gsub(/^ *| *\{$/, "", name)
    print FILENAME ":" from[indent] ": a " what " of " size " lines, " limit " are allowed: " name
    failed = 1
  }
  END { exit failed }
' || { echo "check_sizes: split what is named above" >&2; exit 1; }
