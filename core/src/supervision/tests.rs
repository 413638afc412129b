use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::domain::{Actions, Span, Ts};

struct Bench {
    policy: Policy,
    out: Actions<SupervisionAction>,
    now: Ts,
}

impl Bench {
    fn new(setup: SupervisionSetup) -> Self {
        setup.validate().unwrap();
        Self { policy: Policy::new("BTCUSDT".parse().unwrap(), setup), out: Actions::new(), now: Ts::from_secs(1_000) }
    }

    fn tell(&mut self, input: SupervisionInput) -> Vec<SupervisionAction> {
        self.policy.step(&input, self.now, &mut self.out);
        self.out.drain().collect()
    }

    fn pass(&mut self, span: Span) -> &mut Self {
        self.now = self.now + span;
        self
    }

    /// Started and ready.
    fn running(setup: SupervisionSetup) -> Self {
        let mut bench = Self::new(setup);
        assert_eq!(bench.tell(SupervisionInput::Start), [SupervisionAction::Spawn { generation: 1 }]);
        bench.ready();
        bench
    }

    fn ready(&mut self) {
        let generation = self.policy.generation();
        self.tell(SupervisionInput::Spawned { generation });
        self.tell(SupervisionInput::Ready { generation });
        assert_eq!(self.policy.status(), EngineStatus::Running);
    }

    fn crash(&mut self) -> Vec<SupervisionAction> {
        let generation = self.policy.generation();
        self.tell(SupervisionInput::Exited { generation, cause: "signal 9".into() })
    }

    /// Waits for what is due and ticks.
    fn due(&mut self) -> Vec<SupervisionAction> {
        self.now = self.policy.next_deadline().expect("something is due");
        self.tell(SupervisionInput::Tick)
    }

    fn status(&self) -> EngineStatus {
        self.policy.status()
    }
}

fn setup() -> SupervisionSetup {
    SupervisionSetup::default()
}

fn retry(actions: &[SupervisionAction]) -> Option<Ts> {
    match actions.first() {
        Some(SupervisionAction::Alert { next_retry, .. }) => *next_retry,
        other => panic!("no alert: {other:?}"),
    }
}

#[test]
fn a_crash_is_seen_at_once_told_and_followed_by_a_restart() {
    let mut bench = Bench::running(setup());
    let actions = bench.pass(Span::SECOND).crash();
    assert_eq!(bench.status(), EngineStatus::Crashed);
    let [SupervisionAction::Alert { kind: AlertKind::Exited, cause, attempt: 1, next_retry: Some(at) }] = &actions[..]
    else {
        panic!("{actions:?}");
    };
    assert_eq!(cause, "signal 9");
    let delay = (*at - bench.now).nanos() / 1_000_000;
    assert!((160..=240).contains(&delay), "{delay} ms");
    assert_eq!(bench.tell(SupervisionInput::Tick), [], "not before its time");
    assert_eq!(bench.due(), [SupervisionAction::Spawn { generation: 2 }]);
    bench.ready();
    assert_eq!((bench.policy.restarts(), bench.policy.failures_total()), (1, 1));
    assert_eq!(bench.policy.last_error(), Some("signal 9"));
}

#[test]
fn after_a_healthy_time_the_restart_is_at_once_and_then_backs_off_from_the_start() {
    let mut bench = Bench::running(setup());
    for _ in 0..3 {
        bench.crash();
        bench.due();
        bench.ready();
    }
    let actions = bench.pass(Span::from_secs(60)).crash();
    assert_eq!(retry(&actions), Some(bench.now));
    assert_eq!(actions[1], SupervisionAction::Spawn { generation: 5 });
    bench.ready();
    let delay = retry(&bench.pass(Span::SECOND).crash()).unwrap() - bench.now;
    assert!(delay <= Span::from_millis(240), "{delay:?}");
}

#[test]
fn delays_double_from_crash_to_crash() {
    let mut bench = Bench::running(SupervisionSetup { failures_max: 20, ..setup() });
    for expected_ms in [200, 400, 800, 1_600, 3_200, 5_000, 5_000] {
        let delay = (retry(&bench.crash()).unwrap() - bench.now).nanos() / 1_000_000;
        assert!(delay * 10 >= expected_ms * 8 && delay * 10 <= expected_ms * 12, "{delay} for {expected_ms}");
        bench.due();
        bench.ready();
    }
}

#[test]
fn jitter_is_the_same_again_and_differs_between_symbols() {
    let first = |symbol: &str| {
        let mut bench = Bench::new(setup());
        bench.policy = Policy::new(symbol.parse().unwrap(), setup());
        bench.tell(SupervisionInput::Start);
        retry(&bench.crash())
    };
    assert_eq!(first("BTCUSDT"), first("BTCUSDT"));
    assert_ne!(first("BTCUSDT"), first("ETHUSDT"));
}

#[test]
fn work_without_progress_is_a_failure_and_silence_without_work_is_none() {
    let mut bench = Bench::running(setup());
    assert_eq!(bench.policy.next_deadline(), None);
    assert_eq!(bench.pass(Span::HOUR).tell(SupervisionInput::Tick), [], "nothing to do is no fault");
    bench.tell(SupervisionInput::Work { generation: 1 });
    bench.pass(Span::from_secs(2)).tell(SupervisionInput::Work { generation: 1 });
    bench.tell(SupervisionInput::Progress { generation: 1 });
    assert_eq!(bench.pass(Span::from_secs(2)).tell(SupervisionInput::Tick), [], "progress counts");
    bench.tell(SupervisionInput::Idle);
    assert_eq!(bench.pass(Span::HOUR).tell(SupervisionInput::Tick), []);
    bench.tell(SupervisionInput::Work { generation: 1 });
    bench.pass(Span::from_secs(2)).tell(SupervisionInput::Work { generation: 1 });
    assert_eq!(bench.policy.next_deadline(), Some(bench.now + Span::SECOND), "more work is no progress");
    let actions = bench.due();
    assert_eq!(actions[0], SupervisionAction::Kill { generation: 1 });
    assert!(matches!(actions[1], SupervisionAction::Alert { kind: AlertKind::Stuck, .. }), "{actions:?}");
    assert_eq!(bench.tell(SupervisionInput::Exited { generation: 1, cause: "signal 9".into() }), [], "known already");
    assert_eq!(bench.policy.failures_total(), 1);
}

#[test]
fn starting_has_a_deadline_of_its_own_that_pulses_renew() {
    let mut bench = Bench::new(setup());
    bench.tell(SupervisionInput::Start);
    bench.tell(SupervisionInput::Work { generation: 1 });
    bench.pass(Span::from_secs(50)).tell(SupervisionInput::Progress { generation: 1 });
    assert_eq!(bench.pass(Span::from_secs(50)).tell(SupervisionInput::Tick), []);
    assert_eq!(bench.due()[0], SupervisionAction::Kill { generation: 1 });
    assert_eq!(bench.status(), EngineStatus::Crashed);
    assert!(bench.policy.last_error().unwrap().contains("while starting"));
}

#[test]
fn work_handed_over_before_ready_is_watched_from_ready_on() {
    let mut bench = Bench::new(setup());
    bench.tell(SupervisionInput::Start);
    bench.tell(SupervisionInput::Work { generation: 1 });
    bench.pass(Span::from_secs(30)).ready();
    assert_eq!(bench.policy.next_deadline(), Some(bench.now + Span::from_secs(3)));
}

#[test]
fn what_cannot_be_made_is_a_failure_too() {
    let mut bench = Bench::new(setup());
    bench.tell(SupervisionInput::Start);
    let actions = bench.tell(SupervisionInput::SpawnFailed { generation: 1, reason: "no such file".into() });
    assert!(matches!(actions[0], SupervisionAction::Alert { kind: AlertKind::SpawnFailed, .. }), "{actions:?}");
    assert_eq!(bench.status(), EngineStatus::Crashed);
    assert_eq!(bench.due(), [SupervisionAction::Spawn { generation: 2 }]);
}

#[test]
fn a_stop_is_asked_for_and_then_forced() {
    let mut bench = Bench::running(setup());
    assert_eq!(bench.tell(SupervisionInput::Stop), [SupervisionAction::Stop { generation: 1 }]);
    assert_eq!(bench.status(), EngineStatus::Stopping);
    assert_eq!(bench.tell(SupervisionInput::Stop), [], "once is enough");
    assert_eq!(bench.due(), [SupervisionAction::Kill { generation: 1 }]);
    assert_eq!(bench.status(), EngineStatus::Stopped);
    assert_eq!((bench.crash(), bench.policy.failures_total()), (vec![], 0));
}

#[test]
fn an_exit_that_was_asked_for_is_no_failure() {
    let mut bench = Bench::running(setup());
    bench.tell(SupervisionInput::Stop);
    assert_eq!(bench.crash(), []);
    assert_eq!((bench.status(), bench.policy.failures_total()), (EngineStatus::Stopped, 0));
    assert_eq!(bench.tell(SupervisionInput::Start), [SupervisionAction::Spawn { generation: 2 }]);
}

#[test]
fn a_stop_during_backoff_stops() {
    let mut bench = Bench::running(setup());
    bench.crash();
    assert_eq!(bench.tell(SupervisionInput::Stop), []);
    assert_eq!((bench.status(), bench.policy.next_deadline()), (EngineStatus::Stopped, None));
}

#[test]
fn a_restart_waits_for_the_old_one_to_go() {
    let mut bench = Bench::running(setup());
    assert_eq!(bench.tell(SupervisionInput::Restart), [SupervisionAction::Stop { generation: 1 }]);
    assert_eq!(bench.crash(), [SupervisionAction::Spawn { generation: 2 }]);
    bench.tell(SupervisionInput::Restart);
    assert_eq!(bench.due(), [SupervisionAction::Kill { generation: 2 }, SupervisionAction::Spawn { generation: 3 }]);
    bench.tell(SupervisionInput::Restart);
    bench.tell(SupervisionInput::Stop);
    assert_eq!((bench.crash(), bench.status()), (vec![], EngineStatus::Stopped), "the last wish counts");
}

#[test]
fn a_pause_lasts_through_a_crash_and_ends_by_resume_or_restart() {
    let mut bench = Bench::new(setup());
    bench.tell(SupervisionInput::Pause);
    bench.tell(SupervisionInput::Start);
    bench.ready();
    bench.tell(SupervisionInput::Pause);
    assert_eq!(bench.status(), EngineStatus::Paused);
    bench.crash();
    bench.due();
    bench.tell(SupervisionInput::Ready { generation: 2 });
    assert_eq!(bench.status(), EngineStatus::Paused);
    bench.tell(SupervisionInput::Resume);
    assert_eq!(bench.status(), EngineStatus::Running);
    bench.tell(SupervisionInput::Pause);
    bench.tell(SupervisionInput::Restart);
    bench.crash();
    bench.ready();
}

#[test]
fn reports_of_another_generation_change_nothing() {
    let mut bench = Bench::running(setup());
    bench.crash();
    bench.due();
    for generation in [0, 1, 3, u64::MAX] {
        for input in [
            SupervisionInput::Ready { generation },
            SupervisionInput::Exited { generation, cause: String::new() },
            SupervisionInput::SpawnFailed { generation, reason: String::new() },
            SupervisionInput::Progress { generation },
        ] {
            let deadline = bench.policy.next_deadline();
            assert_eq!(bench.pass(Span::SECOND).tell(input), []);
            assert_eq!((bench.status(), bench.policy.next_deadline()), (EngineStatus::Starting, deadline));
        }
    }
}

#[test]
fn quarantine_is_told_once_and_lifted_by_a_person_alone() {
    for wish in [SupervisionInput::Restart, SupervisionInput::Start] {
        let mut bench = Bench::running(setup());
        for _ in 0..4 {
            bench.crash();
            bench.due();
            bench.ready();
        }
        let actions = bench.crash();
        let [SupervisionAction::Alert { kind, attempt, next_retry, .. }, SupervisionAction::Quarantine] = &actions[..]
        else {
            panic!("{actions:?}");
        };
        assert_eq!((*kind, *attempt, *next_retry), (AlertKind::Quarantined, 5, None));
        assert_eq!((bench.status(), bench.policy.next_deadline()), (EngineStatus::Quarantined, None));
        assert_eq!(bench.pass(Span::DAY).tell(SupervisionInput::Tick), []);
        assert_eq!(bench.tell(wish), [SupervisionAction::Spawn { generation: 6 }]);
        assert_eq!(bench.policy.failures_in_window(bench.now), 0);
        bench.ready();
        bench.crash();
        assert_eq!(bench.status(), EngineStatus::Crashed, "the window began anew");
    }
}

/// Crashes an engine at these distances, each long enough to count as healthy, and says after which crash it was
/// quarantined.
fn quarantined_after(setup: SupervisionSetup, gaps: &[Span]) -> Option<usize> {
    let mut bench = Bench::running(setup);
    for (n, gap) in gaps.iter().enumerate() {
        bench.pass(*gap).crash();
        if bench.status() == EngineStatus::Quarantined {
            return Some(n + 1);
        }
        bench.ready();
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
    /// Every run is healthy here, so that restarts are at once and only the window decides.
    #[test]
    fn exactly_so_many_failures_within_the_window_quarantine(
        failures_max in 1..8_u32,
        gaps_ms in prop::collection::vec(1_000..30_000_i64, 1..40),
    ) {
        let setup = SupervisionSetup { failures_max, healthy_after: Span::SECOND, ..setup() };
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
