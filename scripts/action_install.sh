#!/usr/bin/env bash
# Installs skillrunner for a step of a GitHub workflow, and tells which Python has it.
#
# The environment is kept in the runner's own tool cache, under the digest of what was installed: a
# self-hosted runner installs once. GitHub's shared cache is not used: whoever can write to it could put a
# program of theirs in place of ours, where it would run with this workflow's token.
set -euo pipefail

source="${SKILLRUNNER_SOURCE:?}"
version="${SKILLRUNNER_VERSION:-}"

found() {
  echo "python=$1" >> "$GITHUB_OUTPUT"
  install_plugins "$1"
  exit 0
}

# Plugins get a folder of their own, anew for each step. What they need besides skillrunner is named as well.
install_plugins() {
  local wanted folder
  mapfile -t wanted < <(sed 's/^[[:space:]]*//; s/[[:space:]]*$//' <<< "${SKILLRUNNER_PLUGINS:-}" | grep -v '^\(#.*\)\?$' || true)
  [ ${#wanted[@]} -eq 0 ] && return
  folder=$(mktemp -d "${RUNNER_TEMP:-/tmp}/skillrunner-plugins.XXXXXX")
  "$1" -m pip install --quiet --disable-pip-version-check --no-input --no-deps --target "$folder" -- "${wanted[@]}"
  echo "plugins=$folder" >> "$GITHUB_OUTPUT"
}

# A checkout that was set up already: nothing is fetched.
[ -z "$version" ] && [ -x "$source/.venv/bin/skillrunner" ] && found "$source/.venv/bin/python"

digest=$(cd "$source" && { echo "$version"; cat pyproject.toml constraints.txt; find runner -name '*.py' | LC_ALL=C sort | xargs cat; } |
  sha256sum | cut -c1-16)
place="${RUNNER_TOOL_CACHE:-${RUNNER_TEMP:-/tmp}}/skillrunner/$digest"
[ -x "$place/bin/skillrunner" ] && found "$place/bin/python"

what="$source"
[ -n "$version" ] && what="skillrunner==$version"
aside="$place.$$"
python3 -m venv "$aside"
uv=$(command -v uv) || {
  "$aside/bin/python" -m pip install --quiet --disable-pip-version-check uv
  uv="$aside/bin/uv"
}
"$uv" pip install --quiet --python "$aside/bin/python" --constraint "$source/constraints.txt" "$what"
# Environments cannot be moved, so the finished one is found by a link; the slower of two installers loses.
ln -sTn "$aside" "$place" 2> /dev/null || rm -rf "$aside"
[ -x "$place/bin/skillrunner" ] || { echo "::error::skillrunner could not be installed into $place" ; exit 1; }
found "$place/bin/python"
