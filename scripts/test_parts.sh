#!/usr/bin/env bash
# Installs what the tests talk to: a container engine, PostgreSQL, systemd's own checks, and nginx in front of
# git's HTTP backend. As root on Debian or Ubuntu it does so; elsewhere it says what is missing and goes on, and
# the tests that need a missing part are skipped visibly (with CI set they fail).
set -euo pipefail

declare -A packages=(
  [dockerd]=docker.io
  [nginx]=nginx-light
  [fcgiwrap]=fcgiwrap
  [initdb]=postgresql
  [systemd-analyze]=systemd
)
postgres=$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | paste -sd:) || true
missing=()
for program in "${!packages[@]}"; do
  PATH="$PATH:/usr/sbin:/sbin:$postgres" command -v "$program" >/dev/null || missing+=("${packages[$program]}")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
else
  echo "test parts that are missing here: ${missing[*]} (on Debian: sudo apt-get install ${missing[*]})" >&2
fi
