//! `levibot audit`: recomputes everything from the journal, and compares the SQL tables' place with it.

use std::fmt;
use std::path::{Path, PathBuf};

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use levibot_core::driver::audit::{Audit, AuditFault, AuditReport};
use levibot_core::record::Chain;
use serde::Serialize;

use super::run_folder;
use crate::app::AppError;
use crate::journal::{JOURNAL_FILE, scan};
use crate::store::{Store, StoreError};

/// What an audit found.
#[derive(Debug)]
pub struct AuditOutcome {
    /// The data folder.
    pub dir: PathBuf,
    /// The journal's last record.
    pub head: Chain,
    /// Bytes of an incomplete last line, if there is one.
    pub torn_bytes: Option<u64>,
    /// The figures.
    pub report: AuditReport,
    /// The first thing that cannot be true.
    pub fault: Option<AuditFault>,
    /// How the SQL tables stand to the journal.
    pub tables: Tables,
}

/// How the SQL tables stand to the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tables {
    /// There are none.
    Absent,
    /// They hold the journal up to this record, hash included.
    Agree {
        /// The last record in them.
        seq: u64,
    },
    /// They hold another journal, or one that was longer: this one was cut or exchanged.
    Disagree {
        /// In words.
        why: String,
    },
}

impl AuditOutcome {
    /// Whether everything is as it must be.
    pub fn is_clean(&self) -> bool {
        self.fault.is_none() && !matches!(self.tables, Tables::Disagree { .. })
    }

    /// For `--json`.
    pub fn json(&self) -> serde_json::Value {
        let r = &self.report;
        let symbols: serde_json::Map<String, serde_json::Value> = r
            .symbols
            .iter()
            .map(|(s, [d, o, f])| (s.to_string(), serde_json::json!({"decisions": d, "orders": o, "fills": f})))
            .collect();
        serde_json::json!({
            "clean": self.is_clean(), "records": r.records, "record_hash": self.head.hash_hex(),
            "cash": r.cash, "positions_value": r.positions_value, "equity": r.equity, "realised": r.realised,
            "fees": r.fees, "contributed": r.contributed, "stocks": r.stocks, "late_fills": r.late_fills, "marks": r.marks, "open_orders": r.open_orders, "symbols": symbols,
            "ended": r.ended, "torn_bytes": self.torn_bytes, "tables": self.tables,
            "fault": self.fault.as_ref().map(ToString::to_string),
        })
    }
}

/// Audits a data folder, or the only run in it.
///
/// # Errors
/// [`AppError`] when there is no journal, or one that is damaged.
pub fn audit(dir: &Path) -> Result<AuditOutcome, AppError> {
    let dir = run_folder(dir)?;
    let (mut audit, mut fault) = (Audit::default(), None);
    let recovery = scan(&dir.join(JOURNAL_FILE), &mut |envelope| {
        if fault.is_none() {
            fault = audit.take(&envelope).err();
        }
    })?;
    let tables = tables(&dir, &recovery.head);
    let torn_bytes = recovery.torn.map(|t| t.bytes);
    Ok(AuditOutcome { dir, head: recovery.head, torn_bytes, report: audit.finish(), fault, tables })
}

/// Asks the tables for the head they mirror.
fn tables(dir: &Path, head: &Chain) -> Tables {
    let path = dir.join("levibot.db");
    if !path.is_file() {
        return Tables::Absent;
    }
    let asked = actix_rt::System::new().block_on(async {
        let store = Store::open(&format!("sqlite://{}", path.display())).await?;
        let place = store.head().await;
        store.close().await;
        place
    });
    match asked {
        Err(error) => Tables::Disagree { why: crate::telemetry::chain(&error as &StoreError) },
        Ok(None) => Tables::Agree { seq: 0 },
        Ok(Some((seq, _))) if seq > head.seq => Tables::Disagree {
            why: format!("they hold record {seq} and the journal ends at {}: its tail was cut off", head.seq),
        },
        Ok(Some((seq, hash))) if seq == head.seq && hash != head.hash_hex() => {
            Tables::Disagree { why: format!("record {seq} has another hash there: the journal was exchanged") }
        }
        Ok(Some((seq, _))) => Tables::Agree { seq },
    }
}

impl fmt::Display for AuditOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let r = &self.report;
        let mut table = Table::new();
        table.load_style(NOTHING).set_header(["symbol", "decisions", "orders", "fills"]);
        for (symbol, [decisions, orders, fills]) in &r.symbols {
            table.add_row([symbol.to_string(), decisions.to_string(), orders.to_string(), fills.to_string()]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        writeln!(f, "{table}")?;
        writeln!(
            f,
            "equity {} = cash {} + positions {} + stocks {}; realised {}, fees {}, paid in {}; {} marks recomputed",
            r.equity,
            r.cash,
            r.positions_value,
            r.stocks_value(),
            r.realised,
            r.fees,
            r.contributed,
            r.marks
        )?;
        for p in &r.positions {
            writeln!(f, "  {} {} at {} (cost {})", p.symbol, p.net, p.mark, p.cost)?;
        }
        for s in &r.stocks {
            writeln!(f, "  {} {} (booked at {})", s.asset, s.amount, s.value)?;
        }
        if r.late_fills > 0 {
            writeln!(f, "{} fills came after their order was over", r.late_fills)?;
        }
        writeln!(f, "{} records, head {}, {} orders open", r.records, self.head.hash_hex(), r.open_orders)?;
        if let Some(bytes) = self.torn_bytes {
            writeln!(
                f,
                "the last line is incomplete ({bytes} bytes): a crash while it was written; nothing had been done on it, \
                 and the next start sets it aside"
            )?;
        }
        match &self.tables {
            Tables::Absent => writeln!(f, "SQL tables: none")?,
            Tables::Agree { seq } => writeln!(f, "SQL tables: agree up to record {seq}")?,
            Tables::Disagree { why } => writeln!(f, "SQL tables: {why}")?,
        }
        match &self.fault {
            Some(fault) => write!(f, "FAULT: {fault}"),
            None if self.is_clean() => write!(f, "clean"),
            None => write!(f, "NOT CLEAN"),
        }
    }
}
