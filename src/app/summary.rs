//! What a run leaves for people to read.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use levibot_core::account::AccountView;
use levibot_core::domain::Money;

use crate::risk_manager::Closed;

/// The end of a run.
#[derive(Debug)]
pub struct Summary {
    /// Why it ended.
    pub reason: String,
    /// The data folder.
    pub dir: PathBuf,
    /// The account at the end.
    pub account: AccountView,
    /// The risk manager's last word.
    pub closed: Closed,
    /// Real time from the first to the last bar.
    pub took: Duration,
    /// Last record in the SQL tables; `None` when they could not be brought up to date.
    pub store_seq: Option<u64>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let a = &self.account;
        let stocks = a.stocks.iter().map(|stock| stock.value).sum();
        writeln!(f, "ended: {}", self.reason)?;
        writeln!(f, "{}", self.table())?;
        writeln!(
            f,
            "equity {:.2} = cash {:.2} + positions {:.2}; realised {:.2}, unrealised {:.2}, fees {:.2}{}",
            a.equity.rounded(2).get(),
            a.cash.rounded(2).get(),
            (a.equity - a.cash - stocks).rounded(2).get(),
            a.realised.rounded(2).get(),
            a.unrealised.rounded(2).get(),
            a.fees.rounded(2).get(),
            if a.funding == Money::ZERO {
                String::new()
            } else {
                format!(", funding {:.2}", a.funding.rounded(2).get())
            }
        )?;
        if !a.stocks.is_empty() || a.contributed != Money::ZERO {
            let (stocks, paid_in) = (stocks.rounded(2), a.contributed.rounded(2));
            writeln!(f, "other assets were booked at {stocks} and are a part of equity; paid in {paid_in}")?;
        }
        if let Some(reason) = &a.halt_reason {
            writeln!(f, "halted ({}): {reason}", a.halt)?;
        }
        self.figures(f)?;
        write!(
            f,
            "record {} with {} entries in {}",
            self.closed.head.hash_hex(),
            self.closed.head.seq,
            self.dir.display()
        )?;
        if self.store_seq != Some(self.closed.head.seq) {
            write!(f, "\nthe SQL tables are behind (at {:?}); they catch up at the next start", self.store_seq)?;
        }
        match &self.closed.failure {
            Some(failure) => write!(f, "\nNOT WHOLE: {failure}"),
            None => Ok(()),
        }
    }
}

impl Summary {
    /// What was done by symbol, and in all.
    fn table(&self) -> Table {
        let total = self.closed.counts.total();
        let a = &self.account;
        let mut table = Table::new();
        table.load_style(NOTHING).set_header([
            "symbol",
            "decisions",
            "refused",
            "orders",
            "fills",
            "trades",
            "net PnL",
        ]);
        for symbol in &a.symbols {
            let counts = self.closed.counts.symbols.get(&symbol.symbol).copied().unwrap_or_default();
            table.add_row([
                symbol.symbol.to_string(),
                counts.decisions.to_string(),
                counts.refused.to_string(),
                counts.orders.to_string(),
                counts.fills.to_string(),
                symbol.trades.to_string(),
                format!("{:.2}", symbol.total_pnl.rounded(2).get()),
            ]);
        }
        let trades: u64 = a.symbols.iter().map(|s| s.trades).sum();
        let net = a.earned();
        table.add_row([
            "all".to_owned(),
            total.decisions.to_string(),
            total.refused.to_string(),
            total.orders.to_string(),
            total.fills.to_string(),
            trades.to_string(),
            format!("{:.2}", net.rounded(2).get()),
        ]);
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    /// For `--json`. Money is text, so that no digit is lost.
    pub fn json(&self) -> serde_json::Value {
        let (a, latency) = (&self.account, &self.closed.latency);
        let symbol = |s: &levibot_core::account::view::SymbolView| {
            let counts = self.closed.counts.symbols.get(&s.symbol).copied().unwrap_or_default();
            let row = serde_json::json!({
                "decisions": counts.decisions, "refused": counts.refused, "orders": counts.orders, "fills": counts.fills,
                "trades": s.trades, "net_pnl": s.total_pnl,
            });
            (s.symbol.to_string(), row)
        };
        let symbols: serde_json::Map<_, _> = a.symbols.iter().map(symbol).collect();
        let seconds = self.took.as_secs_f64();
        serde_json::json!({
            "ended": self.reason, "data_dir": self.dir, "records": self.closed.head.seq,
            "record_hash": self.closed.head.hash_hex(), "equity": a.equity, "cash": a.cash, "realised": a.realised,
            "unrealised": a.unrealised, "fees": a.fees, "funding": a.funding, "net_pnl": a.earned(), "halt": a.halt,
            "symbols": symbols, "bars": self.closed.counts.bars, "seconds": seconds,
            "bars_per_second": self.closed.counts.bars as f64 / seconds.max(f64::MIN_POSITIVE),
            "intent_ms": {"p50": latency.quantile_ms(0.5), "p99": latency.quantile_ms(0.99), "count": latency.count()},
            "failure": self.closed.failure,
        })
    }

    fn figures(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bars, secs) = (self.closed.counts.bars, self.took.as_secs_f64());
        write!(f, "{bars} bars in {secs:.2} s")?;
        if secs > 0.0 {
            write!(f, " ({:.0} bars/s)", bars as f64 / secs)?;
        }
        let latency = &self.closed.latency;
        if let (Some(p50), Some(p99)) = (latency.quantile_ms(0.5), latency.quantile_ms(0.99)) {
            let n = latency.count();
            write!(f, "; bar close to durable intent: p50 {p50:.2} ms, p99 {p99:.2} ms over {n} orders")?;
        }
        writeln!(f)
    }
}
