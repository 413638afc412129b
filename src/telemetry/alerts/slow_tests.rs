use std::sync::Mutex;
use std::time::Instant;

use super::*;

/// Delivers nothing before something critical comes first.
#[derive(Clone, Default)]
struct Stuck {
    tries: Arc<AtomicU64>,
    delivered: Arc<Mutex<Vec<String>>>,
}

impl Carrier for Stuck {
    fn name(&self) -> &'static str {
        "stuck"
    }

    async fn carry(&self, messages: &[Told]) -> (usize, Answer) {
        self.tries.fetch_add(1, Ordering::SeqCst);
        let mut delivered = self.delivered.lock().unwrap();
        if delivered.is_empty() && messages[0].alert.severity != Severity::Critical {
            return (1, Answer::Later { after: None, why: "stuck".into() });
        }
        delivered.push(messages[0].alert.text.clone());
        (1, Answer::Delivered)
    }
}

fn eventually(what: &str, is: impl Fn() -> bool) {
    let since = Instant::now();
    while !is() {
        assert!(since.elapsed() < Duration::from_secs(30), "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn what_is_critical_goes_before_what_is_stuck() {
    let (carrier, ms) = (Stuck::default(), Duration::from_millis);
    let pace =
        Pace { between: ms(0), backoff_first: ms(1), backoff_max: ms(1), tries_max: u32::MAX, ..Pace::default() };
    let metrics = Arc::new(Metrics::new().unwrap());
    let (channel, guard) = Slow::start(carrier.clone(), Severity::Warning, Span::ZERO, pace, metrics).unwrap();
    let warn = |n: u32| channel.send(&Alert::warning(Topic::Account, None, format!("warning {n}")));
    warn(0);
    eventually("the first is tried", || carrier.tries.load(Ordering::SeqCst) > 0);
    // More than may wait.
    (1..=500).for_each(warn);
    channel.send(&Alert::critical(Topic::Account, None, "the latch is set"));
    eventually("it arrives", || !carrier.delivered.lock().unwrap().is_empty());
    eventually("the newest, too", || carrier.delivered.lock().unwrap().last().unwrap() == "warning 500");
    drop(guard);
    let delivered = carrier.delivered.lock().unwrap();
    assert_eq!(delivered[0], "the latch is set");
    assert!(delivered.iter().any(|text| text.contains("were not delivered here")), "the losses are owned up to");
}
