//! How long to wait before a restart.

use super::SupervisionSetup;
use crate::domain::Span;

/// The delay before a restart: `backoff_first` × 2^`doublings`, at most `backoff_max`, then between 20 % less (`draw` 0)
/// and 20 % more (`draw` 1). `draw` lies in `[0, 1)`; it keeps engines that fell together from rising together.
pub fn backoff(setup: &SupervisionSetup, doublings: u32, draw: f64) -> Span {
    let factor = 1_i64.checked_shl(doublings).filter(|factor| *factor > 0).unwrap_or(i64::MAX);
    let delay = setup.backoff_first.times(factor).min(setup.backoff_max);
    let jitter = 0.8 + 0.4 * draw.clamp(0.0, 1.0);
    #[expect(clippy::cast_possible_truncation, reason = "a delay of at most a day and a fifth; a cast saturates")]
    Span::from_nanos((delay.nanos() as f64 * jitter) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_doubles_up_to_its_end() {
        let setup = SupervisionSetup::default();
        let millis: Vec<i64> = (0..8).map(|k| backoff(&setup, k, 0.5).nanos() / 1_000_000).collect();
        assert_eq!(millis, [50, 100, 200, 400, 800, 1_600, 3_200, 5_000]);
    }

    proptest! {
        #[test]
        fn it_grows_and_stays_in_its_bounds(doublings: u32, draw in 0.0..1.0_f64) {
            let setup = SupervisionSetup::default();
            let delay = backoff(&setup, doublings, draw);
            prop_assert!(delay.nanos() >= setup.backoff_first.nanos() * 8 / 10 - 1);
            prop_assert!(delay.nanos() <= setup.backoff_max.nanos() * 12 / 10 + 1);
            prop_assert!(backoff(&setup, doublings.saturating_add(1), draw) >= delay, "monotone for any one draw");
        }
    }
}
