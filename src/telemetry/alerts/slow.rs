//! What stands before a channel that is slow: a bounded queue, the coalescer, a bounded outbox, and patience with limits.
//!
//! All of it runs on one thread of its own. Whoever alerts only puts into the queue; what does not fit there or in the
//! outbox, and what cannot be delivered after many tries, is counted, and the next message that arrives says how much.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self as ended, RecvTimeoutError};
use std::time::Duration;

use levibot_core::alerts::{Alert, Coalescer, Severity, Told, Topic};
use levibot_core::domain::{Span, Ts};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::AlertChannel;
use super::outbox::Outbox;
use crate::telemetry::clock::monotonic_now;
use crate::telemetry::metrics::Metrics;

/// Alerts that may wait for the coalescer.
const QUEUE_MAX: usize = 1_024;
/// Messages that are handed to the carrier at a time.
const BATCH_MAX: usize = 64;
/// The longest that is waited because the other side asked for it.
const AFTER_MAX: Duration = Duration::from_secs(3_600);

/// What brings messages to people.
pub trait Carrier: Send + 'static {
    /// Its name in logs and metrics.
    fn name(&self) -> &'static str;

    /// Delivers as many of the first messages as fit in one, at least one. The same messages give the same number.
    fn carry(&self, messages: &[Told]) -> impl Future<Output = (usize, Answer)> + Send;
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It has arrived.
    Delivered,
    /// It has not, and can later.
    Later {
        /// How long the other side wants to be left alone.
        after: Option<Duration>,
        /// Why not, for the log.
        why: String,
    },
    /// It has not, and will not until a person changes something.
    Refused {
        /// Why not and what to do about it, for the log.
        why: String,
    },
}

/// How patient the delivery is.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Rest after a message.
    pub between: Duration,
    /// Rest before the second try; it doubles from try to try.
    pub backoff_first: Duration,
    /// The longest that it becomes.
    pub backoff_max: Duration,
    /// Tries of a message, at least 1.
    pub tries_max: u32,
    /// How long the end of the program waits for what is not delivered yet.
    pub last_words: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            between: Duration::from_secs(1),
            backoff_first: Duration::from_secs(1),
            backoff_max: Duration::from_secs(60),
            tries_max: 8,
            last_words: Duration::from_secs(2),
        }
    }
}

/// Alerts that were taken, and what became of them.
struct Ledger {
    channel: &'static str,
    metrics: Arc<Metrics>,
    taken: AtomicU64,
    settled: AtomicU64,
    /// Lost and not yet told by a message.
    untold: AtomicU64,
}

impl Ledger {
    fn lost(&self, count: u64) {
        self.settled.fetch_add(count, Ordering::Relaxed);
        self.metrics.alerts().lost(self.channel, count);
        self.untold.fetch_add(count, Ordering::Relaxed);
    }
}

/// The way in to a slow channel.
pub struct Slow {
    level: Severity,
    queue: mpsc::Sender<Alert>,
    ledger: Arc<Ledger>,
}

impl fmt::Debug for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slow")
            .field("channel", &self.ledger.channel)
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}

impl AlertChannel for Slow {
    fn send(&self, alert: &Alert) {
        if alert.severity < self.level {
            return;
        }
        self.ledger.taken.fetch_add(1, Ordering::Relaxed);
        if self.queue.try_send(alert.clone()).is_err() {
            self.ledger.lost(1);
        }
    }
}

/// Delivers what is left and ends the thread when dropped, within [`Pace::last_words`].
#[derive(Debug)]
#[must_use = "dropping the guard ends the channel"]
pub struct SlowGuard {
    stop: watch::Sender<bool>,
    ended: ended::Receiver<()>,
    last_words: Duration,
}

impl Drop for SlowGuard {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        // The thread keeps to its deadline; a little more is for its own end.
        let patience = self.last_words + Duration::from_millis(500);
        if self.ended.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("a channel of alerts did not end in time");
        }
    }
}

impl Slow {
    /// A channel for alerts of `level` and above, on a thread of its own. Alerts that belong together are gathered for
    /// `quiet`.
    ///
    /// # Errors
    /// When the thread or its runtime cannot be made.
    pub fn start<C: Carrier>(
        carrier: C,
        level: Severity,
        quiet: Span,
        pace: Pace,
        metrics: Arc<Metrics>,
    ) -> io::Result<(Self, SlowGuard)> {
        let channel = carrier.name();
        metrics.alerts().lost(channel, 0);
        let [taken, settled, untold] = [0; 3].map(AtomicU64::new);
        let ledger = Arc::new(Ledger { channel, metrics, taken, settled, untold });
        let (queue, alerts) = mpsc::channel(QUEUE_MAX);
        let (stop, stopped) = watch::channel(false);
        let (end, ended) = ended::sync_channel(1);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let worker = Worker { carrier, pace, ledger: Arc::clone(&ledger), stopped, refused: false };
        std::thread::Builder::new().name(format!("alerts-{channel}")).spawn(move || {
            runtime.block_on(worker.run(alerts, quiet));
            // A look-up of a name that hangs must not keep the program from ending.
            runtime.shutdown_background();
            let _ = end.try_send(());
        })?;
        Ok((Self { level, queue, ledger }, SlowGuard { stop, ended, last_words: pace.last_words }))
    }
}

struct Worker<C> {
    carrier: C,
    pace: Pace,
    ledger: Arc<Ledger>,
    stopped: watch::Receiver<bool>,
    /// Whether the last delivery was refused, which has been said.
    refused: bool,
}

impl<C: Carrier> Worker<C> {
    async fn run(mut self, alerts: mpsc::Receiver<Alert>, quiet: Span) {
        let (mut stopped, ledger, last_words) = (self.stopped.clone(), Arc::clone(&self.ledger), self.pace.last_words);
        let outbox = Outbox::default();
        let gather = gather(alerts, stopped.clone(), quiet, &outbox, Arc::clone(&ledger));
        let deadline = async {
            let _ = stopped.wait_for(|stop| *stop).await;
            sleep(last_words).await;
        };
        tokio::select! {
            ((), ()) = async { tokio::join!(gather, self.deliver(&outbox)) } => {}
            () = deadline => {}
        }
        let left = ledger.taken.load(Ordering::Relaxed).saturating_sub(ledger.settled.load(Ordering::Relaxed));
        if left > 0 {
            ledger.lost(left);
            tracing::warn!(channel = ledger.channel, count = left, "alerts were not delivered before the end");
        }
    }

    /// Hands on what waits, until there is nothing any more and the coalescer has ended.
    async fn deliver(&mut self, outbox: &Outbox) {
        let mut waiting = Vec::new();
        while outbox.wait().await {
            outbox.fill(&mut waiting, BATCH_MAX);
            while !waiting.is_empty() {
                self.own_up(&mut waiting);
                let taken = self.post(&mut waiting, outbox).await.clamp(1, waiting.len());
                waiting.drain(..taken);
                self.rest(self.pace.between).await;
                outbox.fill(&mut waiting, BATCH_MAX);
            }
        }
    }

    /// What was lost is told before anything else.
    fn own_up(&self, waiting: &mut Vec<Told>) {
        let count = self.ledger.untold.swap(0, Ordering::Relaxed);
        if count > 0 {
            let text = format!("{count} alerts before this one were not delivered here; the log has them");
            waiting.insert(0, Told { alert: Alert::warning(Topic::Alerts, None, text), count });
        }
    }

    /// Delivers the first of these messages; how many. Tries again for as long as that can help. What is critical and
    /// comes meanwhile goes before the others, with all its tries before it.
    async fn post(&mut self, waiting: &mut Vec<Told>, outbox: &Outbox) -> usize {
        let (mut backoff, mut tries) = (self.pace.backoff_first, 0);
        loop {
            tries += 1;
            let (taken, answer) = self.carrier.carry(waiting).await;
            let of = &waiting[..taken.clamp(1, waiting.len())];
            let (after, why) = match answer {
                Answer::Delivered => {
                    self.refused = false;
                    self.ledger.settled.fetch_add(counts(of).0, Ordering::Relaxed);
                    return of.len();
                }
                Answer::Refused { why } => {
                    if !std::mem::replace(&mut self.refused, true) {
                        tracing::error!(channel = self.ledger.channel, why, "the channel refuses alerts");
                    }
                    self.drop_all(of);
                    return of.len();
                }
                Answer::Later { after, why } => (after, why),
            };
            tracing::debug!(channel = self.ledger.channel, tries, why, "alerts could not be delivered yet");
            // At the end of the program there is no time to do as we are asked.
            let asked_too_late = *self.stopped.borrow() && after.is_some();
            if tries >= self.pace.tries_max || asked_too_late {
                let count = counts(of).0;
                tracing::error!(channel = self.ledger.channel, count, tries, why, "alerts could not be delivered");
                self.drop_all(of);
                return of.len();
            }
            match after {
                Some(after) => self.rest(after.clamp(backoff, AFTER_MAX)).await,
                None => self.rest(backoff).await,
            }
            backoff = (backoff * 2).min(self.pace.backoff_max);
            if outbox.fill(waiting, BATCH_MAX) {
                tries = 0;
            }
        }
    }

    fn drop_all(&self, of: &[Told]) {
        let (alerts, owned_up) = counts(of);
        self.ledger.lost(alerts);
        self.ledger.untold.fetch_add(owned_up, Ordering::Relaxed);
    }

    /// Waits; not for long any more once the program ends.
    async fn rest(&mut self, length: Duration) {
        let ending = length.min(Duration::from_millis(100));
        if *self.stopped.borrow() {
            return sleep(ending).await;
        }
        if timeout(length, self.stopped.changed()).await.is_ok() {
            sleep(ending).await;
        }
    }
}

/// Alerts that these messages tell of, and losses that they own up to.
fn counts(of: &[Told]) -> (u64, u64) {
    let sum = |own: bool| of.iter().filter(|t| (t.alert.topic == Topic::Alerts) == own).map(|t| t.count).sum();
    (sum(false), sum(true))
}

/// Takes alerts and passes on what is to be told, until the program ends; then everything.
async fn gather(
    mut alerts: mpsc::Receiver<Alert>,
    mut stopped: watch::Receiver<bool>,
    quiet: Span,
    outbox: &Outbox,
    ledger: Arc<Ledger>,
) {
    let mut coalescer = Coalescer::new(quiet);
    let mut out = Vec::new();
    loop {
        let due = coalescer.next_tick();
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => break,
            () = until(due) => coalescer.tick(monotonic_now(), &mut out),
            alert = alerts.recv() => match alert {
                Some(alert) => coalescer.take(alert, monotonic_now(), &mut out),
                None => break,
            },
        }
        pass_on(&mut out, outbox, &ledger);
    }
    while let Ok(alert) = alerts.try_recv() {
        coalescer.take(alert, monotonic_now(), &mut out);
    }
    coalescer.flush(monotonic_now(), &mut out);
    pass_on(&mut out, outbox, &ledger);
    outbox.close();
}

/// Ends at an instant of the monotonic clock; never where there is none.
async fn until(due: Option<Ts>) {
    let Some(due) = due else { return std::future::pending().await };
    let nanos = u64::try_from((due - monotonic_now()).nanos()).unwrap_or(0);
    sleep(Duration::from_nanos(nanos)).await;
}

fn pass_on(out: &mut Vec<Told>, outbox: &Outbox, ledger: &Ledger) {
    let lost = out.drain(..).map(|told| outbox.put(told)).sum();
    if lost > 0 {
        ledger.lost(lost);
        tracing::warn!(channel = ledger.channel, count = lost, "alerts were lost: too many messages wait");
    }
}

#[cfg(test)]
#[path = "slow_tests.rs"]
mod tests;
