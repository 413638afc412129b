//! How an engine is, and how many are how.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The status of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineStatus {
    /// Not wanted.
    Stopped,
    /// Spawned, not ready yet.
    Starting,
    /// Ready.
    Running,
    /// Ready, and given no work by a person's wish.
    Paused,
    /// Failed, its restart is waited for.
    Crashed,
    /// Asked to stop.
    Stopping,
    /// Failed too often: nothing but a person starts it again.
    Quarantined,
}

/// Under which of the three totals a status counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// Running, starting and paused.
    Running,
    /// Stopped and stopping.
    Stopped,
    /// Crashed and quarantined.
    Crashed,
}

impl EngineStatus {
    /// The total it belongs to.
    pub const fn counts_as(self) -> Counted {
        match self {
            Self::Running | Self::Starting | Self::Paused => Counted::Running,
            Self::Stopped | Self::Stopping => Counted::Stopped,
            Self::Crashed | Self::Quarantined => Counted::Crashed,
        }
    }
}

impl fmt::Display for EngineStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Crashed => "crashed",
            Self::Stopping => "stopping",
            Self::Quarantined => "quarantined",
        })
    }
}

/// How many engines count as what. The three add up to `total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// All engines.
    pub total: usize,
    /// Running, starting or paused.
    pub running: usize,
    /// Stopped or stopping.
    pub stopped: usize,
    /// Crashed or quarantined.
    pub crashed: usize,
}

impl FromIterator<EngineStatus> for Totals {
    fn from_iter<I: IntoIterator<Item = EngineStatus>>(statuses: I) -> Self {
        statuses.into_iter().fold(Self::default(), |mut totals, status| {
            totals.total += 1;
            match status.counts_as() {
                Counted::Running => totals.running += 1,
                Counted::Stopped => totals.stopped += 1,
                Counted::Crashed => totals.crashed += 1,
            }
            totals
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [EngineStatus; 7] = [
        EngineStatus::Stopped,
        EngineStatus::Starting,
        EngineStatus::Running,
        EngineStatus::Paused,
        EngineStatus::Crashed,
        EngineStatus::Stopping,
        EngineStatus::Quarantined,
    ];

    #[test]
    fn totals_add_up() {
        let totals: Totals = ALL.into_iter().collect();
        assert_eq!(totals, Totals { total: 7, running: 3, stopped: 2, crashed: 2 });
    }

    #[test]
    fn text_and_json_are_the_same_word() {
        for status in ALL {
            assert_eq!(serde_json::to_string(&status).unwrap(), format!("\"{status}\""));
        }
    }
}
