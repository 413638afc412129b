//! Threads that answer. Native models never leave the thread that loaded them: each has the version for itself.

use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use levibot_core::domain::{Forecast, ModelVersion, Symbol, Timeframe, Ts};
use levibot_core::forecast::{Asked, KeptKey, QUESTIONS_MAX, window_hash};

use super::Sink;
use super::column::Run;
use super::error::ForecastsError;
use crate::ensemble::Loaded;
use crate::versions::Versions;

/// Runs that are under way, for each thread.
const AHEAD: u64 = 2;

/// What was said of a run.
#[derive(Debug)]
pub(super) struct Answers {
    /// Place of the symbol.
    pub(super) symbol: u16,
    /// By close of the bar.
    pub(super) forecasts: Vec<(Ts, Forecast)>,
}

type Answered = Result<(u64, Answers), ForecastsError>;
type Inbox = Arc<Mutex<Receiver<(u64, Run)>>>;

/// See the module. Dropping them waits until they have ended.
#[derive(Debug)]
pub(super) struct Workers {
    runs: Option<SyncSender<(u64, Run)>>,
    answers: Receiver<Answered>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts `count` of them; each loads the version.
    pub(super) fn start(
        count: usize,
        versions: &Versions,
        version: ModelVersion,
        key: &KeptKey,
    ) -> Result<Self, ForecastsError> {
        let room = count.max(1) * usize::try_from(AHEAD).unwrap_or(1);
        let (runs, inbox) = sync_channel::<(u64, Run)>(room);
        let (outbox, answers) = sync_channel::<Answered>(room);
        let inbox: Inbox = Arc::new(Mutex::new(inbox));
        let mut threads = Vec::with_capacity(count.max(1));
        for at in 0..count.max(1) {
            let (versions, inbox, outbox) = (versions.clone(), Arc::clone(&inbox), outbox.clone());
            let (symbols, timeframe) = (key.symbols.clone(), key.timeframe);
            let work = move || {
                let loaded = versions.open(&version).map_err(Into::into).and_then(Loaded::load);
                match loaded {
                    Ok(loaded) => Worker { loaded, symbols, timeframe }.work(&inbox, &outbox),
                    // Whoever does not listen any more has an error already.
                    Err(error) => drop(outbox.send(Err(error.into()))),
                }
            };
            let builder = std::thread::Builder::new().name(format!("forecasts-{at}"));
            threads.push(builder.spawn(work).map_err(ForecastsError::Thread)?);
        }
        Ok(Self { runs: Some(runs), answers, threads })
    }

    /// Hands a run over. Where enough are under way, answers are taken first.
    pub(super) fn send(&self, number: u64, run: Run, sink: &mut Sink<'_, impl Write>) -> Result<(), ForecastsError> {
        while number - sink.next >= AHEAD * self.threads.len() as u64 {
            sink.take(self.receive()?)?;
        }
        let sent = self.runs.as_ref().is_some_and(|runs| runs.send((number, run)).is_ok());
        if sent { Ok(()) } else { self.receive().and(Err(ForecastsError::Ended)) }
    }

    /// The next answers, whichever those are.
    pub(super) fn receive(&self) -> Answered {
        self.answers.recv().unwrap_or(Err(ForecastsError::Ended))
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.runs = None;
        // Native code must not be at work while the process ends; at most one answer of each is waited for.
        for thread in self.threads.drain(..) {
            while !thread.is_finished() && self.answers.recv().is_ok() {}
            let _ = thread.join();
        }
    }
}

struct Worker {
    loaded: Loaded,
    symbols: Vec<Symbol>,
    timeframe: Timeframe,
}

impl Worker {
    fn work(&self, inbox: &Inbox, outbox: &SyncSender<Answered>) {
        loop {
            let next = inbox.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok((number, run)) = next else { return };
            let answered = self.answer(&run).map(|answers| (number, answers));
            if outbox.send(answered).is_err() {
                return;
            }
        }
    }

    fn answer(&self, run: &Run) -> Result<Answers, ForecastsError> {
        let symbol = self.symbols[usize::from(run.symbol)];
        let mut forecasts = Vec::with_capacity(run.closes.len());
        let mut asked = Vec::with_capacity(QUESTIONS_MAX);
        let mut windows = run.windows().peekable();
        while let Some((bar, window)) = windows.next() {
            asked.push(Asked { symbol, bar, features: window_hash(window), window: window.to_vec() });
            if asked.len() < QUESTIONS_MAX && windows.peek().is_some() {
                continue;
            }
            for (one, answer) in asked.iter().zip(self.loaded.forecast(&asked, self.timeframe)) {
                let version = self.loaded.metadata().version;
                let refused = |refusal| ForecastsError::Refused { version, symbol, bar: one.bar, refusal };
                forecasts.push((one.bar, answer.map_err(refused)?));
            }
            asked.clear();
        }
        Ok(Answers { symbol: run.symbol, forecasts })
    }
}
