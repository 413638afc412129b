use std::collections::BTreeSet;

use proptest::prelude::*;

use super::tests::{Bench, setup};
use super::*;
use crate::domain::Span;

/// Crashes an engine at these distances, each longer than any delay, and says after which crash it was quarantined. Each
/// crash before is followed by exactly one restart.
fn quarantined_after(setup: SupervisionSetup, gaps: &[Span]) -> Option<usize> {
    let (mut bench, mut restarts) = (Bench::running(setup), 0);
    for (n, gap) in gaps.iter().enumerate() {
        let crashed = bench.pass(*gap).now;
        bench.crash();
        if bench.status() == EngineStatus::Quarantined {
            return Some(n + 1);
        }
        if bench.status() == EngineStatus::Crashed {
            bench.due();
        }
        restarts += 1;
        assert_eq!(bench.policy.restarts(), restarts);
        bench.ready();
        // The next gap counts from the crash.
        bench.now = crashed;
    }
    None
}

fn input() -> impl Strategy<Value = SupervisionInput> {
    let generation = 0..6_u64;
    prop_oneof![
        Just(SupervisionInput::Start),
        Just(SupervisionInput::Stop),
        Just(SupervisionInput::Restart),
        Just(SupervisionInput::Pause),
        Just(SupervisionInput::Resume),
        Just(SupervisionInput::Idle),
        Just(SupervisionInput::Tick),
        Just(SupervisionInput::Tick),
        generation.clone().prop_map(|generation| SupervisionInput::Spawned { generation }),
        generation.clone().prop_map(|generation| SupervisionInput::Ready { generation }),
        generation.clone().prop_map(|generation| SupervisionInput::Progress { generation }),
        generation.clone().prop_map(|generation| SupervisionInput::Work { generation }),
        generation.clone().prop_map(|generation| SupervisionInput::SpawnFailed { generation, reason: "no".into() }),
        generation.prop_map(|generation| SupervisionInput::Exited { generation, cause: "gone".into() }),
    ]
}

/// Lets a generation number count from the present one down, so that random inputs often meet a live engine.
fn aim(input: SupervisionInput, present: u64) -> SupervisionInput {
    let near = |back: u64| if back >= 4 { present.wrapping_add(1) } else { present.saturating_sub(back / 3) };
    match input {
        SupervisionInput::Spawned { generation } => SupervisionInput::Spawned { generation: near(generation) },
        SupervisionInput::Ready { generation } => SupervisionInput::Ready { generation: near(generation) },
        SupervisionInput::Progress { generation } => SupervisionInput::Progress { generation: near(generation) },
        SupervisionInput::Work { generation } => SupervisionInput::Work { generation: near(generation) },
        SupervisionInput::SpawnFailed { generation, reason } => {
            SupervisionInput::SpawnFailed { generation: near(generation), reason }
        }
        SupervisionInput::Exited { generation, cause } => {
            SupervisionInput::Exited { generation: near(generation), cause }
        }
        other => other,
    }
}

proptest! {
    /// Every delay is over before the next crash, so that only the window decides.
    #[test]
    fn exactly_so_many_failures_within_the_window_quarantine(
        failures_max in 1..8_u32,
        gaps_ms in prop::collection::vec(1_000..30_000_i64, 1..40),
    ) {
        let setup = SupervisionSetup { failures_max, backoff_max: Span::from_millis(500), ..setup() };
        let gaps: Vec<Span> = gaps_ms.iter().map(|ms| Span::from_millis(*ms)).collect();
        let mut times = Vec::new();
        let mut clock = 0_i64;
        let mut expected = None;
        for (n, ms) in gaps_ms.iter().enumerate() {
            clock += ms;
            times.push(clock);
            let within = times.iter().filter(|at| clock - **at < 60_000).count();
            if within == failures_max as usize {
                expected = Some(n + 1);
                break;
            }
        }
        prop_assert_eq!(quarantined_after(setup, &gaps), expected);
    }

    #[test]
    fn no_sequence_of_inputs_breaks_it(
        inputs in prop::collection::vec((input(), 0..4_000_i64), 1..300),
        failures_max in 1..6_u32,
    ) {
        let mut bench = Bench::new(SupervisionSetup { failures_max, ..setup() });
        let mut live = BTreeSet::new();
        let mut last = 0;
        for (input, ms) in inputs {
            let input = aim(input, bench.policy.generation());
            let before = bench.status();
            if let SupervisionInput::Exited { generation, .. } | SupervisionInput::SpawnFailed { generation, .. } = &input {
                live.remove(generation);
            }
            let by_person = matches!(input, SupervisionInput::Start | SupervisionInput::Restart);
            let actions = bench.pass(Span::from_millis(ms)).tell(input);
            for action in &actions {
                match action {
                    SupervisionAction::Spawn { generation } => {
                        prop_assert_eq!(*generation, last + 1, "numbers grow by one and never come twice");
                        prop_assert!(before != EngineStatus::Quarantined || by_person);
                        last = *generation;
                        live.insert(last);
                        prop_assert_eq!(live.len(), 1, "two are alive");
                    }
                    SupervisionAction::Kill { generation } => {
                        prop_assert!(live.remove(generation), "what is killed is alive");
                    }
                    SupervisionAction::Stop { generation } => prop_assert!(live.contains(generation)),
                    SupervisionAction::Alert { attempt, .. } => prop_assert!(*attempt <= failures_max),
                    SupervisionAction::Quarantine => {
                        prop_assert_eq!(bench.status(), EngineStatus::Quarantined);
                        prop_assert_eq!(bench.policy.failures_in_window(bench.now), failures_max as usize);
                    }
                }
            }
            let alerts = actions.iter().filter(|a| matches!(a, SupervisionAction::Alert { .. })).count();
            prop_assert!(alerts <= 1, "one failure, one alert");
            prop_assert!(bench.policy.failures_in_window(bench.now) <= failures_max as usize);
            let waits = matches!(bench.status(), EngineStatus::Starting | EngineStatus::Crashed | EngineStatus::Stopping);
            prop_assert!(!waits || bench.policy.next_deadline().is_some(), "a state that waits has an end");
        }
    }
}
