# shellcheck shell=bash
# Sourced by the other scripts: where cargo is, where build outputs live and how they are linked.

if ! command -v cargo >/dev/null 2>&1 && [ -x "${CARGO_HOME:-${HOME:-/root}/.cargo}/bin/cargo" ]; then
  export PATH="${CARGO_HOME:-${HOME:-/root}/.cargo}/bin:$PATH"
fi

# The target folder is shared by every checkout of this user, so that a second clone builds in seconds.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/levibot/target}"

# mold links faster where the compiler knows it (gcc 12.1 and later, clang).
if [ -z "${RUSTFLAGS:-}" ] && command -v mold >/dev/null 2>&1 && cc -fuse-ld=mold -Wl,--version >/dev/null 2>&1; then
  export RUSTFLAGS="-C link-arg=-fuse-ld=mold"
fi
