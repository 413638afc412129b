//! Days in words.

use std::collections::BTreeSet;

use levibot_core::domain::Ts;

/// A day as people write it.
pub(super) fn day_name(ts: Ts) -> String {
    ts.to_string().chars().take(10).collect()
}

/// Days in words: runs of them from the first to the last.
pub(super) fn days(days: &BTreeSet<i64>) -> String {
    let mut runs: Vec<(i64, i64)> = Vec::new();
    for day in days {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *day => *last = *day,
            _ => runs.push((*day, *day)),
        }
    }
    let name = |day: i64| day_name(Ts::EPOCH + levibot_core::domain::Span::DAY.times(day));
    let words = runs.iter().map(|(first, last)| match first == last {
        true => name(*first),
        false => format!("{} to {}", name(*first), name(*last)),
    });
    let words: Vec<String> = words.collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}
