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

# Native parts of the model, put there by scripts/setup.sh; what the user has set is preferred.
levibot_cache="${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/levibot"
if [ -z "${LIBTORCH:-}" ] && [ -e "$levibot_cache/libtorch-2.13.0/build-version" ]; then
  export LIBTORCH="$levibot_cache/libtorch-2.13.0"
fi
if [ -z "${CMAKE:-}" ] && [ -x "$levibot_cache/cmake-4.4.4/cmake/data/bin/cmake" ]; then
  export CMAKE="$levibot_cache/cmake-4.4.4/cmake/data/bin/cmake"
fi
if [ -n "${LIBTORCH:-}" ]; then
  export LD_LIBRARY_PATH="$LIBTORCH/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
fi
