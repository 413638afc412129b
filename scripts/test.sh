#!/usr/bin/env bash
# Every check of the project: format, scripts, lints, rules, documentation examples and tests. Goes on after a failure
# and ends with a summary; the exit code is 1 if anything failed.
#
# usage: scripts/test.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh --dev
# shellcheck source=scripts/env.sh
. scripts/env.sh
if [ -e "$levibot_python/.complete" ]; then
  # For the tests alone: the daemon refuses variables of this name that it does not know.
  export LEVIBOT_TEST_PYTHON="$levibot_python/bin/python"
fi
export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-auto}"

have() { command -v "$1" >/dev/null 2>&1; }
summary=()
failed=0

stage() {
  local name=$1 began=$SECONDS result=ok
  shift
  printf '\n== %s: %s\n' "$name" "$*"
  "$@" || result=FAILED
  [ "$result" = ok ] || failed=1
  summary+=("$(printf '%-10s %6s s  %s' "$name" $((SECONDS - began)) "$result")")
}
skip() {
  printf '\n== %s: skipped, %s\n' "$1" "$2"
  summary+=("$(printf '%-10s %6s    skipped: %s' "$1" - "$2")")
}

stage format cargo fmt --all --check

if have shellcheck; then
  stage scripts shellcheck --external-sources scripts/*.sh .ci/run
else
  skip scripts "shellcheck is not installed"
fi

if have promtool; then
  stage rules promtool check rules ops/alerts.yml
  stage scrape promtool check config ops/prometheus.yml
else
  skip rules "promtool is not installed"
fi

# The daemon as it is shipped, and as it is tested: with engines that commit faults on request. Only the daemon's own
# package differs.
faults=(--features fault-injection)
stage lints cargo clippy --workspace --all-targets --locked -- -D warnings
stage lints cargo clippy --workspace --all-targets --locked "${faults[@]}" -- -D warnings

# Tests of the daemon start the model's program, which lies beside the daemon's.
stage programs cargo build --workspace --bins --locked

# The shipped program must not know what the tests ask of theirs.
without_faults() {
  local program=$CARGO_TARGET_DIR/debug/levibot
  grep --quiet --binary-files=text replay-record "$program" || return 1
  ! grep --quiet --binary-files=text stale_generation "$program"
}
stage shipped without_faults

# The tests come last, so that their own summary stands at the end.
if have cargo-nextest; then
  stage examples cargo test --doc --workspace --locked --quiet
  stage tests cargo nextest run --workspace --locked --no-fail-fast "${faults[@]}"
else
  stage tests cargo test --workspace --locked "${faults[@]}"
fi

printf '\n== summary\n'
printf '%s\n' "${summary[@]}"
if [ "$failed" -ne 0 ]; then
  echo "some checks failed"
  exit 1
fi
echo "all checks passed"
