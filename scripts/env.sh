# shellcheck shell=bash
# Sourced by the other scripts: where build outputs live and how they are linked.
# The target folder is shared by every checkout of this user, so that a second clone builds in seconds.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/levibot/target}"
if [ -z "${RUSTFLAGS:-}" ] && command -v mold >/dev/null 2>&1; then
  export RUSTFLAGS="-C link-arg=-fuse-ld=mold"
fi
