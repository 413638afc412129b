#!/usr/bin/env bash
# Makes this machine ready to build levibot. Safe to run again: it installs only what is missing.
#
# usage: scripts/setup.sh [--dev] [--help]
#   --dev   also what the tests can use: rustfmt and clippy (needed), promtool and shellcheck (if they can be had)
#
# Needs: rust 1.95 or later, a C compiler with the C library's headers, 5 GiB for the build.
# Takes where it can: mold, a faster linker.
#
# exit codes:
#    0  ready
#    2  something is missing and this user may not install it
#    3  rust is missing, too old or lacks rustfmt or clippy
#    4  an installation failed
#    5  less than 5 GiB free where the build goes (1 GiB when it has been built there before)
#   64  unknown argument
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly RUST_MIN_MINOR=95 # of 1.x; the same as rust-version in Cargo.toml
readonly RUSTUP="curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal -c rustfmt -c clippy"

dev=no
for argument in "$@"; do
  case "$argument" in
    --dev) dev=yes ;;
    -h | --help)
      sed -n '2,/^set -/{/^#/s/^# \{0,1\}//p}' scripts/setup.sh
      exit 0
      ;;
    *)
      echo "setup: unknown argument '$argument': see scripts/setup.sh --help" >&2
      exit 64
      ;;
  esac
done

say() { printf 'setup: %s\n' "$*" >&2; }
fail() {
  local code=$1
  shift
  say "$@"
  exit "$code"
}
have() { command -v "$1" >/dev/null 2>&1; }

# --- packages ------------------------------------------------------------------------------------------------------

# How commands are run as root: nothing, sudo, or not at all.
privilege() {
  if [ "$(id -u)" -eq 0 ]; then
    echo root
  elif have sudo && sudo -n true 2>/dev/null; then
    echo sudo
  elif have sudo && [ -t 0 ] && [ "$1" = ask ]; then
    echo ask
  else
    echo none
  fi
}

as_root() {
  case "$1" in
    root) shift && env DEBIAN_FRONTEND=noninteractive "$@" ;;
    sudo) shift && sudo -n env DEBIAN_FRONTEND=noninteractive "$@" ;;
    ask) shift && sudo env DEBIAN_FRONTEND=noninteractive "$@" ;;
  esac
}

updated=no
apt_install() {
  local by=$1
  shift
  if [ "$updated" = no ]; then
    say "reading the package lists"
    as_root "$by" apt-get update -qq >&2 || say "the package lists could not be read again; trying with the old ones"
    updated=yes
  fi
  say "installing: $*"
  as_root "$by" apt-get install -y -qq --no-install-recommends "$@" >&2
}

# A C compiler that finds the C library's headers.
cc_works() { have cc && printf '#include <stdlib.h>\n' | cc -E -x c - >/dev/null 2>&1; }

install_compiler() {
  local by
  if ! have apt-get; then
    fail 2 "a C compiler (cc) with the C library's headers is missing. Install it with this system's package manager:" \
      "gcc glibc-devel (Fedora, openSUSE), gcc musl-dev (Alpine), base-devel (Arch); mold too, if there is one"
  fi
  by=$(privilege ask)
  if [ "$by" = none ]; then
    fail 2 "a C compiler is missing and this user may not install one. Run as root:" \
      "apt-get update && apt-get install -y gcc libc6-dev mold"
  fi
  apt_install "$by" gcc libc6-dev ||
    fail 4 "apt-get could not install gcc and libc6-dev (its words are above). Check the network and" \
      "/etc/apt/sources.list, then run scripts/setup.sh again"
  cc_works || fail 4 "gcc is installed, but cc does not work: run 'cc --version' to see why"
}

# Debian's package of Prometheus brings promtool, and a server that nobody asked for.
no_server() {
  if [ -d /run/systemd/system ]; then
    as_root "$1" systemctl disable --now prometheus >/dev/null 2>&1 || true
  fi
}

# Tried once: what cannot be had is not looked for at every start.
install_optional() {
  local tool=$1 package=$2 use=$3 by tried
  have "$tool" && return
  tried="$CARGO_TARGET_DIR/.setup-tried-$package"
  [ -e "$tried" ] && return
  by=$(privilege quiet)
  if ! have apt-get || [ "$by" = none ]; then
    say "note: $tool is not installed; $use (package: $package)"
    return
  fi
  if apt_install "$by" "$package"; then
    [ "$package" != prometheus ] || no_server "$by"
  else
    say "note: $package could not be installed; $use. Not tried again until $tried is deleted"
    : >"$tried"
  fi
}

# --- rust ----------------------------------------------------------------------------------------------------------

check_rust() {
  local version minor
  if ! have cargo || ! have rustc; then
    say "rust is missing: levibot needs 1.$RUST_MIN_MINOR or later. As your own user:"
    fail 3 "  $RUSTUP"
  fi
  version=$(rustc --version 2>/dev/null | cut -d' ' -f2) || true
  minor=$(printf '%s' "$version" | cut -d. -f2)
  if ! [[ "$version" =~ ^1\.[0-9]+\. ]]; then
    fail 3 "'rustc --version' does not work: run 'rustup toolchain install stable', or install rust: $RUSTUP"
  fi
  if [ "$minor" -lt "$RUST_MIN_MINOR" ]; then
    if have rustup; then
      fail 3 "rust $version is too old: levibot needs 1.$RUST_MIN_MINOR or later. Run: rustup update stable"
    fi
    say "rust $version ($(command -v rustc)) is too old: levibot needs 1.$RUST_MIN_MINOR or later."
    say "The system's own package is behind; rustup installs a newer one beside it. As your own user:"
    fail 3 "  $RUSTUP"
  fi
}

check_components() {
  local missing=()
  cargo fmt --version >/dev/null 2>&1 || missing+=(rustfmt)
  cargo clippy --version >/dev/null 2>&1 || missing+=(clippy)
  if [ "${#missing[@]}" -gt 0 ]; then
    fail 3 "rust lacks ${missing[*]}. Run: rustup component add ${missing[*]}"
  fi
}

# --- disk ----------------------------------------------------------------------------------------------------------

check_disk() {
  local needed=5 profile=release free
  [ "$dev" = no ] || profile=debug
  mkdir -p "$CARGO_TARGET_DIR" 2>/dev/null ||
    fail 2 "the build folder $CARGO_TARGET_DIR cannot be made: set CARGO_TARGET_DIR to a folder of your own"
  [ -w "$CARGO_TARGET_DIR" ] ||
    fail 2 "the build folder $CARGO_TARGET_DIR is not writable: set CARGO_TARGET_DIR to a folder of your own"
  [ ! -d "$CARGO_TARGET_DIR/$profile/deps" ] || needed=1
  free=$(df -Pk "$CARGO_TARGET_DIR" | awk 'NR == 2 { print int($4 / 1048576) }')
  if [ "$free" -lt "$needed" ]; then
    fail 5 "$free GiB are free in $CARGO_TARGET_DIR, the build needs $needed: free some or set CARGO_TARGET_DIR"
  fi
}

# shellcheck source=scripts/env.sh
. scripts/env.sh
check_rust
check_disk
cc_works || install_compiler
install_optional mold mold "links take longer"
if [ "$dev" = yes ]; then
  check_components
  install_optional promtool prometheus "the checks of metrics and alert rules are skipped"
  install_optional shellcheck shellcheck "the check of the scripts is skipped"
fi
say "ready: $(rustc --version | cut -d' ' -f1,2), $(cc --version | sed -n 1p), build in $CARGO_TARGET_DIR"
