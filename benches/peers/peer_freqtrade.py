"""freqtrade: its backtesting loop over given candles, without a network. usage: peer_freqtrade.py FILE FAST SLOW

Spot, so it is long while the fast average is over the slow one and out of the market else: half of the rule, which spares it
work. Its stake is a sum of money and not a unit. Speed alone is compared.
"""

import json
import logging
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

logging.disable(logging.CRITICAL)
from freqtrade.enums import RunMode  # noqa: E402
from freqtrade.exchange import Exchange  # noqa: E402

STRATEGY = """
import talib
from freqtrade.strategy import IStrategy

class EmaCross(IStrategy):
    timeframe = "1m"
    minimal_roi = {{"0": 100}}
    stoploss = -0.99
    use_exit_signal = True
    startup_candle_count = 0
    process_only_new_candles = True

    def populate_indicators(self, frame, metadata):
        frame["quick"] = talib.EMA(frame["close"], {fast})
        frame["steady"] = talib.EMA(frame["close"], {slow})
        return frame

    def populate_entry_trend(self, frame, metadata):
        above = (frame["quick"] > frame["steady"]) & (frame["quick"].shift(1) <= frame["steady"].shift(1))
        frame.loc[above, "enter_long"] = 1
        return frame

    def populate_exit_trend(self, frame, metadata):
        under = (frame["quick"] < frame["steady"]) & (frame["quick"].shift(1) >= frame["steady"].shift(1))
        frame.loc[under, "exit_long"] = 1
        return frame
"""

PAIR = "BTC/USDT"
MARKET = {
    "id": "BTCUSDT", "symbol": PAIR, "base": "BTC", "quote": "USDT", "active": True, "spot": True, "type": "spot",
    "swap": False, "future": False, "linear": None, "inverse": None, "contract": False, "contractSize": None,
    "taker": 0.0005, "maker": 0.0005, "info": {}, "precision": {"amount": 1e-5, "price": 0.01},
    "limits": {"amount": {"min": 1e-5, "max": 1e6}, "cost": {"min": 5, "max": None}, "price": {"min": 0.01, "max": 1e7},
               "leverage": {"min": None, "max": None}},
}


def offline_markets(self, reload=False):
    for api in (self._api, self._api_async):
        api.set_markets({PAIR: MARKET})


async def offline_reload(self, reload=False):
    self._api_async.set_markets({PAIR: MARKET})
    self._api.set_markets({PAIR: MARKET})


Exchange._load_async_markets = offline_markets
Exchange._api_reload_markets = offline_reload

from freqtrade.configuration import TimeRange  # noqa: E402
from freqtrade.optimize.backtesting import Backtesting  # noqa: E402

frame = pd.read_csv(sys.argv[1])
frame.insert(0, "date", pd.to_datetime(frame.pop("open_time"), unit="ms", utc=True))
frame["volume"] = frame["volume"].astype(float)
folder = Path(tempfile.mkdtemp())
(folder / "ema_cross.py").write_text(STRATEGY.format(fast=sys.argv[2], slow=sys.argv[3]))
config = {
    "runmode": RunMode.BACKTEST, "dry_run": True, "stake_currency": "USDT", "stake_amount": 20_000, "max_open_trades": 1,
    "dry_run_wallet": 1_000_000_000, "fee": 0.0005, "timeframe": "1m", "trading_mode": "spot", "margin_mode": "",
    "exchange": {"name": "binance", "key": "", "secret": "", "pair_whitelist": [PAIR], "pair_blacklist": []},
    "pairlists": [{"method": "StaticPairList"}], "strategy": "EmaCross", "strategy_path": str(folder),
    "user_data_dir": folder, "datadir": folder, "export": "none", "entry_pricing": {"price_side": "other", "use_order_book": False},
    "exit_pricing": {"price_side": "other", "use_order_book": False}, "cancel_open_orders_on_exit": False,
    "unfilledtimeout": {}, "dataformat_ohlcv": "feather", "timerange": None, "candle_type_def": "",
}
test = Backtesting(config)
began = time.perf_counter()
test.backtest_one_strategy(test.strategylist[0], {PAIR: frame}, TimeRange())
seconds = time.perf_counter() - began
trades = test.all_bt_content["EmaCross"]["results"]
print(json.dumps({"bars": len(frame), "orders": 2 * len(trades), "net_pnl": float(trades["profit_abs"].sum()), "seconds": seconds}))
