#!/usr/bin/env bash
# Retrains the fusion model and puts the new version into use if it is better. Made for cron; builds nothing.
#
# usage: scripts/nightly_retrain.sh [OPTIONS OF levibot-model retrain...]
#
# crontab (every night at 3):
#   0 3 * * * /path/to/levibot/scripts/nightly_retrain.sh >> /path/to/log 2>&1
#
# Without options it is for the default run: it collects the simulated market's bars into data/default/history, trains on
# every symbol there, and puts the version into models/default. For prices of your own give --data, --symbols and --models,
# and --timeframe if the bars are not of 15 minutes.
# Paths in options are relative to the repository. Exit codes and steps: docs/nightly.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# cron gives a bare PATH and no more.
export PATH="${PATH:+$PATH:}/usr/local/bin:/usr/bin:/bin"
export LC_ALL=C.UTF-8
# shellcheck source=scripts/env.sh
. scripts/env.sh

say() { printf '%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*"; }

levibot="$CARGO_TARGET_DIR/release/levibot"
model="$CARGO_TARGET_DIR/release/levibot-model"
for program in "$levibot" "$model"; do
  if [ ! -x "$program" ]; then
    say "nightly retrain: $program is not there; build it once: scripts/setup.sh && . scripts/env.sh && cargo build --release --workspace" >&2
    exit 2
  fi
done

given=" $* "
# Whether an option was given, as `--name value` or `--name=value`.
has() { case "$given" in *" $1 "* | *" $1="*) return 0 ;; *) return 1 ;; esac }

options=()
data=data/default/history
if ! has --data; then
  "$levibot" collect || exit 20
  options+=(--data "$data")
  has --config || options+=(--config config/training-quick.toml)
fi
has --models || options+=(--models models/default)
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
    say "nightly retrain: $data holds no price files" >&2
    exit 2
  fi
  options+=(--symbols "$symbols")
fi

say "nightly retrain: begins"
code=0
"$model" retrain "${options[@]}" "$@" || code=$?
say "nightly retrain: ended with code $code"
exit "$code"
