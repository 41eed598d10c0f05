#!/usr/bin/env bash
# Installs the servers that the tests talk to: a container engine, and nginx in front of git's own HTTP
# backend. As root on Debian or Ubuntu it does so; elsewhere it says what is missing and goes on, and the
# tests that need a missing part are skipped visibly (with CI set they fail).
set -euo pipefail

declare -A packages=(
  [dockerd]=docker.io
  [nginx]=nginx-light
  [fcgiwrap]=fcgiwrap
)
missing=()
for program in "${!packages[@]}"; do
  PATH="$PATH:/usr/sbin:/sbin" command -v "$program" >/dev/null || missing+=("${packages[$program]}")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
else
  echo "test parts that are missing here: ${missing[*]} (on Debian: sudo apt-get install ${missing[*]})" >&2
fi
