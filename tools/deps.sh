#!/usr/bin/env bash
# Installs the Debian packages that building needs, if any is missing. Sourced by demo.sh and test.sh.
set -euo pipefail

mld_packages=(g++ cmake ninja-build libeigen3-dev nlohmann-json3-dev doctest-dev libcli11-dev libpng-dev
  libjpeg-dev libwebp-dev libtiff-dev libsndfile1-dev libzip-dev zlib1g-dev)

install_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  local sudo=()
  [ "$(id -u)" -eq 0 ] || sudo=(sudo)
  echo "installing: ${missing[*]}"
  "${sudo[@]}" apt-get update -q
  DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -q --no-install-recommends "${missing[@]}"
}
