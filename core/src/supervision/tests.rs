use super::*;
use crate::domain::{Actions, Span, Ts};

pub(super) struct Bench {
    pub(super) policy: Policy,
    out: Actions<SupervisionAction>,
    pub(super) now: Ts,
}

impl Bench {
    pub(super) fn new(setup: SupervisionSetup) -> Self {
        setup.validate().unwrap();
        Self { policy: Policy::new("BTCUSDT".parse().unwrap(), setup), out: Actions::new(), now: Ts::from_secs(1_000) }
    }

    pub(super) fn tell(&mut self, input: SupervisionInput) -> Vec<SupervisionAction> {
        self.policy.step(&input, self.now, &mut self.out);
        self.out.drain().collect()
    }

    pub(super) fn pass(&mut self, span: Span) -> &mut Self {
        self.now = self.now + span;
        self
    }

    /// Started and ready.
    pub(super) fn running(setup: SupervisionSetup) -> Self {
        let mut bench = Self::new(setup);
        assert_eq!(bench.tell(SupervisionInput::Start), [SupervisionAction::Spawn { generation: 1 }]);
        bench.ready();
        bench
    }

    pub(super) fn ready(&mut self) {
        let generation = self.policy.generation();
        self.tell(SupervisionInput::Spawned { generation });
        self.tell(SupervisionInput::Ready { generation });
        assert_eq!(self.policy.status(), EngineStatus::Running);
    }

    pub(super) fn crash(&mut self) -> Vec<SupervisionAction> {
        let generation = self.policy.generation();
        self.tell(SupervisionInput::Exited { generation, cause: "signal 9".into() })
    }

    /// Waits for what is due and ticks.
    pub(super) fn due(&mut self) -> Vec<SupervisionAction> {
        self.now = self.policy.next_deadline().expect("something is due");
        self.tell(SupervisionInput::Tick)
    }

    pub(super) fn status(&self) -> EngineStatus {
        self.policy.status()
    }
}

pub(super) fn setup() -> SupervisionSetup {
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
    assert!((40..=60).contains(&delay), "{delay} ms");
    assert_eq!(bench.tell(SupervisionInput::Tick), [], "not before its time");
    assert_eq!(bench.due(), [SupervisionAction::Spawn { generation: 2 }]);
    bench.ready();
    assert_eq!((bench.policy.restarts(), bench.policy.failures_total()), (1, 1));
    assert_eq!(bench.policy.last_error(), Some("signal 9"));
}

/// Checks that the restart comes after this many milliseconds, give or take the jitter.
#[track_caller]
fn assert_delay(bench: &Bench, actions: &[SupervisionAction], expected_ms: i64) {
    let delay = (retry(actions).unwrap() - bench.now).nanos() / 1_000_000;
    assert!(delay * 10 >= expected_ms * 8 - 10 && delay * 10 <= expected_ms * 12, "{delay} for {expected_ms}");
}

#[test]
fn after_a_healthy_time_the_restart_is_at_once_unless_another_failure_is_in_the_window() {
    let mut bench = Bench::running(setup());
    let actions = bench.pass(Span::from_secs(60)).crash();
    assert_eq!(retry(&actions), Some(bench.now));
    assert_eq!(actions[1], SupervisionAction::Spawn { generation: 2 });
    bench.ready();
    let actions = bench.pass(Span::from_secs(59)).crash();
    assert_delay(&bench, &actions, 50);

    let long = SupervisionSetup { window: Span::MINUTE.times(10), ..setup() };
    let mut bench = Bench::running(long);
    for expected_ms in [0, 50, 100, 200] {
        let actions = bench.pass(Span::from_secs(60)).crash();
        assert_delay(&bench, &actions, expected_ms);
        if expected_ms > 0 {
            bench.due();
        }
        bench.ready();
    }
}

#[test]
fn delays_double_from_crash_to_crash_and_longer_ones_from_failed_start_to_failed_start() {
    let setup = SupervisionSetup { failures_max: 20, ..setup() };
    let mut bench = Bench::running(setup);
    for expected_ms in [50, 50, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000] {
        let actions = bench.crash();
        assert_delay(&bench, &actions, expected_ms);
        bench.due();
        bench.ready();
    }
    let mut bench = Bench::new(setup);
    bench.tell(SupervisionInput::Start);
    for expected_ms in [200, 400, 800, 1_600, 3_200, 5_000, 5_000] {
        let actions = bench.crash();
        assert_delay(&bench, &actions, expected_ms);
        bench.due();
    }
    // What counts is how this one ended, not how those before it did.
    bench.ready();
    let actions = bench.crash();
    assert_delay(&bench, &actions, 3_200);
}

#[test]
fn an_engine_that_never_starts_is_given_seconds_before_it_is_given_up() {
    let mut bench = Bench::new(setup());
    bench.tell(SupervisionInput::Start);
    let began = bench.now;
    for _ in 0..4 {
        bench.crash();
        bench.due();
    }
    bench.crash();
    assert_eq!(bench.status(), EngineStatus::Quarantined);
    assert!(bench.now - began > Span::from_secs(2), "{:?}", bench.now - began);
}

#[test]
fn delays_shrink_again_as_failures_leave_the_window() {
    let mut bench = Bench::running(setup());
    for expected_ms in [50, 50, 100, 200] {
        let actions = bench.pass(Span::from_secs(14)).crash();
        assert_delay(&bench, &actions, expected_ms);
        bench.due();
        bench.ready();
    }
    // An engine that is killed every 20 s settles at three failures a window, and so at one doubling.
    for expected_ms in [200, 200, 100, 100, 100] {
        let actions = bench.pass(Span::from_secs(20)).crash();
        assert_delay(&bench, &actions, expected_ms);
        bench.due();
        bench.ready();
    }
    let actions = bench.pass(Span::from_secs(59)).crash();
    assert_delay(&bench, &actions, 50);
    bench.due();
    bench.ready();
    assert_eq!(bench.pass(Span::from_secs(61)).crash().len(), 2, "alone in the window again: at once");
}

#[test]
fn its_phase_and_what_is_left_of_a_backoff_can_be_seen() {
    let mut bench = Bench::new(setup());
    let see = |bench: &Bench| (bench.policy.phase(), bench.policy.is_wanted(), bench.policy.next_retry().is_some());
    assert_eq!(see(&bench), ("stopped", false, false));
    bench.tell(SupervisionInput::Start);
    assert_eq!(see(&bench), ("starting", true, false));
    bench.ready();
    bench.tell(SupervisionInput::Pause);
    assert_eq!(see(&bench), ("ready", true, false));
    bench.crash();
    assert_eq!(see(&bench), ("backoff", true, true));
    assert_eq!((bench.policy.failures_in_window(bench.now), bench.policy.restarts_in_window(bench.now)), (1, 0));
    bench.due();
    assert_eq!(bench.policy.restarts_in_window(bench.now), 1);
    bench.tell(SupervisionInput::Restart);
    assert_eq!(see(&bench), ("stopping", true, false));
    bench.tell(SupervisionInput::Stop);
    assert_eq!(see(&bench), ("stopping", false, false));
    bench.crash();
    assert_eq!(see(&bench), ("stopped", false, false));
    bench.tell(SupervisionInput::Start);
    for _ in 0..4 {
        bench.crash();
        bench.due();
    }
    bench.crash();
    assert_eq!(see(&bench), ("quarantined", true, false));
    assert_eq!((bench.policy.failures_in_window(bench.now), bench.policy.restarts_in_window(bench.now)), (5, 4));
    bench.pass(Span::HOUR);
    assert_eq!(bench.policy.restarts_in_window(bench.now), 0);
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
    bench.pass(Span::from_secs(9)).tell(SupervisionInput::Progress { generation: 1 });
    assert_eq!(bench.pass(Span::from_secs(9)).tell(SupervisionInput::Tick), []);
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
