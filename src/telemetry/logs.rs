//! Log lines: for people on stderr, and as JSON lines in one file a symbol and UTC day.
//!
//! No caller ever waits for a disk or a terminal. Lines go through bounded queues to threads of their own; what does not
//! fit is counted and reported in a later line.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use levibot_core::domain::{Span, Symbol, Ts};
use tracing::{Event, Subscriber, span};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt as human};

use super::alerts::ALERT_TARGET;
use super::clock::{monotonic_now, wall_now};
use super::log_caps::{Caps, LeftOut};
use super::log_files::Files;
pub(crate) use super::log_files::OPEN_MAX as OPEN_FILES_MAX;
use super::log_line::{Fields, Line, OwnSymbol, left_out_line, lost_line};

/// The target of lines about the log itself.
pub(super) const TARGET: &str = module_path!();
/// Lines that may wait for a writer thread.
const QUEUE_LINES: usize = 65_536;
/// Libraries whose everyday lines say nothing to our users; a directive of the user's own for them wins.
const QUIETER: &str = "actix_server=warn";
/// Targets of lines that other programs said. They are capped whatever level they have.
const FOREIGN: [&str; 2] = ["levibot::engine", "levibot::model"];
/// How long a writer thread rests before it looks whether it should end.
const POLL: Duration = Duration::from_millis(200);
/// How long the end of the program waits for the last lines.
const SHUTDOWN_WAIT: Duration = Duration::from_secs(3);

/// How to log.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// A level (`error warn info debug trace`) or directives such as `info,levibot::journal=debug`.
    pub level: String,
    /// Folder of the JSON lines; `None` logs to stderr only, as commands that end at once do.
    pub dir: Option<PathBuf>,
    /// Days that files are kept, today included; at least 1.
    pub keep_days: u32,
    /// Target of lines that go to the files alone: a replay has thousands of them in a second.
    /// No cap holds for them.
    pub hidden_on_stderr: Option<&'static str>,
    /// Lines that each symbol may log in a second, at least 1, and ten times as many at once; so many of no symbol, too.
    pub lines_per_second: u32,
    /// Size at which the file of a symbol and day stops growing, MiB, at least 1.
    pub file_mb_max: u32,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            level: "info".into(),
            dir: None,
            keep_days: 30,
            hidden_on_stderr: None,
            lines_per_second: 200,
            file_mb_max: 256,
        }
    }
}

/// Why logging cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level cannot be read.
    #[error("log level `{level}` is not known: write error, warn, info, debug or trace")]
    Level {
        /// What was given.
        level: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// The folder cannot be used.
    #[error("log folder `{}` cannot be used: make it writable for this user or set another one", path.display())]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A writer thread did not start.
    #[error("the log writer did not start: raise this user's limit of threads")]
    Thread(#[source] io::Error),
    /// Logging was set up before.
    #[error("logging is already set up in this process")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
}

/// Sets up logging for the whole process. The last lines are written when the guard is dropped: hold it in `main` and
/// drop it before `std::process::exit`.
///
/// # Errors
/// [`LogError`] when the level or the folder cannot be used, or when logging was set up before.
pub fn init(settings: &LogSettings) -> Result<LogGuard, LogError> {
    let (subscriber, guard) = subscriber(settings)?;
    subscriber.try_init().map_err(LogError::Twice)?;
    Ok(guard)
}

fn subscriber(settings: &LogSettings) -> Result<(impl Subscriber + Send + Sync + 'static, LogGuard), LogError> {
    let level = || settings.level.clone();
    let filter = EnvFilter::builder()
        .parse(format!("{QUIETER},{}", settings.level))
        .map_err(|source| LogError::Level { level: level(), source })?;
    let caps = Arc::new(Caps::new(settings.lines_per_second));
    let (stderr, mut guard) = stderr_lines(&caps)?;
    let people =
        human::layer().with_timer(WallClock).with_ansi(io::stderr().is_terminal()).with_writer(move || stderr.clone());
    let files = match &settings.dir {
        Some(dir) => {
            let bytes_max = u64::from(settings.file_mb_max.max(1)) << 20;
            let (layer, files_guard) =
                capped_files(dir, settings.keep_days, bytes_max, wall_now, Some(Arc::clone(&caps)))?;
            guard.join(files_guard);
            Some(layer)
        }
        None => None,
    };
    let lines = Capped { caps, people, hidden: settings.hidden_on_stderr, files };
    Ok((tracing_subscriber::registry().with(filter).with(lines), guard))
}

/// The layer that writes JSON lines into `dir`, with its writer thread and no cap. `clock` stamps the lines.
///
/// # Errors
/// [`LogError`] when the folder cannot be made or the thread does not start.
pub fn files(
    dir: &Path,
    keep_days: u32,
    clock: impl Fn() -> Ts + Send + Sync + 'static,
) -> Result<(JsonLines, LogGuard), LogError> {
    capped_files(dir, keep_days, u64::MAX, clock, None)
}

fn capped_files(
    dir: &Path,
    keep_days: u32,
    bytes_max: u64,
    clock: impl Fn() -> Ts + Send + Sync + 'static,
    caps: Option<Arc<Caps>>,
) -> Result<(JsonLines, LogGuard), LogError> {
    let folder = |source| LogError::Folder { path: dir.to_path_buf(), source };
    let files = Files::open(dir, keep_days, bytes_max, clock()).map_err(folder)?;
    let (sender, receiver) = mpsc::sync_channel(QUEUE_LINES);
    let lost = Arc::new(AtomicU64::new(0));
    let clock: Clock = Arc::new(clock);
    let layer = JsonLines { lines: sender, lost: Arc::clone(&lost), clock: Arc::clone(&clock) };
    let nudge = layer.lines.clone();
    let nudge = move || drop(nudge.try_send(None));
    let left_out = caps.map(|caps| LeftOut::new(caps, monotonic_now()));
    let mut writer = FileWriter { files, left_out, clock, lost: Arc::clone(&lost), reported: 0, complained: None };
    let run = move |stop: &AtomicBool| writer.run(&receiver, stop);
    Ok((layer, LogGuard::writer("log-files", lost, nudge, run)?))
}

/// What stamps the lines.
type Clock = Arc<dyn Fn() -> Ts + Send + Sync>;

/// Writes lines until told to stop and nothing waits. Flushes whenever the queue is empty.
struct FileWriter {
    files: Files,
    left_out: Option<LeftOut>,
    clock: Clock,
    lost: Arc<AtomicU64>,
    /// How many of the lost lines were told.
    reported: u64,
    /// When a failing disk was told of.
    complained: Option<Ts>,
}

impl FileWriter {
    fn run(&mut self, lines: &Receiver<Option<Line>>, stop: &AtomicBool) {
        drain(lines, stop, |line| {
            let result = match line {
                Some(line) => self.write(&line),
                None => self.files.flush(),
            };
            let told = self.tell_left_out(false);
            self.complain(result.and(told));
        });
        let told = self.tell_left_out(true).and_then(|()| self.files.flush());
        self.complain(told);
    }

    fn write(&mut self, line: &Line) -> io::Result<()> {
        let (now, before) = (self.lost.load(Ordering::Relaxed), self.reported);
        self.reported = now;
        let report = if now > before { self.files.write(&lost_line(line.ts, now - before)) } else { Ok(()) };
        report.and(self.files.write(line))
    }

    fn tell_left_out(&mut self, is_end: bool) -> io::Result<()> {
        self.files.tell_full((self.clock)(), monotonic_now(), is_end)?;
        let Some(left_out) = &mut self.left_out else { return Ok(()) };
        for (symbol, count) in left_out.look(monotonic_now(), is_end) {
            self.files.write(&left_out_line(symbol, (self.clock)(), count))?;
        }
        Ok(())
    }

    /// A full disk fails every line: once a minute is enough.
    fn complain(&mut self, result: io::Result<()>) {
        let Err(error) = result else { return };
        self.lost.fetch_add(1, Ordering::Relaxed);
        let now = monotonic_now();
        if self.complained.is_none_or(|at| now - at > Span::MINUTE) {
            self.complained = Some(now);
            let _ = writeln!(io::stderr(), "log lines cannot be written to {}: {error}", self.files.dir().display());
        }
    }
}

/// Hands every item to `take`, and `None` whenever the queue has run empty. Ends when told to stop and nothing waits; a
/// `None` in the queue only wakes it.
fn drain<T>(items: &Receiver<Option<T>>, stop: &AtomicBool, mut take: impl FnMut(Option<T>)) {
    loop {
        let mut next = match items.recv_timeout(POLL) {
            Ok(item) => item,
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        while let Some(item) = next {
            take(Some(item));
            next = items.try_recv().ok().flatten();
        }
        take(None);
        if stop.load(Ordering::Acquire) {
            // What was sent before the stop may still lie behind the nudge.
            items.try_iter().flatten().for_each(|item| take(Some(item)));
            take(None);
            break;
        }
    }
}

/// Writes the last lines when dropped, waiting at most a few seconds.
#[derive(Debug)]
#[must_use = "dropping the guard ends the log"]
pub struct LogGuard {
    writers: Vec<WriterThread>,
}

struct WriterThread {
    stop: Arc<AtomicBool>,
    nudge: Box<dyn Fn() + Send + Sync>,
    ended: Receiver<()>,
    lost: Arc<AtomicU64>,
}

impl fmt::Debug for WriterThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriterThread").field("stop", &self.stop).field("lost", &self.lost).finish_non_exhaustive()
    }
}

impl LogGuard {
    fn writer(
        name: &str,
        lost: Arc<AtomicU64>,
        nudge: impl Fn() + Send + Sync + 'static,
        run: impl FnOnce(&AtomicBool) + Send + 'static,
    ) -> Result<Self, LogError> {
        let stop = Arc::new(AtomicBool::new(false));
        let (end, ended) = mpsc::sync_channel(1);
        let told = Arc::clone(&stop);
        std::thread::Builder::new()
            .name(name.into())
            .spawn(move || {
                run(&told);
                let _ = end.try_send(());
            })
            .map_err(LogError::Thread)?;
        Ok(Self { writers: vec![WriterThread { stop, nudge: Box::new(nudge), ended, lost }] })
    }

    fn join(&mut self, mut other: Self) {
        self.writers.append(&mut other.writers);
    }

    /// Lines that were lost so far: a full queue or a failing disk.
    pub fn lost(&self) -> u64 {
        self.writers.iter().map(|w| w.lost.load(Ordering::Relaxed)).sum()
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        for writer in &self.writers {
            writer.stop.store(true, Ordering::Release);
            (writer.nudge)();
        }
        for writer in &self.writers {
            // A disk or a terminal that hangs must not keep the program from ending.
            let _ = writer.ended.recv_timeout(SHUTDOWN_WAIT);
        }
    }
}

/// Stamps the lines on stderr.
struct WallClock;

impl human::time::FormatTime for WallClock {
    fn format_time(&self, w: &mut human::format::Writer<'_>) -> fmt::Result {
        write!(w, "{}", wall_now())
    }
}

/// Hands whole lines to the thread that writes stderr.
#[derive(Clone)]
struct StderrLines {
    lines: SyncSender<Option<Vec<u8>>>,
    lost: Arc<AtomicU64>,
}

impl Write for StderrLines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.lines.try_send(Some(line.to_vec())).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn stderr_lines(caps: &Arc<Caps>) -> Result<(StderrLines, LogGuard), LogError> {
    let (lines, receiver) = mpsc::sync_channel::<Option<Vec<u8>>>(QUEUE_LINES);
    let (lost, nudge) = (Arc::new(AtomicU64::new(0)), lines.clone());
    let nudge = move || drop(nudge.try_send(None));
    let mut left_out = LeftOut::new(Arc::clone(caps), monotonic_now());
    let guard = LogGuard::writer("log-stderr", Arc::clone(&lost), nudge, move |stop| {
        let mut tell = |is_end| {
            for (symbol, count) in left_out.look(monotonic_now(), is_end) {
                let of = symbol.map(|symbol| format!(" of {symbol}")).unwrap_or_default();
                let _ = writeln!(io::stderr(), "{}  WARN {count} lines{of} left out", wall_now());
            }
        };
        drain(&receiver, stop, |line| {
            let _ = line.map_or(Ok(()), |line| io::stderr().write_all(&line));
            tell(false);
        });
        tell(true);
    })?;
    Ok((StderrLines { lines, lost }, guard))
}

/// Lets lines through to people and files, or leaves them out in both places.
struct Capped<P> {
    caps: Arc<Caps>,
    people: P,
    /// Target of lines that only the files get.
    hidden: Option<&'static str>,
    files: Option<JsonLines>,
}

/// Alerts and errors of our own.
fn is_vital(metadata: &tracing::Metadata<'_>) -> bool {
    let target = metadata.target();
    (*metadata.level() == tracing::Level::ERROR && !FOREIGN.contains(&target)) || target == ALERT_TARGET
}

impl<P> Capped<P> {
    /// What is vital, and what a replay says of every trade.
    fn always_goes(&self, metadata: &tracing::Metadata<'_>) -> bool {
        is_vital(metadata) || self.hidden == Some(metadata.target())
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>, P: Layer<S>> Layer<S> for Capped<P> {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        remember_symbol(attributes, id, &context);
        self.people.on_new_span(attributes, id, context);
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        self.people.on_record(id, values, context);
    }

    fn on_enter(&self, id: &span::Id, context: Context<'_, S>) {
        self.people.on_enter(id, context);
    }

    fn on_exit(&self, id: &span::Id, context: Context<'_, S>) {
        self.people.on_exit(id, context);
    }

    fn on_close(&self, id: span::Id, context: Context<'_, S>) {
        self.people.on_close(id, context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let symbol = symbol_of(event, &context);
        if !self.always_goes(event.metadata()) && !self.caps.let_through(symbol, monotonic_now()) {
            return;
        }
        if let Some(files) = &self.files {
            files.hand_on(event, symbol);
        }
        if self.hidden != Some(event.metadata().target()) {
            self.people.on_event(event, context);
        }
    }
}

/// A layer that turns events into JSON lines and hands them to the writer thread. An event belongs to a symbol by its own
/// field `symbol` or by that of the nearest span around it.
pub struct JsonLines {
    lines: SyncSender<Option<Line>>,
    lost: Arc<AtomicU64>,
    clock: Clock,
}

impl fmt::Debug for JsonLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonLines").field("lost", &self.lost).finish_non_exhaustive()
    }
}

/// The symbol that a span was opened with.
struct SpanSymbol(Symbol);

fn remember_symbol<S: Subscriber + for<'a> LookupSpan<'a>>(
    attributes: &span::Attributes<'_>,
    id: &span::Id,
    context: &Context<'_, S>,
) {
    let mut own = OwnSymbol::default();
    attributes.record(&mut own);
    if let (Some(symbol), Some(span)) = (own.0, context.span(id)) {
        span.extensions_mut().replace(SpanSymbol(symbol));
    }
}

/// The symbol that a line belongs to.
fn symbol_of<S: Subscriber + for<'a> LookupSpan<'a>>(event: &Event<'_>, context: &Context<'_, S>) -> Option<Symbol> {
    let mut own = OwnSymbol::default();
    event.record(&mut own);
    own.0.or_else(|| {
        let mut spans = context.event_scope(event).into_iter().flatten();
        spans.find_map(|span| span.extensions().get::<SpanSymbol>().map(|s| s.0))
    })
}

impl JsonLines {
    fn hand_on(&self, event: &Event<'_>, symbol: Option<Symbol>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let ts = (self.clock)();
        let (json, is_vital) = (fields.line(ts, event.metadata(), symbol), is_vital(event.metadata()));
        let line = Line { symbol, ts, json, is_vital };
        if self.lines.try_send(Some(line)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for JsonLines {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        remember_symbol(attributes, id, &context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        self.hand_on(event, symbol_of(event, &context));
    }
}

#[cfg(test)]
#[path = "logs_tests.rs"]
mod tests;
