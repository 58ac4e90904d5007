#!/usr/bin/env bash
# Comments may only cite what is in the repository. Prints file:line of every comment of a tracked source that
# names a Markdown file, or a header or source by a path, that is not there, or docs/method.md without a
# section that exists ("docs/method.md section 10.4", on one line); then exits 1.
set -euo pipefail
cd "$(dirname "$0")/.."
method=docs/method.md
sources=('*.h' '*.cpp' '*.c' '*.cu' '*.cuh' '*.in' '*.py' '*.sh' '*.cmake' '*CMakeLists.txt' .ci)
bad=0

report() { # place, what is wrong
  echo "$1: $2"
  bad=1
}

declare -A tracked
while read -r file; do tracked[$file]=1; done < <(git ls-files)

# Whether a name, as it stands in file $2, is that of a file: from the root, docs/, tests/ or the file's folder.
exists() {
  [[ ${tracked[$1]:-}${tracked[docs/$1]:-}${tracked[tests/$1]:-}${tracked[${2%/*}/$1]:-} ]]
}

# What of a line is a comment. In Python also texts, as documentation strings are.
comment() { # file, line
  case $1 in
    *.h | *.cpp | *.c | *.cu | *.cuh | *.in) [[ $2 == *//* ]] && echo "//${2#*//}" ;;
    *.py) echo "$2" ;;
    *) [[ $2 =~ (^|[[:space:]])#.* ]] && echo "${BASH_REMATCH[0]}" ;;
  esac
  return 0
}

while IFS=: read -r file number line; do
  place=$file:$number text=$(comment "$file" "$line")
  # A string of a C++ source cites the documentation for users.
  [[ $text ]] || text=$(grep -oE 'docs/[A-Za-z0-9_./-]+\.md[^"]*' <<< "$line" || true)
  while read -r name; do
    [[ -z $name || $name == docs/results/* ]] && continue
    exists "$name" "$file" || report "$place" "cites $name, which is not in the repository"
  done < <(grep -oE '[A-Za-z0-9_./-]+\.md\b|[A-Za-z0-9_.-]+/[A-Za-z0-9_./-]+\.(h|cpp|cuh|sh)\b' <<< "$text" | sort -u || true)
done < <(git grep -nIE '\.md\b|/[A-Za-z0-9_.-]+\.(h|cpp|cuh|sh)\b' -- "${sources[@]}" | grep -v '#include')

# Test names and documentation strings cite sections too, so here the whole line counts.
while IFS=: read -r file number line; do
  [[ $file == tools/check_citations.sh ]] && continue
  rest=$line
  while [[ $rest == *"$method"* ]]; do
    rest=${rest#*"$method"}
    if [[ ! $rest =~ ^" section "([0-9]+(\.[0-9]+)?) ]]; then
      report "$file:$number" "cites $method without \"section N\""
    elif ! grep -qE "^##+ ${BASH_REMATCH[1]//./\\.}\.? " "$method"; then
      report "$file:$number" "cites $method section ${BASH_REMATCH[1]}, which it does not have"
    fi
  done
done < <(git grep -nIF "$method" -- "${sources[@]}")

exit "$bad"
