//! The limits of the restart policy.

use crate::domain::Span;

/// When an engine is restarted, how often, and how long is waited for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SupervisionSetup {
    /// This many failures within [`window`](Self::window) mean quarantine, 1 to 1,000.
    pub failures_max: u32,
    /// The sliding window in which failures count together.
    pub window: Span,
    /// Delay before the first restart that has one; four times as long after an engine that never became ready.
    pub backoff_first: Span,
    /// The delay doubles up to this, before jitter.
    pub backoff_max: Span,
    /// An engine that was ready for so long is healthy: a failure of it that is alone in the window is followed by a
    /// restart at once.
    pub healthy_after: Span,
    /// Work handed over and no progress for so long: the engine is stuck.
    pub progress_deadline: Span,
    /// The same while it starts and loads its models.
    pub starting_deadline: Span,
    /// How long an engine may take to stop when asked.
    pub stop_deadline: Span,
}

/// A limit that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`supervision.{key}` is {value}: {reason}; {remedy}")]
pub struct SupervisionSetupError {
    /// Which key.
    pub key: &'static str,
    /// What was given.
    pub value: String,
    /// What is wrong.
    pub reason: &'static str,
    /// What to write instead.
    pub remedy: &'static str,
}

impl Default for SupervisionSetup {
    fn default() -> Self {
        Self {
            failures_max: 5,
            window: Span::from_secs(60),
            backoff_first: Span::from_millis(50),
            backoff_max: Span::from_secs(5),
            healthy_after: Span::from_secs(60),
            progress_deadline: Span::from_secs(3),
            starting_deadline: Span::from_secs(10),
            stop_deadline: Span::from_secs(5),
        }
    }
}

impl SupervisionSetup {
    /// Checks every limit.
    ///
    /// # Errors
    /// The first that is out of range: spans must be over zero and at most a day, `failures_max` 1 to 1,000, and
    /// `backoff_max` at least `backoff_first`.
    pub fn validate(&self) -> Result<(), SupervisionSetupError> {
        let refuse = |key, value, reason, remedy| Err(SupervisionSetupError { key, value, reason, remedy });
        if !(1..=1_000).contains(&self.failures_max) {
            let remedy = "write 5 to give an engine five failures";
            return refuse("failures_max", self.failures_max.to_string(), "it must lie between 1 and 1000", remedy);
        }
        let spans = [
            ("window", self.window),
            ("backoff_first", self.backoff_first),
            ("backoff_max", self.backoff_max),
            ("healthy_after", self.healthy_after),
            ("progress_deadline", self.progress_deadline),
            ("starting_deadline", self.starting_deadline),
            ("stop_deadline", self.stop_deadline),
        ];
        let seconds = |span: Span| format!("{} s", span.secs_f64());
        for (key, span) in spans {
            if span <= Span::ZERO || span > Span::DAY {
                let reason = "it must be over zero and at most a day";
                return refuse(key, seconds(span), reason, "write a span such as 200 ms or 60 s");
            }
        }
        if self.backoff_max < self.backoff_first {
            let remedy = "raise it or lower `supervision.backoff_first`";
            return refuse("backoff_max", seconds(self.backoff_max), "it is under `backoff_first`", remedy);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_sound_and_every_limit_is_checked() {
        let good = SupervisionSetup::default();
        assert_eq!(good.validate(), Ok(()));
        let cases = [
            ("failures_max", SupervisionSetup { failures_max: 0, ..good }),
            ("failures_max", SupervisionSetup { failures_max: 1_001, ..good }),
            ("window", SupervisionSetup { window: Span::ZERO, ..good }),
            ("backoff_first", SupervisionSetup { backoff_first: Span::from_nanos(-1), ..good }),
            ("backoff_max", SupervisionSetup { backoff_max: Span::MILLISECOND, ..good }),
            ("healthy_after", SupervisionSetup { healthy_after: Span::ZERO, ..good }),
            ("progress_deadline", SupervisionSetup { progress_deadline: Span::DAY.times(2), ..good }),
            ("starting_deadline", SupervisionSetup { starting_deadline: Span::ZERO, ..good }),
            ("stop_deadline", SupervisionSetup { stop_deadline: Span::ZERO, ..good }),
        ];
        for (key, setup) in cases {
            let error = setup.validate().unwrap_err();
            assert_eq!(error.key, key);
            assert!(error.to_string().starts_with(&format!("`supervision.{key}` is ")), "{error}");
        }
    }
}
