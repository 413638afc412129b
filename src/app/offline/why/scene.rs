//! The account at a moment, as the record has it.

use std::collections::BTreeMap;

use levibot_core::account::State;
use levibot_core::account::book::Book;
use levibot_core::domain::{AccountKind, Direction, HaltLevel, Money, OrderId, Symbol, Ts};
use levibot_core::record::{MarkedPosition, Record};
use rust_decimal::Decimal;
use serde::Serialize;

use super::super::words::{self, Iso};

/// The account just before a record.
#[derive(Debug, Clone, Serialize)]
pub struct Scene {
    /// Equity at the prices of `positions`, other assets as they were booked.
    pub equity: Decimal,
    /// Whether prices are those of the mark of the same instant; else they are the last ones on record.
    pub at_mark: bool,
    /// Cash.
    pub cash: Money,
    /// Equity from which the day's loss was counted.
    pub day_start_equity: Option<Money>,
    /// Open positions.
    pub positions: Vec<Held>,
    /// Orders that were not done.
    pub orders: Vec<OrderId>,
    /// Capital held for them.
    pub reserved: f64,
    /// The halt in force.
    pub halt: Option<HaltNote>,
    /// Why entries of the symbol were frozen; empty when they were not.
    pub frozen: Vec<String>,
}

/// A halt in force.
#[derive(Debug, Clone, Serialize)]
pub struct HaltNote {
    /// How much it forbade.
    pub level: HaltLevel,
    /// By whom.
    pub by: String,
    /// Why.
    pub text: String,
    /// The record that latched it.
    pub seq: u64,
}

/// An open position at a moment.
#[derive(Debug, Clone, Serialize)]
pub struct Held {
    /// Which.
    pub symbol: Symbol,
    /// `long` or `short`.
    pub direction: &'static str,
    /// Base units.
    pub quantity: Decimal,
    /// What it cost, negative when short.
    pub cost: Money,
    /// Last price on record.
    pub mark: Decimal,
    /// When that price was put on record.
    pub mark_time: Iso,
    /// PnL at that price, before fees.
    pub unrealised: Decimal,
}

/// The last price of each symbol on record, of a mark or a fill.
#[derive(Debug, Default)]
pub(super) struct Prices(BTreeMap<Symbol, (Decimal, Ts)>);

impl Prices {
    pub(super) fn take(&mut self, ts: Ts, record: &Record) {
        match record {
            Record::Fill { fill } | Record::Foreign { fill, .. } => {
                self.0.insert(fill.symbol, (fill.price.get(), ts));
            }
            Record::Mark { positions, .. } => {
                self.0.extend(positions.iter().map(|p| (p.symbol, (p.mark.get(), ts))));
            }
            _ => {}
        }
    }

    pub(super) fn held(&self, book: &Book) -> Option<Held> {
        let direction = words::direction(book.held()?);
        let (mark, at) = *self.0.get(&book.symbol())?;
        let unrealised = book.net().saturating_mul(mark).saturating_sub(book.cost().get()).normalize();
        let (symbol, quantity, cost) = (book.symbol(), book.size().get().normalize(), book.cost());
        Some(Held { symbol, direction, quantity, cost, mark, mark_time: Iso(at), unrealised })
    }
}

impl Scene {
    /// What `state` says, with the freezes of `symbol`.
    pub(super) fn of(state: &State, prices: &Prices, symbol: Option<Symbol>) -> Self {
        let positions: Vec<Held> = state.books().iter().filter_map(|book| prices.held(book)).collect();
        let worth = |held: &Held| match state.setup().kind {
            AccountKind::Linear => held.unrealised,
            AccountKind::Spot => held.unrealised.saturating_add(held.cost.get()),
        };
        let value = positions.iter().map(worth).fold(Decimal::ZERO, Decimal::saturating_add);
        let book = symbol.and_then(|symbol| state.books().iter().find(|book| book.symbol() == symbol));
        let halt = |halt: &levibot_core::account::state::Halt| HaltNote {
            level: halt.level,
            by: halt.reason.by.clone(),
            text: halt.reason.text.clone(),
            seq: halt.seq,
        };
        Self {
            equity: state.cash().get().saturating_add(state.stocks_value().get()).saturating_add(value).normalize(),
            at_mark: false,
            cash: state.cash(),
            day_start_equity: state.day().map(|day| day.start_equity),
            positions,
            orders: state.orders().map(|order| order.order.id).collect(),
            reserved: state.orders().map(|order| order.reserved_now()).sum(),
            halt: state.halt().map(halt),
            frozen: book.into_iter().flat_map(|book| book.frozen().values().cloned()).collect(),
        }
    }
}

impl Scene {
    /// The same at the prices that the account itself put on record at the end of the instant, for the positions that it
    /// held then.
    pub(super) fn marked(mut self, ts: Ts, mark: &Record) -> Self {
        let Record::Mark { equity, positions, .. } = mark else { return self };
        let held = |p: &MarkedPosition| Held {
            symbol: p.symbol,
            direction: words::direction(if p.net.is_sign_negative() { Direction::Short } else { Direction::Long }),
            quantity: p.net.abs().normalize(),
            cost: p.cost,
            mark: p.mark.get(),
            mark_time: Iso(ts),
            unrealised: p.net.saturating_mul(p.mark.get()).saturating_sub(p.cost.get()).normalize(),
        };
        self.positions = positions.iter().map(held).collect();
        self.equity = equity.get().normalize();
        self.at_mark = true;
        self
    }
}

#[cfg(test)]
mod tests {
    use levibot_core::account::{AccountSetup, RiskPolicy};
    use levibot_core::domain::{Fill, Side, Timeframe, Transfer};

    use super::*;

    #[test]
    fn equity_has_other_assets_and_prices_are_of_any_trade() {
        let yaml = "risk_policy: {max_daily_loss_pct: 3.0, max_symbol_risk_pct: 0.2, max_concurrent_positions: 15, \
                    rebalance_frequency: weekly, position_sizing: {method: kelly, kelly_fraction: 0.5, \
                    min_position_usd: 10, max_position_usd: 1000}}";
        let setup = AccountSetup {
            name: "paper".into(),
            kind: AccountKind::Spot,
            currency: "USDT".into(),
            initial_cash: "10000".parse().unwrap(),
            instruments: Vec::new(),
            risk: RiskPolicy::from_yaml(yaml).unwrap(),
            cost_per_side: 0.001,
            resume_next_day: false,
            unlimited: false,
        };
        let (run, setup) = ("run-1".parse().unwrap(), Box::new(setup));
        let started = Record::Started { run, timeframe: Timeframe::HOUR, config_hash: "ab".into(), setup };
        let mut state = State::open(Ts::EPOCH, &started).unwrap();
        let (asset, amount, value) = ("BNB".parse().unwrap(), Decimal::from(2), "600".parse().unwrap());
        let transfer = Transfer { id: "t-1".into(), asset, amount, value, ts: Ts::EPOCH };
        state.apply(Ts::EPOCH, &Record::Transfer { transfer }).unwrap();
        let mut prices = Prices::default();
        assert_eq!(Scene::of(&state, &prices, None).equity, Decimal::from(10_600));
        let (symbol, side): (Symbol, _) = ("BNBUSDT".parse().unwrap(), Side::Buy);
        let (order, price, qty, fee) =
            ("lb-9".parse().unwrap(), "310".parse().unwrap(), "1".parse().unwrap(), "0".parse().unwrap());
        let fill = Fill { order, trade_id: 1, symbol, side, price, qty, fee, commission: None, ts: Ts::EPOCH };
        prices.take(Ts::EPOCH, &Record::Foreign { fill, name: "web".into() });
        assert_eq!(prices.0[&symbol].0, Decimal::from(310));
    }
}
