//! A model server for tests: a thread that speaks the protocol and misbehaves on demand.

use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use levibot_core::domain::{Forecast, Member, Symbol, Timeframe, Ts, Vote};
use levibot_core::forecast::{
    Answer, Batch, FromModel, PROTOCOL_VERSION, Ready, Refusal, ToModel, decode, encode, schema_hash,
};
use levibot_core::frames::{encode_bytes, read_frame};

use super::server::{ModelHost, ServerProcess};

/// Digest of the version that it says it has.
pub(super) const DIGEST: &str = "d1";

/// How the server misbehaves.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// Cannot be started.
    pub(super) missing: AtomicBool,
    /// Ends before its first word.
    pub(super) dead: AtomicBool,
    /// Says what is no word.
    pub(super) garbage: AtomicBool,
    /// Answers another batch than it was asked.
    pub(super) confused: AtomicBool,
    /// Loads until this is cleared.
    pub(super) loading: AtomicBool,
    /// Answers nothing while set.
    pub(super) mute: AtomicBool,
    /// Refuses every question.
    pub(super) refuses: AtomicBool,
    /// Ends when it has got so many batches more, once; 0 for never.
    pub(super) die_after: AtomicU64,
    /// Ends whenever this symbol is asked for.
    pub(super) poison: Mutex<Option<Symbol>>,
    /// What it says of itself.
    pub(super) ready: Mutex<Option<Ready>>,
    /// Every batch that it got.
    pub(super) got: Mutex<Vec<Batch>>,
}

pub(super) fn on(fault: &AtomicBool) -> bool {
    fault.load(Ordering::Acquire)
}

pub(super) fn set(fault: &AtomicBool, to: bool) {
    fault.store(to, Ordering::Release);
}

pub(super) fn ready() -> Ready {
    Ready {
        protocol: PROTOCOL_VERSION,
        build: "test".to_owned(),
        schema: schema_hash(),
        version: "v1".parse().unwrap(),
        digest: DIGEST.to_owned(),
        trained_through: Ts::EPOCH,
        timeframe: Timeframe::HOUR,
        horizon_bars: 12,
        symbols: Vec::new(),
    }
}

/// A forecast that is a matter of its question alone.
fn forecast(features: u64) -> Forecast {
    let mut votes = [None; Member::ALL.len()];
    votes[0] = Some(Vote { probability: 0.6, weight: 1.0 });
    let prob_up = (features % 1_000) as f64 / 1_000.0;
    Forecast { version: "v1".parse().unwrap(), features, votes, prob_up, quantiles: None }
}

/// The server: a thread that speaks the protocol at the other end of the socket.
fn serve(mut socket: UnixStream, faults: &Faults) -> Option<()> {
    let say = |socket: &mut UnixStream, word: &FromModel| {
        let mut frame = Vec::new();
        encode_bytes(&encode(word).unwrap(), &mut frame).unwrap();
        std::io::Write::write_all(socket, &frame).ok()
    };
    if on(&faults.dead) {
        return None;
    }
    if on(&faults.garbage) {
        let mut frame = Vec::new();
        encode_bytes(b"\xFF\xFF\xFF", &mut frame).unwrap();
        std::io::Write::write_all(&mut socket, &frame).ok()?;
    }
    while on(&faults.loading) {
        std::thread::yield_now();
    }
    let word = faults.ready.lock().unwrap().clone().unwrap_or_else(ready);
    say(&mut socket, &FromModel::Ready(word))?;
    loop {
        let ToModel::Forecast(batch) = decode(&read_frame(&mut socket).ok()??).unwrap();
        faults.got.lock().unwrap().push(batch.clone());
        let last = faults.die_after.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| n.checked_sub(1));
        let poison = *faults.poison.lock().unwrap();
        if last == Ok(1) || batch.questions.iter().any(|q| Some(q.symbol) == poison) {
            return None;
        }
        while on(&faults.mute) {
            std::thread::yield_now();
        }
        let refuses = on(&faults.refuses);
        let of = |features| if refuses { Err(Refusal::Hash) } else { Ok(forecast(features)) };
        let forecasts = batch.questions.iter().map(|q| of(q.features)).collect();
        let id = if on(&faults.confused) { batch.id + 1_000 } else { batch.id };
        say(&mut socket, &FromModel::Answer(Answer { id, forecasts, took_us: 1 }))?;
    }
}

#[derive(Debug)]
pub(super) struct TestHost(pub(super) Arc<Faults>);

#[derive(Debug)]
struct Running {
    socket: UnixStream,
    over: Arc<AtomicBool>,
    faults: Arc<Faults>,
}

impl ServerProcess for Running {
    fn pid(&self) -> Option<u32> {
        Some(4_711)
    }

    fn kill(&self) {
        // What has hung is freed, as a kill does.
        set(&self.faults.mute, false);
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    fn ended(&self) -> Option<String> {
        on(&self.over).then(|| "the test's server has ended".to_owned())
    }
}

impl ModelHost for TestHost {
    fn start(&self, socket: UnixStream) -> Result<Arc<dyn ServerProcess>, String> {
        if on(&self.0.missing) {
            return Err("there is no such program".to_owned());
        }
        let (over, faults) = (Arc::<AtomicBool>::default(), Arc::clone(&self.0));
        let running =
            Running { socket: socket.try_clone().unwrap(), over: Arc::clone(&over), faults: Arc::clone(&self.0) };
        std::thread::spawn(move || {
            serve(socket.try_clone().unwrap(), &faults);
            let _ = socket.shutdown(Shutdown::Both);
            set(&over, true);
        });
        Ok(Arc::new(running))
    }
}
