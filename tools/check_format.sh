#!/usr/bin/env bash
# All sources are formatted as .clang-format says, by clang-format 14 (Debian 12's): other versions break lines elsewhere.
# A table that a script makes is left as it is.
#   tools/check_format.sh           names what is not
#   tools/check_format.sh --mend    formats it
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/deps.sh

install_packages clang-format-14
case ${1:-} in
  '') how=(--dry-run --Werror) ;;
  --mend) how=(-i) ;;
  *) echo "usage: tools/check_format.sh [--mend]" >&2; exit 2 ;;
esac
git ls-files -z --cached --others --exclude-standard '*.h' '*.cpp' ':!mld/evaluate/networks/unicode_ranges.h' | xargs -0 clang-format-14 "${how[@]}" ||
  { echo "check_format: tools/check_format.sh --mend formats what is named above" >&2; exit 1; }
