//! The channel against real servers on loopback that misbehave on demand.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use levibot_core::alerts::{Alert, Topic};
use levibot_core::domain::Span;
use tracing_subscriber::layer::SubscriberExt;

use super::*;
use crate::telemetry::alerts::{AlertChannel, Pace, Slow, SlowGuard};
use crate::telemetry::logs;
use crate::telemetry::metrics::Metrics;

const SECRET: &str = "/services/T00000000/B00000000/s3cr3ts3cr3ts3cr3t";
const PATIENCE: Duration = Duration::from_secs(30);

/// What the server does with a request.
#[derive(Debug, Clone, Copy)]
enum Does {
    /// Answers with these words after `HTTP/1.1 `.
    Answer(&'static str),
    /// Reads and says nothing.
    Hang,
    /// Closes with a reset before it has read everything.
    Reset,
    /// Says what is no HTTP.
    Garbage,
}

const OK: Does = Does::Answer("200 OK\r\ncontent-length: 2\r\n\r\nok");

struct Server {
    address: String,
    bodies: Arc<Mutex<Vec<serde_json::Value>>>,
    asked: Arc<AtomicUsize>,
}

impl Server {
    /// Does these in order, and the last of them from then on.
    fn new(script: Vec<Does>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}{SECRET}", listener.local_addr().unwrap());
        let (bodies, asked) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
        let server = Self { address, bodies: Arc::clone(&bodies), asked: Arc::clone(&asked) };
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                // One request a connection: the client is told so.
                let does = script[asked.fetch_add(1, Ordering::SeqCst).min(script.len() - 1)];
                if matches!(does, Does::Reset) {
                    let _ = stream.shutdown(Shutdown::Both);
                    continue;
                }
                let Some(body) = request(&mut stream) else { continue };
                match does {
                    Does::Answer(text) => {
                        bodies.lock().unwrap().push(body);
                        let text = text.replacen("\r\n", "\r\nconnection: close\r\n", 1);
                        let _ = stream.write_all(format!("HTTP/1.1 {text}").as_bytes());
                    }
                    Does::Garbage => drop(stream.write_all(b"\x00\xffwhat?\r\n\r\n")),
                    Does::Hang | Does::Reset => held.push(stream),
                }
            }
        });
        server
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn texts(&self) -> Vec<String> {
        self.bodies.lock().unwrap().iter().map(|body| body["text"].as_str().unwrap().to_owned()).collect()
    }
}

/// Reads a request; its body as JSON.
fn request(stream: &mut TcpStream) -> Option<serde_json::Value> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4_096];
    loop {
        let read = stream.read(&mut chunk).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            assert!(head.starts_with(&format!("POST {SECRET} HTTP/1.1\r\n")), "{head}");
            assert!(head.to_ascii_lowercase().contains("content-type: application/json"), "{head}");
            if let Ok(body) = serde_json::from_str(body) {
                return Some(body);
            }
        }
    }
}

fn quick() -> Pace {
    let ms = Duration::from_millis;
    let last_words = Duration::from_secs(2);
    Pace { between: ms(1), backoff_first: ms(5), backoff_max: ms(20), tries_max: 4, last_words }
}

/// A channel to this server, without a quiet time unless one is given.
struct Rig {
    server: Server,
    metrics: Arc<Metrics>,
    channel: Slow,
    guard: SlowGuard,
}

impl Rig {
    fn new(script: Vec<Does>) -> Self {
        Self::with(script, quick(), Span::ZERO, Duration::from_millis(300))
    }

    fn with(script: Vec<Does>, pace: Pace, quiet: Span, request: Duration) -> Self {
        let server = Server::new(script);
        let metrics = Arc::new(Metrics::new().unwrap());
        let slack = Slack::with_patience(server.address.as_str().into(), request).unwrap();
        assert!(!format!("{slack:?}").contains("s3cr3t"));
        let started = Slow::start(slack, Severity::Warning, quiet, pace, Arc::clone(&metrics));
        let (channel, guard) = started.unwrap();
        Self { server, metrics, channel, guard }
    }

    fn warn(&self, text: &str) {
        self.channel.send(&Alert::warning(Topic::Account, None, text));
    }

    fn lost(&self) -> u64 {
        let text = self.metrics.encode().unwrap();
        let line = text.lines().find(|line| line.starts_with("levibot_alerts_lost_total{channel=\"slack\"} "));
        line.unwrap().rsplit_once(' ').unwrap().1.parse().unwrap()
    }
}

fn eventually(what: &str, is: impl Fn() -> bool) {
    let since = Instant::now();
    while !is() {
        assert!(since.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn an_alert_arrives_as_slack_wants_it() {
    let rig = Rig::new(vec![OK]);
    rig.channel.send(&Alert::info(Topic::Account, None, "not urgent enough"));
    rig.channel.send(&Alert::critical(Topic::EngineQuarantine, None, "a <b> & \"c\""));
    eventually("it arrives", || rig.server.texts().len() == 1);
    assert_eq!(rig.server.texts(), ["\u{1f6a8} critical: a &lt;b&gt; &amp; \"c\""]);
    assert_eq!((rig.server.asked(), rig.lost()), (1, 0));
}

#[test]
fn what_passes_by_itself_is_tried_again() {
    let busy = Does::Answer("503 Service Unavailable\r\ncontent-length: 0\r\n\r\n");
    for script in [vec![busy, busy, OK], vec![Does::Hang, OK], vec![Does::Reset, OK], vec![Does::Garbage, OK]] {
        let (tries, rig) = (script.len(), Rig::new(script.clone()));
        rig.warn("it");
        eventually("it is tried to the end", || rig.server.asked() == tries);
        let Rig { server, metrics, guard, .. } = rig;
        drop(guard);
        assert!(server.texts().pop().unwrap().ends_with("warning: it"), "{script:?}");
        assert!(metrics.encode().unwrap().contains("lost_total{channel=\"slack\"} 0"), "{script:?}");
    }
}

#[test]
fn slack_is_left_alone_for_as_long_as_it_asks() {
    let limited = Does::Answer("429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n");
    let rig = Rig::new(vec![limited, OK]);
    rig.warn("first");
    eventually("it is asked", || rig.server.asked() == 1);
    let since = Instant::now();
    eventually("it is asked again", || rig.server.asked() == 2);
    // The instant of the first answer is not known to the millisecond.
    assert!(since.elapsed() > Duration::from_millis(700), "it was asked again after {:?}", since.elapsed());
    assert_eq!(rig.lost(), 0);
}

#[test]
fn what_never_arrives_is_dropped_counted_and_owned_up_to() {
    let broken = Does::Answer("500 Internal Server Error\r\ncontent-length: 0\r\n\r\n");
    let rig = Rig::new(vec![broken, broken, broken, broken, OK]);
    rig.warn("first");
    eventually("it is given up", || rig.lost() == 1);
    rig.warn("second");
    eventually("the next arrives", || rig.server.asked() == 5);
    let last = rig.server.texts().pop().unwrap();
    let (own, second) = last.split_once('\n').unwrap();
    assert!(own.ends_with("1 alerts before this one were not delivered here; the log has them"), "{own}");
    assert!(second.ends_with("warning: second"), "{second}");
}

#[test]
fn a_refusal_is_said_once_with_the_remedy_and_the_address_is_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let (layer, logs) = logs::files(dir.path(), 1, || levibot_core::domain::Ts::from_secs(0)).unwrap();
    let dispatch = tracing::Dispatch::new(tracing_subscriber::registry().with(layer));
    let gone = Does::Answer("404 Not Found\r\ncontent-length: 10\r\n\r\nno_service");
    let redirect = Does::Answer("302 Found\r\nlocation: http://127.0.0.1:1/other\r\ncontent-length: 0\r\n\r\n");
    let page = Does::Answer("200 OK\r\ncontent-length: 13\r\n\r\n<html></html>");
    let busy = Does::Answer("503 no\r\ncontent-length: 0\r\n\r\n");
    tracing::dispatcher::with_default(&dispatch, || {
        for (does, told) in [(gone, "404 with `no_service`"), (redirect, "302"), (page, "200 with nothing")] {
            judge(vec![does], told);
        }
        judge(vec![busy], "503");
        judge(vec![Does::Reset], "");
        judge(vec![Does::Garbage], "");
        judge(vec![Does::Hang], "");
        let nobody = format!("http://127.0.0.1:1{SECRET}");
        let answer = block_on(Slack::new(nobody.into()).unwrap().post("x"));
        tracing::error!(?answer, "nobody listens");
        let odd = block_on(Slack::new(format!("http://[{SECRET}").into()).unwrap().post("x"));
        tracing::error!(?odd, "no address");
        assert!(matches!(odd, Answer::Refused { .. }), "{odd:?}");
    });
    drop(logs);
    let text = std::fs::read_to_string(dir.path().join("daemon-19700101.jsonl")).unwrap();
    assert!(text.lines().count() >= 9, "{text}");
    assert!(!text.contains("s3cr3t") && !text.contains("/services/"), "{text}");
}

/// One post to a server that does this, logged with all that is known of it.
fn judge(script: Vec<Does>, wanted: &str) {
    let server = Server::new(script);
    let slack = Slack::with_patience(server.address.as_str().into(), Duration::from_millis(200)).unwrap();
    let answer = block_on(slack.post("x"));
    tracing::error!(?answer, ?slack, "answer");
    let (Answer::Refused { why } | Answer::Later { why, .. }) = &answer else { panic!("{answer:?}") };
    assert!(why.contains(wanted), "{why}");
    if let Answer::Refused { why } = &answer {
        assert!(why.contains("LEVIBOT_SLACK_WEBHOOK") && why.contains("restart"), "{why}");
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn refused_alerts_are_counted_and_do_not_hold_up_later_ones() {
    let gone = Does::Answer("410 Gone\r\ncontent-length: 19\r\n\r\nchannel_is_archived");
    let rig = Rig::new(vec![gone, gone, OK]);
    rig.warn("a");
    eventually("it is refused", || rig.lost() == 1);
    rig.warn("b");
    eventually("it is refused", || rig.lost() == 2);
    rig.warn("c");
    eventually("it arrives", || rig.server.asked() == 3);
    assert!(rig.server.texts()[2].contains("2 alerts before this one"), "{:?}", rig.server.texts());
}

#[test]
fn the_end_of_the_program_delivers_what_waits() {
    let rig = Rig::with(vec![OK], Pace::default(), Span::HOUR, PATIENCE);
    for n in 0..50 {
        rig.warn(&format!("alert {n}"));
    }
    let Rig { server, metrics, channel, guard } = rig;
    drop(guard);
    let texts = server.texts().join("\n");
    assert!(texts.contains("warning: alert 0") && texts.contains("49 alerts (account)"), "{texts}");
    assert!(texts.contains("first: alert 1; last: alert 49"), "{texts}");
    assert!(metrics.encode().unwrap().contains("levibot_alerts_lost_total{channel=\"slack\"} 0"));
    // Nobody takes it any more, and nobody waits.
    channel.send(&Alert::warning(Topic::Account, None, "too late"));
    assert!(metrics.encode().unwrap().contains("levibot_alerts_lost_total{channel=\"slack\"} 1"));
}

#[test]
fn a_server_that_hangs_does_not_keep_the_program_from_ending() {
    let pace = Pace { last_words: Duration::from_millis(200), ..Pace::default() };
    let rig = Rig::with(vec![Does::Hang], pace, Span::ZERO, Duration::from_secs(3_600));
    rig.warn("a");
    eventually("it is asked", || rig.server.asked() == 1);
    rig.warn("b");
    let Rig { metrics, channel, guard, .. } = rig;
    drop(guard);
    eventually("both are counted", || {
        metrics.encode().unwrap().contains("levibot_alerts_lost_total{channel=\"slack\"} 2")
    });
    drop(channel);
}

#[test]
fn a_flood_costs_the_sender_nothing_and_is_owned_up_to() {
    let rig = Rig::with(vec![Does::Hang], quick(), Span::ZERO, Duration::from_secs(3_600));
    rig.warn("first");
    eventually("it is asked", || rig.server.asked() == 1);
    for n in 0..20_000 {
        rig.warn(&n.to_string());
    }
    assert!(rig.lost() > 10_000, "{}", rig.lost());
    let Rig { metrics, guard, .. } = rig;
    drop(guard);
    eventually("every alert is accounted for", || {
        metrics.encode().unwrap().contains("levibot_alerts_lost_total{channel=\"slack\"} 20001")
    });
}

#[test]
fn a_message_keeps_to_slacks_limits() {
    let told = |text: String| Told { alert: Alert::warning(Topic::Venue, None, text), count: 1 };
    let (taken, text) = text_of(&[told("<".repeat(3_000)), told("next".into()), told("x".repeat(2_990))]);
    assert_eq!(taken, 2);
    assert!(text.chars().count() <= CHARS_MAX);
    let (long, next) = text.split_once('\n').unwrap();
    assert!(long.ends_with("&lt;\u{2026}") && long.chars().count() <= LINE_CHARS_MAX + 1, "cut inside an entity");
    assert!(next.ends_with("warning: next"));
}
