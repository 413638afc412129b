//! The SQL tables: a projection of the journal for people, faces and reports. Losing them costs nothing but queries.
//!
//! [`Projector`] applies journal records in transactions that hold rows and journal offset together, so that a row is
//! there exactly once whenever it is killed. No decision is ever made from these tables.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use levibot_core::record::LineFault;
use sqlx::migrate::MigrateError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqlitePool};

mod apply;
mod aside;
mod book;
mod projector;
mod rows;

pub use projector::{Progress, Projector};
pub use rows::{DecisionRow, EquityRow, FillRow, HaltRow, OrderRow, PositionRow, TransferRow};

/// How long a statement waits for another process that holds the database, such as a person's `sqlite3`.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

// Result codes of SQLite, <https://www.sqlite.org/rescode.html>.
const SQLITE_BUSY: i32 = 5;
const SQLITE_LOCKED: i32 = 6;
const SQLITE_CORRUPT: i32 = 11;
const SQLITE_NOTADB: i32 = 26;

/// An open database with the current tables.
#[derive(Debug, Clone)]
pub struct Store {
    pool: SqlitePool,
}

/// What can go wrong with the tables. Trading does not depend on them.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address is no SQLite database.
    #[error("`{url}` is not the address of a SQLite database: write sqlite://path/to/levibot.db")]
    Address {
        /// What was given.
        url: String,
        /// The driver's words.
        #[source]
        source: sqlx::Error,
    },
    /// The tables cannot be made, or a newer levibot made them.
    #[error(
        "the tables of {url} cannot be brought to this levibot's version: use a newer levibot, or delete the database; \
         it is rebuilt from the journal"
    )]
    Migrate {
        /// The database.
        url: String,
        /// The driver's words.
        #[source]
        source: MigrateError,
    },
    /// The database refused. Busy, full and input/output errors may pass: try again later.
    #[error("cannot {operation} the database: check that its disk has room and that nothing holds it")]
    Database {
        /// What was tried.
        operation: &'static str,
        /// The driver's words.
        #[source]
        source: sqlx::Error,
    },
    /// The database is damaged.
    #[error("the database is damaged ({findings}): delete it, it is rebuilt from the journal")]
    Corrupt {
        /// What SQLite found first.
        findings: String,
    },
    /// The journal cannot be read.
    #[error("cannot read the journal {path}")]
    Journal {
        /// The journal.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: std::io::Error,
    },
    /// The journal is damaged after what is projected.
    #[error(
        "the journal {path} is damaged at line {seq} (record {seq}, byte {offset}): look at it with `levibot audit`"
    )]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// Bytes before the line.
        offset: u64,
        /// The record that was expected.
        seq: u64,
        /// What is wrong.
        #[source]
        fault: LineFault,
    },
    /// The tables were made from another journal, or the journal was cut.
    #[error(
        "the database was made from another journal than {path}: it knows record {seq} at byte {offset}, where {found}; \
         if the journal is the right one, rebuild the database from it, else restore the journal"
    )]
    Mismatch {
        /// The journal.
        path: PathBuf,
        /// Last record in the tables.
        seq: u64,
        /// End of its line.
        offset: u64,
        /// What the journal has there.
        found: String,
    },
    /// A sum that no decimal holds.
    #[error("record {seq} makes an amount that is too large to be kept exact; the position's row cannot be computed")]
    Overflow {
        /// The record.
        seq: u64,
    },
    /// A value that no column holds.
    #[error("record {seq} holds a value that cannot be stored: this is a fault of the program, please report it")]
    Value {
        /// The record.
        seq: u64,
    },
    /// A damaged database could not be put out of the way.
    #[error("the damaged database {path} cannot be set aside: move it away by hand; it is rebuilt from the journal")]
    Aside {
        /// The database.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: std::io::Error,
    },
    /// The runtime is going down.
    #[error("reading the journal was interrupted: the program is ending")]
    Interrupted,
}

impl StoreError {
    /// Whether the file is no database any more, or a damaged one: only a new one helps.
    pub fn is_damage(&self) -> bool {
        let code = self.driver_error().and_then(primary_code);
        matches!(self, Self::Corrupt { .. }) || matches!(code, Some(SQLITE_CORRUPT | SQLITE_NOTADB))
    }

    /// Whether somebody else holds the database: it passes.
    pub fn is_busy(&self) -> bool {
        let Some(source) = self.driver_error() else { return false };
        let waited = matches!(source, sqlx::Error::PoolTimedOut);
        waited || matches!(primary_code(source), Some(SQLITE_BUSY | SQLITE_LOCKED))
    }

    /// What the driver said of a statement, one that makes the tables too.
    const fn driver_error(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Database { source, .. }
            | Self::Migrate {
                source: MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _), ..
            } => Some(source),
            _ => None,
        }
    }
}

/// SQLite's result code without what it adds in its higher bits.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

fn database(operation: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |source| StoreError::Database { operation, source }
}

impl Store {
    /// Opens a database such as `sqlite://data/levibot.db`, creates it if need be, and brings its tables up to date.
    ///
    /// # Errors
    /// [`StoreError::Address`], [`StoreError::Database`] or [`StoreError::Migrate`].
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let address = |source| StoreError::Address { url: url.to_owned(), source };
        if !url.starts_with("sqlite:") {
            return Err(address(sqlx::Error::Configuration("another scheme".into())));
        }
        let options = SqliteConnectOptions::from_str(url)
            .map_err(address)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // Loses no consistency, only the last transactions when the machine dies: they are projected again.
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true)
            .disable_statement_logging();
        // Each connection to a database in memory is a database of its own.
        let connections = if url.contains(":memory:") { 1 } else { 4 };
        let pool = SqlitePoolOptions::new().max_connections(connections).connect_with(options).await;
        let pool = pool.map_err(database("open"))?;
        let migrated = sqlx::migrate!("./migrations").run(&pool).await;
        migrated.map_err(|source| StoreError::Migrate { url: url.to_owned(), source })?;
        Ok(Self { pool })
    }

    /// The last record in the tables and its hash in hexadecimal: a mirror of the journal's head, in which a cut or
    /// exchanged journal is noticed. `None` when the tables are empty.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn head(&self) -> Result<Option<(u64, String)>, StoreError> {
        let row = sqlx::query_as::<_, (i64, String)>("SELECT seq, hash FROM projection WHERE id = 1");
        let row = row.fetch_optional(&self.pool).await.map_err(database("read the head of"))?;
        Ok(row.and_then(|(seq, hash)| u64::try_from(seq).ok().map(|seq| (seq, hash))))
    }

    /// Looks for damage. Reads the whole database.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::Database`].
    pub async fn check(&self) -> Result<(), StoreError> {
        let found = sqlx::query_scalar::<_, String>("PRAGMA quick_check(1)").fetch_one(&self.pool).await;
        match found.map_err(database("check"))? {
            ok if ok == "ok" => Ok(()),
            findings => Err(StoreError::Corrupt { findings }),
        }
    }

    /// Puts a damaged database out of the way and makes a new one. Tells where the old one was put.
    ///
    /// # Errors
    /// As [`Store::open`], and [`StoreError::Aside`].
    pub async fn replace(path: &Path) -> Result<(Self, PathBuf), StoreError> {
        let aside = aside::set(path)?;
        Ok((Self::open(&format!("sqlite://{}", path.display())).await?, aside))
    }

    /// Finishes what runs and closes the database.
    pub async fn close(self) {
        self.pool.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_one_migration_are_known_for_what_they_are() {
        let migrate = |source| StoreError::Migrate { url: "x".into(), source };
        for source in [
            MigrateError::Execute(sqlx::Error::PoolTimedOut),
            MigrateError::ExecuteMigration(sqlx::Error::PoolTimedOut, 3),
        ] {
            assert!(migrate(source).is_busy());
        }
        assert!(!migrate(MigrateError::VersionMissing(3)).is_busy());
    }
}
