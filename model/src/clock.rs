//! The wall clock, read in one place. Lengths of time are measured with `Instant`.

use std::time::{SystemTime, UNIX_EPOCH};

use levibot_core::domain::Ts;

/// Now. It can jump.
pub fn wall_now() -> Ts {
    #[expect(clippy::disallowed_methods, reason = "this is the one place where wall time enters")]
    let now = SystemTime::now();
    let nanos = |length: std::time::Duration| i64::try_from(length.as_nanos()).unwrap_or(i64::MAX);
    match now.duration_since(UNIX_EPOCH) {
        Ok(since) => Ts::from_nanos(nanos(since)),
        Err(before) => Ts::from_nanos(-nanos(before.duration())),
    }
}
