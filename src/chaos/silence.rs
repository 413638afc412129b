//! Whether the daemon answers at all times: how long each question took.

use std::time::Duration;

/// A daemon that does not answer for so long is silent.
const SILENCE: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Silence {
    answered_at: Duration,
}

impl Silence {
    /// Counts from `now` on.
    pub(super) fn since(now: Duration) -> Self {
        Self { answered_at: now }
    }

    /// A question was put at `asked`, and this came of it at `now`. `Some` is a complaint: the answer came too late, or
    /// there has been none for too long.
    pub(super) fn heard(&mut self, asked: Duration, now: Duration, error: Option<String>) -> Option<String> {
        let at = asked.as_secs_f64();
        match error {
            None => {
                self.answered_at = now;
                let took = now.saturating_sub(asked);
                (took > SILENCE).then(|| format!("at {at:.1} s: the answer took {:.1} s", took.as_secs_f64()))
            }
            Some(error) if now.saturating_sub(self.answered_at) > SILENCE => {
                self.answered_at = now;
                Some(format!("at {at:.1} s: {error}"))
            }
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_answer_is_silence_as_none_is() {
        let ms = Duration::from_millis;
        let mut silence = Silence::since(ms(1_000));
        assert_eq!(silence.heard(ms(1_000), ms(3_000), None), None);
        let late = silence.heard(ms(3_000), ms(5_500), None);
        assert_eq!(late.as_deref(), Some("at 3.0 s: the answer took 2.5 s"), "a stall that ends in an answer");
        assert_eq!(silence.heard(ms(5_600), ms(5_601), None), None);
        assert_eq!(silence.heard(ms(6_000), ms(7_000), Some("closed".into())), None);
        let none = silence.heard(ms(7_000), ms(7_700), Some("closed".into()));
        assert_eq!(none.as_deref(), Some("at 7.0 s: closed"));
    }
}
