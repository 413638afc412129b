//! Log lines: for people on stderr, and as JSON lines in one file a symbol and UTC day.
//!
//! No caller ever waits for a disk or a terminal. Lines go through bounded queues to threads of their own; what does not
//! fit is counted and reported in a later line.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use levibot_core::domain::{Span, Symbol, Ts};
use tracing::field::{Field, Visit};

use tracing::{Event, Subscriber, span};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt as human};

use super::clock::{monotonic_now, wall_now};
use super::log_files::Files;
pub(crate) use super::log_files::OPEN_MAX as OPEN_FILES_MAX;

/// Lines that may wait for a writer thread.
const QUEUE_LINES: usize = 65_536;
/// Longest value of one field in a line, bytes; longer text is cut.
const VALUE_BYTES_MAX: usize = 8_192;
/// Libraries whose everyday lines say nothing to our users; a directive of the user's own for them wins.
const QUIETER: &str = "actix_server=warn";
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
    pub hidden_on_stderr: Option<&'static str>,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { level: "info".into(), dir: None, keep_days: 30, hidden_on_stderr: None }
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
    let (stderr, mut guard) = stderr_lines()?;
    let people =
        human::layer().with_timer(WallClock).with_ansi(io::stderr().is_terminal()).with_writer(move || stderr.clone());
    let hidden = settings.hidden_on_stderr;
    let people = people.with_filter(filter_fn(move |meta| hidden != Some(meta.target())));
    let files = match &settings.dir {
        Some(dir) => {
            let (layer, files_guard) = files(dir, settings.keep_days, wall_now)?;
            guard.join(files_guard);
            Some(layer)
        }
        None => None,
    };
    Ok((tracing_subscriber::registry().with(filter).with(people).with(files), guard))
}

/// The layer that writes JSON lines into `dir`, with its writer thread. `clock` stamps the lines.
///
/// # Errors
/// [`LogError`] when the folder cannot be made or the thread does not start.
pub fn files(
    dir: &Path,
    keep_days: u32,
    clock: impl Fn() -> Ts + Send + Sync + 'static,
) -> Result<(JsonLines, LogGuard), LogError> {
    let folder = |source| LogError::Folder { path: dir.to_path_buf(), source };
    let mut files = Files::open(dir, keep_days, clock()).map_err(folder)?;
    let (sender, receiver) = mpsc::sync_channel(QUEUE_LINES);
    let lost = Arc::new(AtomicU64::new(0));
    let layer = JsonLines { lines: sender, lost: Arc::clone(&lost), clock: Box::new(clock) };
    let (counted, nudge) = (Arc::clone(&lost), layer.lines.clone());
    let nudge = move || drop(nudge.try_send(None));
    let run = move |stop: &AtomicBool| write_files(&mut files, &receiver, stop, &counted);
    Ok((layer, LogGuard::writer("log-files", lost, nudge, run)?))
}

/// One line on its way to its file.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) symbol: Option<Symbol>,
    pub(super) ts: Ts,
    pub(super) json: String,
}

/// Takes lines until told to stop and nothing waits. Flushes whenever the queue is empty.
fn write_files(files: &mut Files, lines: &Receiver<Option<Line>>, stop: &AtomicBool, lost: &AtomicU64) {
    let (mut reported, mut complained) = (0, None::<Ts>);
    drain(lines, stop, |line| {
        let result = match line {
            Some(line) => {
                let (now, before) = (lost.load(Ordering::Relaxed), reported);
                reported = now;
                let report = if now > before { files.write(&lost_line(line.ts, now - before)) } else { Ok(()) };
                report.and(files.write(&line))
            }
            None => files.flush(),
        };
        if let Err(error) = result {
            lost.fetch_add(1, Ordering::Relaxed);
            let now = monotonic_now();
            // A full disk fails every line: once a minute is enough.
            if complained.is_none_or(|at| now - at > Span::MINUTE) {
                complained = Some(now);
                let _ = writeln!(io::stderr(), "log lines cannot be written to {}: {error}", files.dir().display());
            }
        }
    });
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

fn lost_line(ts: Ts, count: u64) -> Line {
    let json = format!(r#"{{"ts":"{ts}","level":"warn","msg":"log lines were lost","count":{count}}}"#);
    Line { symbol: None, ts, json }
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

fn stderr_lines() -> Result<(StderrLines, LogGuard), LogError> {
    let (lines, receiver) = mpsc::sync_channel::<Option<Vec<u8>>>(QUEUE_LINES);
    let (lost, nudge) = (Arc::new(AtomicU64::new(0)), lines.clone());
    let nudge = move || drop(nudge.try_send(None));
    let guard = LogGuard::writer("log-stderr", Arc::clone(&lost), nudge, move |stop| {
        drain(&receiver, stop, |line| {
            let _ = line.map_or(Ok(()), |line| io::stderr().write_all(&line));
        });
    })?;
    Ok((StderrLines { lines, lost }, guard))
}

/// A layer that turns events into JSON lines and hands them to the writer thread. An event belongs to a symbol by its own
/// field `symbol` or by that of the nearest span around it.
pub struct JsonLines {
    lines: SyncSender<Option<Line>>,
    lost: Arc<AtomicU64>,
    clock: Box<dyn Fn() -> Ts + Send + Sync>,
}

impl fmt::Debug for JsonLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonLines").field("lost", &self.lost).finish_non_exhaustive()
    }
}

/// The symbol that a span was opened with.
struct SpanSymbol(Symbol);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for JsonLines {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let (Some(symbol), Some(span)) = (fields.symbol(), context.span(id)) {
            span.extensions_mut().insert(SpanSymbol(symbol));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let symbol = fields.symbol().or_else(|| {
            let mut spans = context.event_scope(event).into_iter().flatten();
            spans.find_map(|span| span.extensions().get::<SpanSymbol>().map(|s| s.0))
        });
        let ts = (self.clock)();
        let line = Line { symbol, ts, json: fields.line(ts, event.metadata(), symbol) };
        if self.lines.try_send(Some(line)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The fields of one event, each value already JSON.
#[derive(Default)]
struct Fields {
    symbol: Option<String>,
    message: Option<String>,
    rest: Vec<(&'static str, String)>,
}

impl Fields {
    /// The symbol, if its text is one: it becomes part of a file's name.
    fn symbol(&self) -> Option<Symbol> {
        Symbol::from_str(self.symbol.as_deref()?).ok()
    }

    fn text(&mut self, field: &Field, text: &str) {
        match field.name() {
            "symbol" => self.symbol = Some(cut(text).to_owned()),
            "message" => self.message = Some(json_text(text)),
            _ => self.json(field, json_text(text)),
        }
    }

    fn json(&mut self, field: &Field, value: String) {
        match self.rest.iter_mut().find(|(name, _)| *name == field.name()) {
            Some(slot) => slot.1 = value,
            None => self.rest.push((field.name(), value)),
        }
    }

    fn line(&self, ts: Ts, metadata: &tracing::Metadata<'_>, symbol: Option<Symbol>) -> String {
        let level = match *metadata.level() {
            tracing::Level::ERROR => "error",
            tracing::Level::WARN => "warn",
            tracing::Level::INFO => "info",
            tracing::Level::DEBUG => "debug",
            tracing::Level::TRACE => "trace",
        };
        let mut json = format!(r#"{{"ts":"{ts}","level":"{level}""#);
        // Text that is no symbol is shown, but names no file.
        if let Some(symbol) = symbol.map(|s| s.to_string()).or_else(|| self.symbol.clone()) {
            let _ = write!(json, r#","symbol":{}"#, json_text(&symbol));
        }
        let message = self.message.as_deref().unwrap_or(r#""""#);
        let _ = write!(json, r#","msg":{message},"target":{}"#, json_text(metadata.target()));
        for (name, value) in &self.rest {
            let reserved = matches!(*name, "ts" | "level" | "msg" | "target");
            let name = json_text(name.strip_prefix("r#").unwrap_or(name));
            let name = if reserved { format!(r#""field_{}"#, &name[1..]) } else { name };
            let _ = write!(json, ",{name}:{value}");
        }
        json.push('}');
        json
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(VALUE_BYTES_MAX)]
}

fn json_text(text: &str) -> String {
    serde_json::Value::from(cut(text)).to_string()
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no NaN and no infinity: they are written as text.
        let number = serde_json::Number::from_f64(value).map(|n| n.to_string());
        self.json(field, number.unwrap_or_else(|| format!("\"{value}\"")));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.json(field, value.to_string());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.json(field, value.to_string());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.json(field, value.to_string());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(inner) = source.filter(|_| text.len() < VALUE_BYTES_MAX) {
            let _ = write!(text, ": {inner}");
            source = inner.source();
        }
        self.text(field, &text);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
#[path = "logs_tests.rs"]
mod tests;
