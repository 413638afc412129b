"""NautilusTrader: its event-driven engine, log off. usage: peer_nautilus.py FILE FAST SLOW

Over bars alone its market orders fill at the close of the deciding bar, and not at the next open: speed alone is compared.
"""

import json
import sys
import time
from decimal import Decimal

import pandas as pd
import talib
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.backtest.models import MakerTakerFeeModel
from nautilus_trader.config import LoggingConfig, RiskEngineConfig
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.instruments import CryptoPerpetual
from nautilus_trader.model.objects import Money, Quantity
from nautilus_trader.persistence.wranglers import BarDataWrangler
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy

FAST, SLOW = int(sys.argv[2]), int(sys.argv[3])


class EmaCross(Strategy):
    """The averages are given, as TA-Lib makes them: NautilusTrader seeds its own differently."""

    def __init__(self, instrument, bar_type, quick, steady):
        super().__init__()
        self.instrument, self.bar_type = instrument, bar_type
        self.quick, self.steady = quick, steady
        self.at, self.before, self.held = -1, None, 0

    def on_start(self):
        self.subscribe_bars(self.bar_type)

    def on_bar(self, bar):
        self.at += 1
        quick, steady = self.quick[self.at], self.steady[self.at]
        if quick != quick or steady != steady or quick == steady:
            return
        above = quick > steady
        if self.before is not None and above != self.before:
            side = OrderSide.BUY if above else OrderSide.SELL
            units = Quantity.from_int(1 if self.held == 0 else 2)
            self.submit_order(self.order_factory.market(self.instrument.id, side, self.instrument.make_qty(units)))
            self.held = 1 if above else -1
        self.before = above


frame = pd.read_csv(sys.argv[1])
frame.index = pd.to_datetime(frame.pop("open_time"), unit="ms", utc=True)
closes = frame["close"].values
quick, steady = talib.EMA(closes, FAST), talib.EMA(closes, SLOW)
rules = CryptoPerpetual.to_dict(TestInstrumentProvider.btcusdt_perp_binance())
rules |= {"price_precision": 2, "price_increment": "0.01", "taker_fee": "0.0005", "maker_fee": "0.0005"}
instrument = CryptoPerpetual.from_dict(rules)
bar_type = BarType.from_str(f"{instrument.id}-1-MINUTE-LAST-EXTERNAL")
# Known when it closes: its stamps are moved by a minute.
bars = BarDataWrangler(bar_type, instrument).process(frame, ts_init_delta=60_000_000_000)

quiet = LoggingConfig(bypass_logging=True)
engine = BacktestEngine(BacktestEngineConfig(logging=quiet, risk_engine=RiskEngineConfig(bypass=True)))
engine.add_venue(
    venue=Venue("BINANCE"),
    oms_type=OmsType.NETTING,
    account_type=AccountType.MARGIN,
    base_currency=None,
    default_leverage=Decimal(100),
    starting_balances=[Money(10_000_000, USDT)],
    fee_model=MakerTakerFeeModel(),
)
engine.add_instrument(instrument)
engine.add_data(bars)
strategy = EmaCross(instrument, bar_type, quick, steady)
engine.add_strategy(strategy)
began = time.perf_counter()
engine.run()
seconds = time.perf_counter() - began
account = engine.portfolio.account(Venue("BINANCE"))
orders = engine.cache.orders_total_count()
balance = float(account.balance_total(USDT).as_decimal()) - 1e7
last = instrument.make_price(closes[-1])
net = balance + sum(float(held.unrealized_pnl(last).as_decimal()) for held in engine.cache.positions_open())
print(json.dumps({"bars": len(bars), "orders": orders, "net_pnl": net, "seconds": seconds}))
