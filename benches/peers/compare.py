#!/usr/bin/env python3
"""How fast levibot's backtests are beside other people's, in one run, over the same bars, on one core.

The rule is that of reference.py: an EMA cross, always in the market, one unit, 5 basis points a side. Each peer gets a virtual
environment of its own, made from PyPI on the first run. Peers take turns, `--rounds` times; the fastest round of each counts.
What a peer is given before its clock starts (bars in memory) is never timed, for levibot neither.

usage: python3 benches/peers/compare.py [--bars 1000000] [--rounds 3] [--peers vectorbt,...] [--json FILE]
                                        [--levibot target/release/levibot]
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import bars
import reference

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# Name, what is installed, the script, and the bars that it gets at most: some take minutes for a million.
PEERS = {
    "vectorbt": (["vectorbt==1.2.0", "TA-Lib==0.8.2"], "peer_vectorbt.py", 1_000_000),
    "backtesting.py": (["backtesting==0.6.6", "TA-Lib==0.8.2"], "peer_backtesting.py", 200_000),
    "nautilus_trader": (["nautilus_trader==1.221.0", "TA-Lib==0.8.2"], "peer_nautilus.py", 100_000),
    "freqtrade": (["freqtrade==2026.9"], "peer_freqtrade.py", 100_000),
}
CASES = [(50, 200), (10, 20)]
# These follow the rule to the letter, so their results are held against the reference, to the cent.
EXACT = {"levibot", "vectorbt", "backtesting.py"}
ONE_CORE = {name: "1" for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")}


def cache():
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "levibot" / "peers"


def environment(name, wanted):
    """The Python of a peer; made where it is not there. A half-made one has no `.complete` and is made again."""
    folder = cache() / name
    python, complete = folder / "bin" / "python", folder / ".complete"
    if complete.exists() and complete.read_text().split() == wanted:
        return python
    print(f"installing {' '.join(wanted)} into {folder}", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)
    complete.write_text(" ".join(wanted))
    return python


def one_core(command):
    """The command on one core, where the system can hold it there."""
    pinned = ["taskset", "-c", str(min(os.sched_getaffinity(0)))] if hasattr(os, "sched_getaffinity") else []
    done = subprocess.run([*pinned, *map(str, command)], env={**os.environ, **ONE_CORE}, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout[done.stdout.find("{"):])


def levibot(binary, path, fast, slow):
    policy = ROOT / "policies" / "strategies" / "ema_cross.yaml"
    return one_core([binary, "backtest", "--data", path, "--policy", policy, "--set", f"fast={fast}", "--set",
                     f"slow={slow}", "--threads", "1", "--json"])


def market(count):
    """The bars as a file named like a symbol, made once."""
    path = cache() / f"bars-{count}" / "BTCUSDT.csv"
    if not path.exists():
        print(f"making {count} bars", file=sys.stderr)
        path.parent.mkdir(parents=True, exist_ok=True)
        bars.write(path.with_suffix(".part"), count)
        path.with_suffix(".part").rename(path)
    return path


def contestants(args):
    """(name, bars, function of (path, fast, slow)) of everybody who runs."""
    yield "levibot", args.bars, lambda path, fast, slow: levibot(args.levibot, path, fast, slow)
    for name in args.peers:
        wanted, script, most = PEERS[name]
        python = environment(name, wanted)
        run = lambda path, fast, slow, python=python, script=script: one_core([python, HERE / script, path, fast, slow])
        yield name, min(args.bars, most), run


def verdict(name, figures, wanted):
    """Whether a result is the reference's, to the cent."""
    if name not in EXACT:
        return "another rule"
    off = [abs(figures[key] - wanted[key]) for key in ("net_pnl",)]
    return "to the cent" if max(off) < 0.005 else f"OFF BY {max(off):.2f}"


def measure(args):
    rows = []
    everybody = list(contestants(args))
    for fast, slow in CASES:
        best = {}
        for _ in range(args.rounds):
            for name, count, run in everybody:
                figures = run(market(count), fast, slow)
                if name not in best or figures["seconds"] < best[name]["seconds"]:
                    best[name] = figures
        for name, count, _ in everybody:
            wanted, _ = reference.run(market(count), fast, slow)
            figures = best[name]
            rows.append({
                "case": f"{fast}/{slow}", "peer": name, "bars": count, "seconds": figures["seconds"],
                "bars_per_second": count / figures["seconds"], "result": verdict(name, figures, wanted),
            })
    for row in rows:
        ours = next(r for r in rows if r["case"] == row["case"] and r["peer"] == "levibot")
        row["levibot_is_faster_by"] = ours["bars_per_second"] / row["bars_per_second"]
    return rows


def show(rows):
    print(f"{'EMA':>7}  {'':<16}{'bars':>10}{'seconds':>10}{'bars/s':>14}{'levibot is':>13}  result")
    for row in rows:
        times = f"{row['levibot_is_faster_by']:,.1f} x" if row["peer"] != "levibot" else ""
        print(f"{row['case']:>7}  {row['peer']:<16}{row['bars']:>10,}{row['seconds']:>10.3f}{row['bars_per_second']:>14,.0f}"
              f"{times:>13}  {row['result']}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bars", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", type=lambda text: [p for p in text.split(",") if p], default=list(PEERS))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--levibot", type=Path, default=ROOT / "target" / "release" / "levibot")
    args = parser.parse_args()
    unknown = [name for name in args.peers if name not in PEERS]
    if unknown:
        parser.error(f"no such peer: {', '.join(unknown)}; there are {', '.join(PEERS)}")
    if not args.levibot.exists():
        parser.error(f"{args.levibot} is not there: build it with `cargo build --release`, or name it with --levibot")
    rows = measure(args)
    show(rows)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2) + "\n")
    sys.exit(any(row["result"].startswith("OFF") for row in rows))


if __name__ == "__main__":
    main()
