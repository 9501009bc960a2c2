# Sourced by tools/quickstart and tools/test: Debian packages, and running a command with its output in a log.

# What the product needs to build, and to run the example.
build_packages=(
  g++ cmake ninja-build pkg-config
  libexpected-dev libfmt-dev libyaml-cpp-dev libsqlite3-dev libssl-dev libutf8proc-dev libxxhash-dev libcurl4-openssl-dev libpq-dev libpugixml-dev
  libmicrohttpd-dev libcctz-dev tzdata
  libcli11-dev nlohmann-json3-dev
  sqlite3
)

die() {
  printf '%s: %s\n' "$(basename "$0")" "$1" >&2
  exit 1
}

# Runs a command with its output in the file $log; if it fails, shows the end of it, says where it is, and exits.
logged() {
  if ! "$@" >>"$log" 2>&1 </dev/null; then
    printf '\nfailed: %s\n' "$*" >&2
    tail -n 20 "$log" | sed 's/^/  /' >&2
    die "the whole log is in $log"
  fi
}

# Prints which of the given packages are not installed.
missing_packages() {
  local package
  for package in "$@"; do
    dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || printf '%s\n' "$package"
  done
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  else
    sudo "$@"
  fi
}

# Installs what is missing of the given packages, and says so.
install_packages() {
  command -v dpkg-query >/dev/null || die "this is no Debian; install the equivalents of: $*"
  local missing
  mapfile -t missing < <(missing_packages "$@")
  [ ${#missing[@]} -gt 0 ] || return 0
  printf 'Installing %s Debian packages: %s\n' "${#missing[@]}" "${missing[*]}" | fold -s -w 80
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || die "installing needs root or sudo; as root: apt-get install ${missing[*]}"
    sudo -v || die "sudo was refused; as root: apt-get install ${missing[*]}"
  fi
  logged as_root apt-get update -q
  logged as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
}

# Runs a command that may install servers, without starting them: nobody asked for that.
without_starting() {
  local policy=/usr/sbin/policy-rc.d status=0
  if [ -e "$policy" ]; then
    "$@"
    return
  fi
  printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
  as_root chmod 755 "$policy"
  ("$@") || status=$?
  as_root rm -f "$policy"
  return "$status"
}

# Runs a command that may install Debian's postgresql, which would make and start a cluster of its own that nobody asked for.
without_cluster() {
  local settings=/etc/postgresql-common/createcluster.conf
  if [ -e "$settings" ] || [ -n "$(ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null)" ]; then
    "$@"
    return
  fi
  as_root mkdir -p "$(dirname "$settings")"
  printf 'create_main_cluster = false\n' | as_root tee "$settings" >/dev/null
  "$@"
  as_root cp /usr/share/postgresql-common/createcluster.conf "$settings" # its own text
}
