"""backtesting.py: a strategy class, bar by bar. usage: peer_backtesting.py FILE FAST SLOW"""

import json
import sys
import time
import warnings

import pandas as pd
import talib
from backtesting import Backtest, Strategy

warnings.filterwarnings("ignore")
FAST, SLOW = int(sys.argv[2]), int(sys.argv[3])


class EmaCross(Strategy):
    def init(self):
        self.quick = self.I(talib.EMA, self.data.Close, FAST)
        self.steady = self.I(talib.EMA, self.data.Close, SLOW)
        self.before = None

    def next(self):
        quick, steady = self.quick[-1], self.steady[-1]
        if not quick == quick or not steady == steady or quick == steady:
            return
        above = quick > steady
        if self.before is not None and above != self.before:
            held = self.position.size
            size = 1 if held == 0 else 2
            self.buy(size=size) if above else self.sell(size=size)
        self.before = above


bars = pd.read_csv(sys.argv[1])
bars.index = pd.to_datetime(bars.pop("open_time"), unit="ms")
bars.columns = ["Open", "High", "Low", "Close", "Volume"]
test = Backtest(bars, EmaCross, cash=1e9, commission=0.0005, finalize_trades=False)
began = time.perf_counter()
stats = test.run()
seconds = time.perf_counter() - began
net = stats["Equity Final [$]"] - 1e9
print(json.dumps({"bars": len(bars), "orders": int(stats["# Trades"]), "fees": float(stats.get("Commissions [$]", 0.0)),
                  "net_pnl": float(net), "seconds": seconds}))
