use std::process::{Child, Command};
use std::time::{Duration, Instant};

use super::*;

fn symbol(name: &str) -> Symbol {
    name.parse().unwrap()
}

fn running(name: &str, generation: u64, place: Place) -> Running {
    Running { symbol: symbol(name), generation, place }
}

/// A process that does nothing until it is killed.
struct Sleeper(Child);

impl Sleeper {
    fn new() -> Self {
        Self(Command::new("sleep").arg("600").spawn().unwrap())
    }

    fn place(&self) -> Place {
        Place::Process(self.0.id())
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        // A test may have ended it already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Keeps this thread busy until the kernel has counted so many ticks more of it.
fn work(place: Place, ticks: u64) {
    let (first, end) = (times(place).unwrap().spent, Instant::now() + Duration::from_secs(60));
    while times(place).unwrap().spent < first + ticks {
        assert!(Instant::now() < end, "no processor time is counted");
    }
}

fn this_thread() -> Place {
    Place::Thread(u32::try_from(nix::unistd::gettid().as_raw()).unwrap())
}

#[test]
fn a_thread_is_measured_by_itself_and_its_sum_only_grows_over_generations() {
    let place = this_thread();
    let mut meter = Meter::default();
    let mut sum = 0.0;
    let mut now = Ts::from_secs(10);
    meter.look(&[running("AAA", 1, place)], now, |_, seconds| sum += seconds);
    let first = meter.usage()[&symbol("AAA")];
    assert_eq!((first.pid, first.start_ticks, first.memory_bytes), (None, None, None));
    assert!((first.cpu_percent).abs() < f64::EPSILON, "nothing to compare with yet");
    work(place, 5);
    meter.look(&[running("AAA", 1, place)], now + Span::from_millis(900), |_, _| panic!("too early"));
    now = now + Span::SECOND;
    meter.look(&[running("AAA", 1, place)], now, |_, seconds| sum += seconds);
    let second = meter.usage()[&symbol("AAA")];
    assert!(second.cpu_seconds >= first.cpu_seconds + 0.05, "{first:?} {second:?}");
    assert!(
        (second.cpu_percent - (second.cpu_seconds - first.cpu_seconds) * 100.0).abs() < 0.1,
        "{first:?} {second:?}"
    );
    assert!((sum - second.cpu_seconds).abs() < 1e-9);

    // The next generation counts from its own start, and on top of what was.
    meter.look(&[running("AAA", 2, place)], now + Span::SECOND, |_, seconds| sum += seconds);
    let third = meter.usage()[&symbol("AAA")];
    assert_eq!(third.generation, 2);
    assert!((sum - second.cpu_seconds - third.cpu_seconds).abs() < 1e-9);
}

#[test]
fn a_process_has_memory_and_a_birth() {
    let sleeper = Sleeper::new();
    let mut meter = Meter::default();
    meter.look(&[running("AAA", 1, sleeper.place())], Ts::from_secs(1), |_, _| ());
    let usage = meter.usage()[&symbol("AAA")];
    assert_eq!(usage.pid, Some(sleeper.0.id()));
    assert!(usage.memory_bytes.is_some_and(|bytes| bytes > 0), "{usage:?}");
    assert!(usage.start_ticks.is_some_and(|ticks| ticks > 0));
}

#[test]
fn who_is_gone_is_no_error_and_not_shown() {
    let mut sleeper = Sleeper::new();
    let engines = [running("AAA", 1, sleeper.place()), running("BBB", 1, this_thread())];
    let mut meter = Meter::default();
    meter.look(&engines, Ts::from_secs(1), |_, _| ());
    assert_eq!(meter.usage().len(), 2);
    let soon = Ts::from_millis(1_100);
    meter.look(&[engines[0], Running { generation: 2, ..engines[1] }], soon, |_, _| panic!("too early"));
    assert_eq!(
        meter.usage().keys().map(Symbol::as_str).collect::<Vec<_>>(),
        ["AAA"],
        "another start is another engine"
    );
    sleeper.0.kill().unwrap();
    sleeper.0.wait().unwrap();
    meter.look(&engines, Ts::from_secs(2), |_, _| ());
    assert_eq!(meter.usage().keys().map(Symbol::as_str).collect::<Vec<_>>(), ["BBB"]);
    meter.look(&[running("AAA", 1, Place::Process(u32::MAX))], Ts::from_secs(3), |_, _| panic!("nobody is there"));
    assert!(meter.usage().is_empty());
}

#[test]
fn a_number_that_belongs_to_another_process_is_not_taken_for_the_engine() {
    let engine = running("AAA", 1, Place::Process(7));
    let times = Times { spent: 100, started: 1_000 };
    let (measured, _) = Measured::next(&engine, times, Ts::from_secs(1), None).unwrap();
    let other = Times { spent: 5, started: 2_000 };
    assert!(Measured::next(&engine, other, Ts::from_secs(2), Some(measured)).is_none());
}

#[test]
fn memory_is_looked_at_a_fifth_at_a_time_and_again_after_five_seconds() {
    let sleepers: Vec<Sleeper> = (0..6).map(|_| Sleeper::new()).collect();
    let name = |at: usize| format!("S{at}");
    let engines: Vec<Running> = sleepers.iter().enumerate().map(|(at, s)| running(&name(at), 1, s.place())).collect();
    let mut meter = Meter::default();
    let mut known = Vec::new();
    for second in 1..=4 {
        meter.look(&engines, Ts::from_secs(second), |_, _| ());
        known.push(meter.usage().values().filter(|usage| usage.memory_bytes.is_some()).count());
    }
    assert_eq!(known, [2, 4, 6, 6]);
    let looked =
        |meter: &Meter, at: i64| meter.engines.values().filter(|one| one.memory_at == Some(Ts::from_secs(at))).count();
    assert_eq!(looked(&meter, 4), 0, "five seconds are not over");
    meter.look(&engines, Ts::from_secs(6), |_, _| ());
    assert_eq!(looked(&meter, 6), 2);
}
