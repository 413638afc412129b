#!/usr/bin/env bash
# Builds levibot and the model program beside it, and runs levibot, from any folder. Paths in arguments are relative to the repository.
#
# usage: scripts/run.sh [OPTIONS OF levibot run...]        starts the daemon
#        scripts/run.sh SUBCOMMAND [ARGS...]               any other command: status, audit, halt, ...
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh
# shellcheck source=scripts/env.sh
. scripts/env.sh
cargo build --release --locked --workspace --bins

levibot="$CARGO_TARGET_DIR/release/levibot"
case "${1-}" in
  "" | -*) exec "$levibot" run "$@" ;;
  *) exec "$levibot" "$@" ;;
esac
