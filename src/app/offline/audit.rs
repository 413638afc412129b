//! `levibot audit`: recomputes everything from the journal, and compares the SQL tables' place with it.

use std::fmt;
use std::path::{Path, PathBuf};

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use levibot_core::domain::Money;
use levibot_core::driver::audit::{Audit, AuditFault, AuditReport};
use levibot_core::record::Chain;
use serde::Serialize;

use super::{read, run_folder};
use crate::app::AppError;
use crate::config::StoreConfig;
use crate::journal::{Damage, JournalError};
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
    /// The first line that is not the record that belongs there; the figures are those of the records before it.
    pub damage: Option<Damage>,
    /// How the SQL tables stand to the journal.
    pub tables: Tables,
    /// Where they were looked for.
    pub database: PathBuf,
}

/// How the SQL tables stand to the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tables {
    /// There are none where they were looked for.
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
        /// How many records are missing that were durable, where the end was cut off.
        missing: u64,
    },
    /// They hold records beyond the damage of the journal, with which they cannot be compared.
    Beyond {
        /// The last record in them.
        seq: u64,
    },
    /// They cannot be read: they are damaged, or somebody holds them.
    Unreadable {
        /// In words.
        why: String,
    },
}

impl AuditOutcome {
    /// Whether everything is as it must be.
    pub fn is_clean(&self) -> bool {
        let tables = matches!(self.tables, Tables::Absent | Tables::Agree { .. });
        self.fault.is_none() && self.damage.is_none() && tables
    }

    /// What the process should end with: 0 when clean, 5 for a damaged journal, 1 for the rest.
    pub const fn exit_code(&self) -> u8 {
        match (&self.damage, &self.fault, &self.tables) {
            (Some(_), _, _) => 5,
            (None, None, Tables::Absent | Tables::Agree { .. }) => 0,
            _ => 1,
        }
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
            "fees": r.fees, "funding": r.funding, "contributed": r.contributed, "stocks": r.stocks, "late_fills": r.late_fills, "marks": r.marks, "open_orders": r.open_orders, "symbols": symbols,
            "ended": r.ended, "torn_bytes": self.torn_bytes, "tables": self.tables,
            "fault": self.fault.as_ref().map(ToString::to_string), "damage": self.damage,
        })
    }
}

/// Audits a data folder, or the only run in it, with the tables that `store` names. The daemon may be running. A damaged
/// journal is audited up to the damage.
///
/// # Errors
/// [`AppError`] when there is no journal, or it cannot be read.
pub fn audit(dir: &Path, store: &StoreConfig) -> Result<AuditOutcome, AppError> {
    let dir = run_folder(dir)?;
    let database = store.path(&dir);
    // Asked first, so that a daemon that goes on writing puts the journal ahead of them and never behind.
    let known = mirrored(&database);
    let (mut audit, mut fault) = (Audit::default(), None);
    let (mut head, mut offset, mut at_known) = (Chain::default(), 0, None);
    let scanned = read(&dir, "auditing the journal", &mut |envelope, place| {
        (head, offset) = (place.head, place.offset);
        if matches!(&known, Ok(Some((seq, _))) if *seq == head.seq) {
            at_known = Some(head);
        }
        if fault.is_none() {
            fault = audit.take(envelope).err();
        }
        Ok(())
    });
    let (torn_bytes, damage) = match scanned {
        Ok(recovery) => (recovery.torn.map(|torn| torn.bytes), None),
        Err(AppError::Journal(JournalError::Damaged { path, offset, seq, fault })) => {
            (None, Some(Damage::look(&path, offset, seq, &fault)?))
        }
        Err(error) => return Err(error),
    };
    let tables = match known {
        Err(Missing::Absent) => Tables::Absent,
        Err(Missing::Unreadable(why)) => Tables::Unreadable { why },
        Ok(None) => Tables::Agree { seq: 0 },
        Ok(Some((seq, _))) if damage.is_some() && seq > head.seq => Tables::Beyond { seq },
        Ok(Some((seq, hash))) => compare(seq, &hash, head, at_known),
    };
    Ok(AuditOutcome { dir, head, torn_bytes, report: audit.finish(), fault, damage, tables, database })
}

/// Why nothing is known of the tables.
enum Missing {
    Absent,
    Unreadable(String),
}

/// Asks the tables for the head they mirror.
fn mirrored(path: &Path) -> Result<Option<(u64, String)>, Missing> {
    if !path.is_file() {
        return Err(Missing::Absent);
    }
    let asked = actix_rt::System::new().block_on(async {
        let store = Store::open(&format!("sqlite://{}", path.display())).await?;
        let place = store.head().await;
        store.close().await;
        place
    });
    asked.map_err(|error| Missing::Unreadable(crate::telemetry::chain(&error as &StoreError)))
}

/// Compares the journal with the head that the tables mirror; `at_known` is the journal's own record of that number.
fn compare(seq: u64, hash: &str, head: Chain, at_known: Option<Chain>) -> Tables {
    match at_known {
        None if seq > 0 => Tables::Disagree {
            why: format!(
                "they hold record {seq} and the journal ends at {}: its tail was cut off, {} record(s) are missing that were \
                 durable",
                head.seq,
                seq.saturating_sub(head.seq)
            ),
            missing: seq.saturating_sub(head.seq),
        },
        Some(own) if own.hash_hex() != hash => Tables::Disagree {
            why: format!("record {seq} has another hash there: the journal was exchanged, or altered before it"),
            missing: 0,
        },
        _ => Tables::Agree { seq },
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
            "equity {} = cash {} + positions {} + stocks {}; realised {}, fees {}{}, paid in {}; {} marks recomputed",
            r.equity,
            r.cash,
            r.positions_value,
            r.stocks_value(),
            r.realised,
            r.fees,
            if r.funding == Money::ZERO { String::new() } else { format!(", funding {}", r.funding) },
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
            writeln!(f, "{}", self.torn(bytes))?;
        }
        if let Some(damage) = &self.damage {
            writeln!(f, "{}", damaged(damage))?;
        }
        match &self.tables {
            Tables::Absent => writeln!(
                f,
                "SQL tables: none at {} (`store.url` may name another place: `levibot audit --config FILE` looks there); the \
                 chain is checked all the same, but whether whole lines were cut off at the journal's end only they could tell",
                self.database.display()
            )?,
            Tables::Agree { seq } => writeln!(f, "SQL tables: agree up to record {seq}")?,
            Tables::Beyond { seq } => {
                writeln!(f, "SQL tables: hold the journal up to record {seq}, beyond the damage")?
            }
            Tables::Disagree { why, .. } => writeln!(f, "SQL tables: {why}")?,
            Tables::Unreadable { why } => writeln!(
                f,
                "SQL tables: cannot be read ({why}); nothing is lost with them, a start rebuilds damaged ones from the journal, \
                 but its end cannot be compared with them"
            )?,
        }
        match &self.fault {
            Some(fault) => write!(f, "FAULT: {fault}"),
            None if self.is_clean() => write!(f, "clean"),
            None => write!(f, "NOT CLEAN"),
        }
    }
}

impl AuditOutcome {
    /// What an incomplete last line means.
    fn torn(&self, bytes: u64) -> String {
        let line = self.head.seq + 1;
        if matches!(self.tables, Tables::Disagree { missing: 1.., .. }) {
            return format!(
                "the last line is incomplete ({bytes} bytes, record {line}), and it was acknowledged: the tables below hold it. \
                 The journal was cut after it had been written"
            );
        }
        format!(
            "the last line is incomplete ({bytes} bytes, record {line}): an unacknowledged tail. The daemon died while writing \
             it, or is writing it now; nothing that was sent to the venue is lost, since orders leave only after their record \
             is durable; the next start sets it aside"
        )
    }
}

/// What a damaged line means.
fn damaged(damage: &Damage) -> String {
    let Damage { seq, offset, expected, found, meaning, lines, last } = damage;
    let last = last.map_or_else(String::new, |last| format!(", the last of which says that it is record {last}"));
    format!(
        "DAMAGED at line {seq} (byte {offset}): expected was {expected}; {found}. That means: {meaning}. The {} record(s) before \
         it are whole, and the figures above are theirs; nothing in the {lines} line(s) from there on can be believed{last}. \
         The daemon does not start on it, and nothing was changed: restore a backup, or start on a new data folder",
        seq.saturating_sub(1)
    )
}
