#!/usr/bin/env bash
# Makes this machine ready to build levibot. Safe to run again: it installs only what is missing.
#
# usage: scripts/setup.sh [--dev] [--help]
#   --dev   also what the tests can use: rustfmt and clippy (needed), promtool, shellcheck and Python's LightGBM (if they
#           can be had)
#
# Needs: rust 1.95 or later, C and C++ compilers with their libraries' headers, make, libclang; 6 GiB for the build.
# For the model: libtorch 2.13.0 and CMake 3.28 or later. If they are missing they are downloaded once (0.6 GB) by python3
# with pip from the package index that pip is set up for, checked against scripts/native.lock, and kept in
# ~/.cache/levibot (XDG_CACHE_HOME). An interrupted download goes on where it stopped.
# Preferred where they are set: LIBTORCH (a folder of libtorch 2.13.0), CMAKE (a program), LIBCLANG_PATH (a folder).
# Takes where it can: mold, a faster linker.
#
# exit codes:
#    0  ready
#    2  something is missing, and this user may not install it or it does not exist for this system
#    3  rust is missing, too old or lacks rustfmt or clippy
#    4  an installation or a download failed
#    5  less than 6 GiB free where the build goes (1 GiB when it has been built there before), or less than 2 GiB where
#       the model's libraries go
#    6  LIBTORCH, CMAKE or LIBCLANG_PATH is set to something that cannot be used
#    7  a download does not have the checksum that it must have
#   64  unknown argument
#  130  interrupted
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

# Compilers that find the headers of their libraries.
cc_works() { have cc && printf '#include <stdlib.h>\n' | cc -E -x c - >/dev/null 2>&1; }
cxx_works() { have c++ && printf '#include <vector>\n' | c++ -E -x c++ - >/dev/null 2>&1; }

# What the build cannot do without and this machine lacks, by the names of Debian's packages.
missing_packages() {
  cc_works || echo gcc libc6-dev
  cxx_works || echo g++
  have make || echo make
  libclang_works >/dev/null || echo libclang-dev
  ! python_needed || python_works || echo python3 python3-pip
}

install_packages() {
  local by missing=$1
  if ! have apt-get; then
    say "missing, by the names of Debian's packages: $missing. Install them with this system's package manager:" \
      "gcc-c++ make clang-devel python3-pip (Fedora, openSUSE), base-devel clang python-pip (Arch); mold too, if there is one."
    fail 2 "Without python3: set LIBTORCH and CMAKE (scripts/setup.sh --help)"
  fi
  by=$(privilege ask)
  if [ "$by" = none ]; then
    fail 2 "missing, and this user may not install it. Run as root: apt-get update && apt-get install -y $missing mold"
  fi
  # shellcheck disable=SC2086 # a list of names
  apt_install "$by" $missing ||
    fail 4 "apt-get could not install $missing (its words are above). Check the network and" \
      "/etc/apt/sources.list, then run scripts/setup.sh again"
  missing=$(missing_packages) || exit $?
  [ -z "$missing" ] || fail 4 "installed, but not to be used: ${missing//$'\n'/ }. Try 'cc --version', 'c++ --version'," \
    "'python3 -m pip --version' (python 3.10 or later) to see why"
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

# Whole GiB that are free where this folder is.
free_gib() { df -Pk "$1" | awk 'NR == 2 { print int($4 / 1048576) }'; }

check_disk() {
  local needed=6 profile=release free
  [ "$dev" = no ] || profile=debug
  mkdir -p "$CARGO_TARGET_DIR" 2>/dev/null ||
    fail 2 "the build folder $CARGO_TARGET_DIR cannot be made: set CARGO_TARGET_DIR to a folder of your own"
  [ -w "$CARGO_TARGET_DIR" ] ||
    fail 2 "the build folder $CARGO_TARGET_DIR is not writable: set CARGO_TARGET_DIR to a folder of your own"
  ! compgen -G "$CARGO_TARGET_DIR/$profile/deps/levibot_model-*" >/dev/null || needed=1
  free=$(free_gib "$CARGO_TARGET_DIR")
  if [ "$free" -lt "$needed" ]; then
    fail 5 "$free GiB are free in $CARGO_TARGET_DIR, the build needs $needed: free some or set CARGO_TARGET_DIR"
  fi
}

# shellcheck source=scripts/native.sh
. scripts/native.sh
check_rust
check_disk
packages=$(missing_packages) || exit $?
[ -z "$packages" ] || install_packages "${packages//$'\n'/ }"
install_native
install_optional mold mold "links take longer"
if [ "$dev" = yes ]; then
  check_components
  install_optional promtool prometheus "the checks of metrics and alert rules are skipped"
  install_optional shellcheck shellcheck "the check of the scripts is skipped"
  install_test_python
fi
# What was just brought is named now.
# shellcheck source=scripts/env.sh
. scripts/env.sh
say "ready: $(rustc --version | cut -d' ' -f1,2), $(cc --version | sed -n 1p), libtorch in $LIBTORCH, build in $CARGO_TARGET_DIR"
