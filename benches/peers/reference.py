"""The rules in plain Python, to compare fills and results with: no library, one loop, exact money.

One unit; long while the fast EMA is above the slow one and short while below, from the first crossing after both are warm;
filled at the next bar's open; a fee of 5 basis points a side; marked at the last close. A turn is two executions of one unit:
what is held is closed, and the other side opened. The EMA is TA-Lib's: seeded with the mean of its first values, then
`mean += 2 / (n + 1) * (x - mean)`.

usage: reference.py FILE FAST SLOW [FILLS.csv]
"""

import csv
import json
import sys
import time
from decimal import Decimal

FEE = Decimal("0.0005")


def averages(closes, length):
    """TA-Lib's EMA; `None` until it is warm."""
    mean, out = None, []
    alpha = 2.0 / (length + 1.0)
    for at, close in enumerate(closes):
        if at + 1 < length:
            out.append(None)
        elif at + 1 == length:
            mean = sum(closes[:length]) / length
            out.append(mean)
        else:
            mean = (close - mean) * alpha + mean
            out.append(mean)
    return out


def sides(closes, fast, slow):
    """The side that is wanted at each close, `None` before the first crossing."""
    before, side, out = None, None, []
    for quick, steady in zip(averages(closes, fast), averages(closes, slow)):
        if quick is not None and steady is not None and quick != steady:
            above = 1 if quick > steady else -1
            if before is not None and above != before:
                side = above
            before = above
        out.append(side)
    return out


def run(path, fast, slow):
    with open(path, encoding="ascii") as file:
        rows = list(csv.DictReader(file))
    began = time.perf_counter()
    closes = [float(row["close"]) for row in rows]
    wanted = sides(closes, fast, slow)
    held, cash, fees, fills = 0, Decimal(0), Decimal(0), []
    for at in range(1, len(rows)):
        side = wanted[at - 1]
        if side is None or side == held:
            continue
        price = Decimal(rows[at]["open"])
        for _ in range(1 if held == 0 else 2):
            fee = price * FEE
            cash -= side * price + fee
            fees += fee
            fills.append((int(rows[at]["open_time"]), "buy" if side > 0 else "sell", price, fee))
        held = side
    equity = cash + held * Decimal(rows[-1]["close"])
    seconds = time.perf_counter() - began
    figures = {"bars": len(rows), "fills": len(fills), "fees": float(fees), "net_pnl": float(equity), "seconds": seconds}
    return figures, fills


if __name__ == "__main__":
    result, executions = run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    if len(sys.argv) > 4:
        with open(sys.argv[4], "w", encoding="ascii") as out:
            out.write("open_time,side,price,fee\n")
            out.writelines(f"{ts},{side},{price},{fee}\n" for ts, side, price, fee in executions)
    print(json.dumps(result))
