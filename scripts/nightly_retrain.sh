#!/usr/bin/env bash
# Retrains the fusion model and puts the new version into use if it is better. Made for cron; builds nothing.
#
# usage: scripts/nightly_retrain.sh [OPTIONS OF levibot-model retrain...]
#
# crontab (every night at 3):
#   0 3 * * * /path/to/levibot/scripts/nightly_retrain.sh >> /path/to/log 2>&1
#
# Without options it trains on 15-minute bars of every symbol in data/default/history (LEVIBOT_DATA names another folder)
# into models (LEVIBOT_MODELS). Paths in options are relative to the repository. Exit codes and steps: docs/nightly.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# cron gives a bare PATH and no more.
export PATH="${PATH:+$PATH:}/usr/local/bin:/usr/bin:/bin"
export LC_ALL=C.UTF-8
# shellcheck source=scripts/env.sh
. scripts/env.sh

say() { printf '%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*"; }

model="$CARGO_TARGET_DIR/release/levibot-model"
if [ ! -x "$model" ]; then
  say "nightly retrain: $model is not there; build it once: scripts/setup.sh && . scripts/env.sh && cargo build --release --workspace" >&2
  exit 2
fi

given=" $* "
# Whether an option was given, as `--name value` or `--name=value`.
has() { case "$given" in *" $1 "* | *" $1="*) return 0 ;; *) return 1 ;; esac }

options=()
data="${LEVIBOT_DATA:-data/default/history}"
has --data || options+=(--data "$data")
has --models || options+=(--models "${LEVIBOT_MODELS:-models}")
has --memory-max || options+=(--memory-max 6GiB)
if ! has --symbols; then
  if has --data; then
    say "nightly retrain: give --symbols together with --data" >&2
    exit 2
  fi
  # The symbol is the name of a price file up to its first `-` or its `.csv`.
  symbols=""
  for file in "$data"/*.csv "$data"/*.csv.gz; do
    [ -f "$file" ] || continue
    symbol=$(basename "$file")
    symbol=${symbol%%.csv*}
    symbol=${symbol%%-*}
    case ",$symbols," in *",$symbol,"*) ;; *) symbols="${symbols:+$symbols,}$symbol" ;; esac
  done
  if [ -z "$symbols" ]; then
    say "nightly retrain: $data holds no price files; run the daemon first, or set LEVIBOT_DATA" >&2
    exit 2
  fi
  options+=(--symbols "$symbols")
fi

say "nightly retrain: begins"
code=0
"$model" retrain "${options[@]}" "$@" || code=$?
say "nightly retrain: ended with code $code"
exit "$code"
