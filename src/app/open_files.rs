//! The limit of open files (`RLIMIT_NOFILE`): raised as far as it may be, and checked before anything depends on it. A
//! daemon that meets it later could not restart an engine, take a connection or open a log file.

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::config::{Config, Isolation};
use crate::engine_host::{ProcessHost, ThreadHost};

/// What a daemon without engines has open (46 seen: record, tables, tape, its actors, sockets), with some room.
const DAEMON: u64 = 64;
/// Room for commands of people, for threads that hang and are left behind, and for the pipes of the model server.
const RESERVE: u64 = 64;

/// What a run needs files for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Need {
    /// How many engines it has.
    pub(super) engines: usize,
    /// What each of them has open in this process.
    pub(super) per_engine: u64,
    /// Whether the status API listens.
    pub(super) is_http: bool,
}

/// Why a run cannot have the files that it needs.
#[derive(Debug, thiserror::Error)]
pub enum OpenFilesError {
    /// The limit cannot be read or raised.
    #[error("the limit of open files (RLIMIT_NOFILE) cannot be {operation}")]
    Limit {
        /// `read` or `raised`.
        operation: &'static str,
        /// Why not.
        #[source]
        source: Errno,
    },
    /// The limit may not be raised as far as it is needed.
    #[error(
        "the hard limit of open files (RLIMIT_NOFILE) is {hard}, and {engines} engine(s) need {needed}: raise it with \
         `ulimit -n {needed}` as root, LimitNOFILE={needed} in the systemd unit or `docker run --ulimit nofile={needed}`, \
         or trade fewer symbols"
    )]
    TooLow {
        /// The limit.
        hard: u64,
        /// What is needed.
        needed: u64,
        /// For how many engines.
        engines: usize,
    },
}

impl Need {
    /// What a daemon of this configuration needs for so many engines.
    pub(super) const fn of(config: &Config, engines: usize) -> Self {
        let per_engine = match config.isolation {
            Isolation::Process => ProcessHost::OPEN_FILES,
            Isolation::Thread => ThreadHost::OPEN_FILES,
        };
        Self { engines, per_engine, is_http: config.http.enabled }
    }

    /// Open files at the most.
    fn files(&self) -> u64 {
        let engines = self.engines as u64;
        let logs = (self.engines + 1).min(crate::telemetry::logs::OPEN_FILES_MAX) as u64;
        let http = if self.is_http { crate::http::CONNECTIONS_MAX as u64 } else { 0 };
        DAEMON + RESERVE + logs + http + engines.saturating_mul(self.per_engine)
    }

    /// Raises the limit in force to what is needed, if it is lower.
    ///
    /// # Errors
    /// [`OpenFilesError`] when this user may not have as much.
    pub(super) fn ensure(&self) -> Result<(), OpenFilesError> {
        let (needed, engines) = (self.files(), self.engines);
        let failed = |operation| move |source| OpenFilesError::Limit { operation, source };
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(failed("read"))?;
        if hard < needed {
            return Err(OpenFilesError::TooLow { hard, needed, engines });
        }
        if soft < needed {
            setrlimit(Resource::RLIMIT_NOFILE, needed, hard).map_err(failed("raised"))?;
            tracing::info!(from = soft, to = needed, engines, "the limit of open files was raised");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_logs_and_connections_add_up() {
        let need = Need { engines: 12, per_engine: 4, is_http: true };
        assert_eq!(need.files(), 64 + 64 + 13 + 256 + 48);
        assert_eq!(Need { is_http: false, ..need }.files(), 64 + 64 + 13 + 48);
        assert_eq!(Need { engines: 500, ..need }.files(), 64 + 64 + 128 + 256 + 2_000, "log files have a bound");
        assert_eq!(Need { engines: 0, ..need }.files(), 64 + 64 + 1 + 256);
    }
}
