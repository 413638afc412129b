# shellcheck shell=bash
# Sourced by the other scripts, and by whoever calls cargo by hand: where cargo is, where build outputs live, how they are
# linked and where the native parts of the model are. Understood by every POSIX shell.

if ! command -v cargo >/dev/null 2>&1 && [ -x "${CARGO_HOME:-${HOME:-/root}/.cargo}/bin/cargo" ]; then
  export PATH="${CARGO_HOME:-${HOME:-/root}/.cargo}/bin:$PATH"
fi

# Everything that is built or downloaded is shared by all checkouts of this user, so that a second clone builds in seconds.
levibot_cache="${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/levibot"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$levibot_cache/target}"

# mold links faster where the compiler knows it (gcc 12.1 and later, clang).
if [ -z "${RUSTFLAGS:-}" ] && command -v mold >/dev/null 2>&1 && cc -fuse-ld=mold -Wl,--version >/dev/null 2>&1; then
  export RUSTFLAGS="-C link-arg=-fuse-ld=mold"
fi

# Native parts of the model, put there by scripts/setup.sh. What the user has set is preferred; the file .complete is
# written last. The versions are those in scripts/native.lock.
levibot_libtorch="$levibot_cache/libtorch-2.13.0"
levibot_cmake="$levibot_cache/cmake-4.4.4"
# shellcheck disable=SC2034 # read by native.sh and test.sh
levibot_python="$levibot_cache/python"
case "${LIBTORCH:-}" in
  "" | "$levibot_cache"/*) [ ! -e "$levibot_libtorch/.complete" ] || export LIBTORCH="$levibot_libtorch" ;;
esac
case "${CMAKE:-}" in
  "" | "$levibot_cache"/*) [ ! -e "$levibot_cmake/.complete" ] || export CMAKE="$levibot_cmake/bin/cmake" ;;
esac
