# Sourced by run and full: step NAME COMMAND... runs it; what took how long is printed at the end, or when one fails.
# The builds differ in few sources, so a compiler cache of this repository's own serves most of the later ones, and
# those of a copy of the repository.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/deps.sh

install_packages ccache
export CMAKE_CXX_COMPILER_LAUNCHER=ccache CCACHE_DIR=$PWD/build/ccache CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1

times="" running=""
step() {
  running=$1
  local start=$SECONDS
  shift
  echo "== $running"
  "$@"
  times+=$(printf '%-10s %5d s' "$running" $((SECONDS - start)))$'\n'
  running=""
}
trap 'printf "\n%s%s" "$times" "${running:+$running FAILED$'\''\n'\''}"' EXIT
