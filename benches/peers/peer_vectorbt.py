"""vectorbt: the whole run as arrays. usage: peer_vectorbt.py FILE FAST SLOW"""

import json
import sys
import time

import numpy as np
import pandas as pd
import talib
import vectorbt as vbt


def run(bars, fast, slow):
    quick, steady = talib.EMA(bars["close"].values, fast), talib.EMA(bars["close"].values, slow)
    warm = ~np.isnan(quick) & ~np.isnan(steady)
    side = np.where(warm, np.sign(quick - steady), 0.0)
    first = int(np.argmax(warm))
    # From the first crossing on; equal averages leave the side as it was.
    side = pd.Series(side).replace(0.0, np.nan).ffill().fillna(0.0).to_numpy(copy=True)
    crossed = np.flatnonzero(side[first:] != side[first])
    side[: first + (crossed[0] if len(crossed) else len(side))] = 0.0
    target = np.concatenate(([0.0], side[:-1]))
    size = np.diff(np.concatenate(([0.0], target)))
    size[size == 0.0] = np.nan
    return vbt.Portfolio.from_orders(
        bars["close"], size=size, price=bars["open"], fees=0.0005, init_cash=1e9, freq="1min", direction="both"
    )


bars = pd.read_csv(sys.argv[1])
fast, slow = int(sys.argv[2]), int(sys.argv[3])
run(bars.head(2_000), fast, slow).final_value()  # Compiles.
best, final, orders, fees = None, None, None, None
for _ in range(3):
    began = time.perf_counter()
    portfolio = run(bars, fast, slow)
    final = portfolio.final_value()
    seconds = time.perf_counter() - began
    best = seconds if best is None else min(best, seconds)
orders = portfolio.orders.count()
fees = float(portfolio.orders.records["fees"].sum())
print(json.dumps({"bars": len(bars), "orders": int(orders), "fees": fees, "net_pnl": float(final) - 1e9, "seconds": best}))
