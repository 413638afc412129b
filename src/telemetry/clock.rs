//! The host's clocks. Cores never read one: time reaches them as an input, and it enters the program here.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use levibot_core::domain::Ts;

fn nanos(length: Duration) -> i64 {
    i64::try_from(length.as_nanos()).unwrap_or(i64::MAX)
}

/// The wall clock. It can jump; lengths of time are measured with [`monotonic_now`].
pub fn wall_now() -> Ts {
    #[expect(clippy::disallowed_methods, reason = "this is the one place where wall time enters")]
    let now = SystemTime::now();
    match now.duration_since(UNIX_EPOCH) {
        Ok(since) => Ts::from_nanos(nanos(since)),
        Err(before) => Ts::from_nanos(-nanos(before.duration())),
    }
}

/// Nanoseconds since the first call in this process. Never goes back; only differences mean anything.
pub fn monotonic_now() -> Ts {
    static START: OnceLock<Instant> = OnceLock::new();
    Ts::from_nanos(nanos(START.get_or_init(Instant::now).elapsed()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_go_forward() {
        let (wall, first) = (wall_now(), monotonic_now());
        assert!(wall > Ts::from_secs(1_700_000_000), "{wall}");
        assert!(monotonic_now() >= first);
        assert!(first < Ts::from_secs(86_400), "counted from the start of the process, not from the epoch");
    }
}
