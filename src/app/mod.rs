//! The composition root: the only room that knows every other.
//!
//! Starting is recovering: the journal is read and folded, orders that never reached the venue are settled, and only
//! then engines start and market data flows.

mod apart;
mod channels;
mod data;
mod first_model;
mod history;
mod house;
mod latch_watch;
mod model;
mod open_files;
mod orders;
mod plan;
mod projection;
mod purpose;
mod reload;
mod run;
mod start;
mod strategies;
mod summary;
mod watch;

pub mod offline;

use std::path::PathBuf;
use std::time::Duration;

use levibot_core::account::ApplyError;
use levibot_core::domain::{Symbol, Ts};
use levibot_core::files::FileError;
use levibot_core::simulator::SimulatorError;

pub use first_model::ModelError;
pub use open_files::OpenFilesError;
#[cfg(feature = "fault-injection")]
pub(crate) use orders::faults_permitted;
pub use purpose::Purpose;
pub use run::run;
pub use summary::Summary;

use crate::config::{Config, ConfigError, Overrides};

/// What a run is asked to be besides its configuration.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// The checked configuration.
    pub config: Config,
    /// What it was made with, so that a reload makes it again.
    pub overrides: Overrides,
    /// Whether the file was named; else the embedded default stands in for missing files.
    pub named: bool,
    /// End so long after the daemon is ready; one that closes positions, so long after its start.
    pub limit: Option<Duration>,
    /// What it is for.
    pub purpose: Purpose,
}

/// Why a run could not begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Price files.
    #[error(transparent)]
    Files(#[from] FileError),
    /// No price files given.
    #[error("`market.source` is files and no file is given: add --data FOLDER, or set `market.files.path`")]
    NoData,
    /// Prices that come from files need no collecting.
    #[error("prices come from files here and are collected already: give their folder to `levibot retrain --data`")]
    NothingToCollect,
    /// A symbol that is asked for has no price file.
    #[error(
        "no price file for {symbol} in {}: name files like {symbol}.csv.gz, or leave the symbol out of --symbols",
        path.display()
    )]
    NoPriceFile {
        /// The symbol.
        symbol: Symbol,
        /// Where its file was looked for.
        path: PathBuf,
    },
    /// A symbol whose prices end before it would be traded.
    #[error(
        "the price files of {symbol} in {} end at {last}, and it is {now} by trading time: add later prices, or leave the \
         symbol out of `market.symbols`",
        path.display()
    )]
    NoPricesAhead {
        /// The symbol.
        symbol: Symbol,
        /// Where its files are.
        path: PathBuf,
        /// When its last bar of the range closes.
        last: Ts,
        /// Trading time.
        now: Ts,
    },
    /// A record cannot be run again with this configuration.
    #[error(
        "the record in {} was made with another configuration than {}: name the one of that run with --config, and the \
         same options",
        dir.display(), file.display()
    )]
    OtherConfiguration {
        /// The data folder.
        dir: PathBuf,
        /// The configuration that was given.
        file: PathBuf,
    },
    /// The simulator.
    #[error(transparent)]
    Simulator(#[from] SimulatorError),
    /// Made-up positions that cannot be.
    #[error(transparent)]
    Simulate(#[from] levibot_core::account::simulate::SimulateError),
    /// Settings of the paper venue.
    #[error(transparent)]
    Paper(levibot_core::fills::PaperSetupError),
    /// The fusion model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] crate::journal::JournalError),
    /// The tape.
    #[error(transparent)]
    Tape(#[from] crate::journal::TapeError),
    /// The tables.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    /// The limit of open files.
    #[error(transparent)]
    OpenFiles(#[from] OpenFilesError),
    /// The status API.
    #[error(transparent)]
    Http(#[from] crate::http::HttpError),
    /// The control socket.
    #[error(transparent)]
    Control(#[from] crate::control::server::ControlError),
    /// The audit's file.
    #[error("cannot open the audit of commands in {}: make the folder writable, or choose another with --data-dir", dir.display())]
    Audit {
        /// The data folder.
        dir: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Somebody wants positions closed in a replay.
    #[error("{dir} holds a replay: nothing is traded there, so there is nothing to stop or to close")]
    OfReplay {
        /// The data folder.
        dir: PathBuf,
    },
    /// A symbol that an account does not trade.
    #[error("the account in {dir} does not trade {symbol}; it trades {known}")]
    UnknownSymbol {
        /// What was asked for.
        symbol: Symbol,
        /// What there is.
        known: String,
        /// The data folder.
        dir: PathBuf,
    },
    /// Positions would be closed at prices of another configuration.
    #[error(
        "no run in {dir} was made with the configuration {file}, whose prices would be used to close its positions: name \
         the one of that run with --config"
    )]
    NotItsConfiguration {
        /// The data folder.
        dir: PathBuf,
        /// The configuration.
        file: PathBuf,
    },
    /// The thread that looks at the latch file.
    #[error("the thread that looks at the latch file did not start: raise this user's limit of threads")]
    LatchThread(#[source] std::io::Error),
    /// The latch file.
    #[error(transparent)]
    Latch(#[from] crate::latch::LatchError),
    /// The logs.
    #[error(transparent)]
    Logs(#[from] crate::telemetry::logs::LogError),
    /// The metrics.
    #[error(transparent)]
    Metrics(#[from] crate::telemetry::metrics::MetricsError),
    /// The way to Slack.
    #[error(transparent)]
    Slack(#[from] crate::telemetry::alerts::SlackError),
    /// The thread of a channel of alerts.
    #[error("the thread that sends alerts did not start: raise this user's limits of threads and open files")]
    AlertThread(#[source] std::io::Error),
    /// The journal's records do not make an account.
    #[error("record {seq} of the journal in {dir} cannot follow: `levibot audit --data-dir {dir}` says more")]
    Fold {
        /// Its sequence number.
        seq: u64,
        /// The data folder.
        dir: PathBuf,
        /// Why not.
        #[source]
        source: ApplyError,
    },
    /// The configuration describes another account than the journal.
    #[error("the data folder {dir} holds another account")]
    OtherAccount {
        /// The data folder.
        dir: PathBuf,
        /// How they differ.
        #[source]
        source: ApplyError,
    },
    /// A record whose tape holds no start of a daemon.
    #[error(
        "there is nothing to run again in {dir}: the tape holds no start of a daemon, and only from one can its inputs be \
         repeated; its oldest days are deleted after `journal.tape_keep_days`, and `journal.tape` = false keeps none \
         (`levibot audit` needs no tape)"
    )]
    NothingToRepeat {
        /// The data folder.
        dir: PathBuf,
    },
    /// A day that the tape does not hold.
    #[error(
        "there is no day {day} to run again in {}: its tape can repeat {days} (it begins with the first start of a daemon that \
         is kept, and days are deleted after `journal.tape_keep_days`)",
        dir.display()
    )]
    NoSuchDay {
        /// The data folder.
        dir: PathBuf,
        /// What was asked for.
        day: String,
        /// The days that are there, in words.
        days: String,
    },
    /// No journal where one was looked for.
    #[error("there is no record in {dir}: name the data folder of a run with --data-dir")]
    NoRun {
        /// Where.
        dir: PathBuf,
    },
    /// A folder with more than one run.
    #[error("{dir} holds several runs: name one with --data-dir ({names})")]
    ManyRuns {
        /// The folder.
        dir: PathBuf,
        /// The runs in it.
        names: String,
    },
    /// Symbols that left the configuration with open positions or orders, and for which no prices can be had.
    #[error(
        "{symbols}: not configured any more, but with an open position or order, which would be without protection: \
         {reason}; or put them back into `market.symbols` or --symbols (`levibot flatten --config FILE` closes what has prices, \
         and names the rest)"
    )]
    Abandoned {
        /// Which.
        symbols: String,
        /// Why there are no prices.
        reason: String,
    },
    /// A symbol without a price to begin with.
    #[error("the simulator has no start price of {symbol}: add `\"{symbol}\" = <price>` to `market.simulator.prices`")]
    NoStartPrice {
        /// The symbol.
        symbol: Symbol,
    },
    /// A folder could not be made.
    #[error("cannot create the folder {path}: check its parent's permissions")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The journal ends before records that were durable.
    #[error(
        "the journal in {dir} lacks {missing} record(s) that were durable: it ends with record {last}, and the SQL tables hold \
         it up to {known}. Orders, fills and halts that it told of would be forgotten, so nothing was started: restore the \
         journal from a backup; where there is none, compare with the venue, move {database} away, and start again"
    )]
    Cut {
        /// The data folder.
        dir: PathBuf,
        /// The tables.
        database: PathBuf,
        /// The journal's last record.
        last: u64,
        /// The last record that the tables hold.
        known: u64,
        /// How many are missing.
        missing: u64,
    },
    /// What was asked about is not on record.
    #[error(
        "there is no {what} among the {looked} records in {dir}: `levibot \
         trades --data-dir {dir}` lists them; ask for an order (lb-6xk2qa), a trade (BTCUSDT/4711), a decision \
         (BTCUSDT@2022-06-14T12:00Z), a record (#1234) or a symbol (BTCUSDT)"
    )]
    NotOnRecord {
        /// What was looked for, in words.
        what: String,
        /// The data folder.
        dir: PathBuf,
        /// How many records were looked at.
        looked: u64,
    },
    /// What was asked about is on record more than once.
    #[error("`{what}` fits several: {names}; ask for one of them")]
    SeveralOnRecord {
        /// What was asked.
        what: String,
        /// Those that fit, the first few.
        names: String,
    },
    /// What was asked about cannot be read.
    #[error(transparent)]
    Subject(#[from] offline::why::SubjectError),
    /// What was found could not be written.
    #[error("the output cannot be written: check that its disk has room")]
    Output(#[source] std::io::Error),
    /// A name that could not be made.
    #[error("the run cannot be named")]
    Name(#[source] levibot_core::domain::ids::NameError),
    /// A signal handler could not be installed.
    #[error("cannot listen for signals")]
    Signals(#[source] std::io::Error),
    /// The run ended because something could not go on.
    #[error("{0}")]
    Fatal(String),
}

impl AppError {
    /// The exit code: 2 for a configuration or data to be corrected, 4 for a data folder in use, 5 for a damaged
    /// record, 1 for the rest.
    pub fn exit_code(&self) -> u8 {
        use crate::journal::JournalError;
        match self {
            Self::Config(_) | Self::Files(_) | Self::NoData | Self::Simulator(_) | Self::Http(_) => 2,
            Self::NoPriceFile { .. } | Self::NoPricesAhead { .. } | Self::NoStartPrice { .. } => 2,
            Self::OtherConfiguration { .. } | Self::OtherAccount { .. } => 2,
            Self::OfReplay { .. } | Self::NotItsConfiguration { .. } => 2,
            Self::OpenFiles(_) | Self::Simulate(_) | Self::Paper(_) => 2,
            Self::NotOnRecord { .. } | Self::SeveralOnRecord { .. } | Self::Subject(_) => 2,
            Self::Abandoned { .. }
            | Self::NothingToRepeat { .. }
            | Self::NoSuchDay { .. }
            | Self::NoRun { .. }
            | Self::ManyRuns { .. } => 2,
            Self::Model(error) if error.is_setup() => 2,
            Self::Journal(JournalError::Locked { .. }) => 4,
            Self::Journal(JournalError::Damaged { .. }) | Self::Fold { .. } | Self::Cut { .. } => 5,
            Self::Store(crate::store::StoreError::Mismatch { .. }) => 5,
            _ => 1,
        }
    }
}
