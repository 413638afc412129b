//! What people are told: alerts, and how a storm of them becomes a few messages.

mod coalesce;
mod words;

pub use coalesce::{Coalescer, Told};

use crate::domain::Symbol;

/// Something people should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// How urgent.
    pub severity: Severity,
    /// What it is about: alerts of one topic and symbol belong together.
    pub topic: Topic,
    /// About which symbol, if one.
    pub symbol: Option<Symbol>,
    /// In words.
    pub text: String,
}

impl Alert {
    /// Good to know.
    pub fn info(topic: Topic, symbol: impl Into<Option<Symbol>>, text: impl Into<String>) -> Self {
        Self::new(Severity::Info, topic, symbol, text)
    }

    /// To be looked at today.
    pub fn warning(topic: Topic, symbol: impl Into<Option<Symbol>>, text: impl Into<String>) -> Self {
        Self::new(Severity::Warning, topic, symbol, text)
    }

    /// To be looked at now.
    pub fn critical(topic: Topic, symbol: impl Into<Option<Symbol>>, text: impl Into<String>) -> Self {
        Self::new(Severity::Critical, topic, symbol, text)
    }

    /// Of the severity given.
    pub fn new(severity: Severity, topic: Topic, symbol: impl Into<Option<Symbol>>, text: impl Into<String>) -> Self {
        Self { severity, topic, symbol: symbol.into(), text: text.into() }
    }
}

/// How urgent an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Look at it today.
    Warning,
    /// Look at it now.
    Critical,
}

impl Severity {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    /// As logs, labels and the configuration name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// An engine failed and is started again.
    EngineCrash,
    /// An engine is given up until a person comes.
    EngineQuarantine,
    /// The fusion model and its server.
    Model,
    /// What the venue answers.
    Venue,
    /// The account and its limits.
    Account,
    /// The SQL tables.
    Store,
    /// Journal, tape and latch file.
    Journal,
    /// Nightly training.
    Retrain,
    /// Settings that are not taken over.
    Configuration,
    /// The telling of alerts itself.
    Alerts,
    /// What market data say that cannot be believed.
    Market,
}

impl Topic {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::EngineCrash,
        Self::EngineQuarantine,
        Self::Model,
        Self::Venue,
        Self::Account,
        Self::Store,
        Self::Journal,
        Self::Retrain,
        Self::Configuration,
        Self::Alerts,
        Self::Market,
    ];

    /// As logs and labels name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EngineCrash => "engine_crash",
            Self::EngineQuarantine => "engine_quarantine",
            Self::Model => "model",
            Self::Venue => "venue",
            Self::Account => "account",
            Self::Store => "store",
            Self::Journal => "journal",
            Self::Retrain => "retrain",
            Self::Configuration => "configuration",
            Self::Alerts => "alerts",
            Self::Market => "market",
        }
    }
}

#[cfg(test)]
mod tests;
