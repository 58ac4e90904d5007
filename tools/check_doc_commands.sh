#!/usr/bin/env bash
# Runs what README.md and CONTRIBUTING.md tell the reader to type, as committed, in a copy of the repository: each
# document's ```sh blocks one after another in one shell, which ends at the first command that fails and names its line.
# A comment on the line before a block changes that:
#   <!-- runs as: COMMAND -->            a shorter form of the block runs in its place
#   <!-- runs with: NAME=VALUE... -->    the block runs as it is, with these variables
#   <!-- not run: WHY -->                it does not run, which is said here
# Fences must name their language, so that no commands hide in one without.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git clone -q . "$work/tree"

# A program with the commands of the document FILE in the lines where they stand there.
program() {
  awk -v quote="'" -v skipped="$work/skipped" '
    function quoted(text) { gsub(quote, quote "\\" quote quote, text); return quote text quote }
    FNR == 1 {
      printf "set -Eeuo pipefail; trap " quoted("echo \"" FILENAME ":$LINENO: failed: $BASH_COMMAND\" >&2") " ERR;"
    }
    /^```/ && fence == "" {
      fence = substr($0, 4)
      if (fence == "") { print "echo " quoted(FILENAME ":" FNR ": the fence names no language") " >&2; exit 1"; next }
      commands = fence == "sh" || fence == "bash"
      how = rest = ""
      if (match(before, /^<!-- (runs as|runs with|not run): .* -->$/)) {
        how = substr(before, 6, index(before, ":") - 6)
        rest = substr(before, index(before, ":") + 2)
        sub(/ -->$/, "", rest)
      }
      if (commands && how == "not run") print FILENAME ":" FNR ": " rest >> skipped
      if (commands && how == "runs as") print "echo " quoted("-- " FILENAME ":" FNR) "; " rest
      else if (commands && how == "runs with") print "echo " quoted("-- " FILENAME ":" FNR) "; export " rest
      else if (commands && how == "") print "echo " quoted("-- " FILENAME ":" FNR)
      else print ""
      next
    }
    /^```$/ {
      print how == "runs with" ? "unset " names(rest) : ""
      fence = how = ""
      before = ""
      next
    }
    { before = $0; print fence != "" && commands && (how == "" || how == "runs with") ? $0 : "" }

    function names(assignments) { gsub(/=[^ ]*/, "", assignments); return assignments }
  ' "$1"
}

: > "$work/skipped"
cd "$work/tree"
export CCACHE_BASEDIR=$PWD  # a cache knows files by their places in the repository
for document in README.md CONTRIBUTING.md; do
  program "$document" > "$work/program"
  bash "$work/program" || { echo "check_doc_commands: $document failed" >&2; exit 1; }
done
echo "== not run"
cat "$work/skipped"
echo "check_doc_commands: all others passed"
