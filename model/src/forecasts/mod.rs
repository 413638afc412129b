//! What a version says of every bar of the past, as a live engine would have asked, into one file.
//!
//! The feed, the warm-up, the features and the windows are those of a replay, and each answer is that of the server: it
//! depends on its question alone. So the file is the same with any number of threads.
//!
//! ```text
//! feed ── columns ── runs ──> workers (each owns the version) ── answers ── in order ──> file
//! ```

mod column;
mod error;
mod workers;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use levibot_core::domain::{Feed, Frame, Ix, MarketEvent, Symbol, Timeframe, Ts};
use levibot_core::driver::WARM_UP_BARS;
use levibot_core::files::{self, FileFeed, FileReport, Loaded as LoadedFiles, Series};
use levibot_core::forecast::{KeptKey, KeptWriter, bars_digest, schema_hash};

pub use error::ForecastsError;

use crate::progress::Progress;
use crate::versions::{Metadata, Versions};
use column::Column;
use workers::{Answers, Workers};

/// What is wanted.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// A price file or a folder of them.
    pub data: &'a Path,
    /// The symbols of the market; `None` for all that are found.
    pub symbols: Option<&'a [Symbol]>,
    /// Those of them that are asked about; `None` for all.
    pub asked: Option<&'a [Symbol]>,
    /// Length of the bars, a multiple of that of the files; `None` for that of the version.
    pub timeframe: Option<Timeframe>,
    /// Bars that open at or after this are asked about; earlier ones warm up.
    pub from: Option<Ts>,
    /// Bars that close at or before this are asked about.
    pub to: Option<Ts>,
    /// The file. One that is there is replaced when the new one is whole.
    pub out: &'a Path,
    /// Threads, 1 or more.
    pub threads: usize,
}

/// What was done.
#[derive(Debug)]
pub struct Done {
    /// What the forecasts are of.
    pub key: KeptKey,
    /// How many there are.
    pub forecasts: u64,
    /// What the files were like, in symbol order.
    pub reports: Vec<FileReport>,
}

/// Asks the version whose `metadata` these are about all that is wanted, and writes the file.
///
/// # Errors
/// [`ForecastsError`]; no file is written then, and one that was there stays.
pub fn make(
    versions: &Versions,
    metadata: &Metadata,
    wanted: &Wanted<'_>,
    progress: &dyn Progress,
) -> Result<Done, ForecastsError> {
    let timeframe = wanted.timeframe.unwrap_or(metadata.timeframe);
    if timeframe != metadata.timeframe {
        let (version, learnt) = (metadata.version, metadata.timeframe);
        return Err(ForecastsError::Timeframe { version, learnt, wanted: timeframe });
    }
    let (series, reports) = read(wanted, timeframe, progress)?;
    let key = key(metadata, wanted, timeframe, &series)?;
    let indexed = series.into_iter().enumerate().filter_map(|(at, one)| Some((Ix::from_usize(at)?, one)));
    let mut feed = FileFeed::new(indexed.collect(), timeframe, wanted.from, wanted.to)?;
    let beside = Beside::of(wanted.out)?;
    let file = File::create(&beside.path).map_err(ForecastsError::write(&beside.path))?;
    let writer = KeptWriter::new(BufWriter::new(file), &key).map_err(ForecastsError::write(&beside.path))?;
    let mut sink = Sink { writer, path: &beside.path, progress, next: 0, waiting: BTreeMap::new(), count: 0 };

    let frames = (key.end - key.start).nanos() / timeframe.span().nanos().max(1);
    let most = u64::try_from(frames).unwrap_or(0) * key.asked.len() as u64;
    progress.begin("forecasting", most);
    let workers = Workers::start(wanted.threads, versions, metadata.version, &key)?;
    walk(&mut feed, &key, &workers, &mut sink)?;
    progress.end();

    let Sink { writer, count, .. } = sink;
    let failed = ForecastsError::write(&beside.path);
    let finish = || writer.finish()?.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all();
    finish().map_err(failed)?;
    fs::rename(&beside.path, wanted.out).map_err(ForecastsError::write(wanted.out))?;
    Ok(Done { key, forecasts: count, reports })
}

/// The bars of every symbol, in name order, and what their files were like.
fn read(
    wanted: &Wanted<'_>,
    timeframe: Timeframe,
    progress: &dyn Progress,
) -> Result<(Vec<Series>, Vec<FileReport>), ForecastsError> {
    let mut found = files::discover(wanted.data)?;
    if let Some(symbols) = wanted.symbols {
        let path = wanted.data;
        if let Some(symbol) = symbols.iter().find(|symbol| !found.contains_key(symbol)) {
            return Err(ForecastsError::NoFile { symbol: *symbol, path: path.to_owned() });
        }
        found.retain(|symbol, _| symbols.contains(symbol));
    }
    progress.begin("reading prices", found.len() as u64);
    let (mut all, mut reports) = (Vec::with_capacity(found.len()), Vec::new());
    for (symbol, paths) in &found {
        let (LoadedFiles { series, reports: more }, _) = files::load_as(*symbol, paths, timeframe)?;
        progress.step(1, symbol.as_str());
        all.push(series);
        reports.extend(more);
    }
    progress.end();
    Ok((all, reports))
}

fn key(
    metadata: &Metadata,
    wanted: &Wanted<'_>,
    timeframe: Timeframe,
    series: &[Series],
) -> Result<KeptKey, ForecastsError> {
    let first = series.iter().filter_map(|one| one.bars.first()).map(|bar| bar.open_ts).min();
    let last = series.iter().filter_map(|one| one.bars.last()).map(|bar| bar.close_ts(timeframe)).max();
    let start = wanted.from.max(first).unwrap_or(Ts::EPOCH);
    let end = wanted.to.map_or(last, |to| last.map(|last| last.min(to))).unwrap_or(Ts::EPOCH);
    let symbols: Vec<Symbol> = series.iter().map(|one| one.symbol).collect();
    let is_asked = |symbol: &Symbol| wanted.asked.is_none_or(|asked| asked.contains(symbol));
    let asked: Vec<Symbol> = symbols.iter().copied().filter(is_asked).collect();
    if let Some(symbol) = wanted.asked.and_then(|all| all.iter().find(|one| !symbols.contains(one))) {
        return Err(ForecastsError::NoFile { symbol: *symbol, path: wanted.data.to_owned() });
    }
    Ok(KeptKey {
        version: metadata.version,
        digest: metadata.digest.clone(),
        schema: schema_hash(),
        trained_through: metadata.trained_through,
        bars: bars_digest(series.iter().map(|one| (one.symbol, one.bars.as_slice())), timeframe, end),
        symbols,
        asked,
        timeframe,
        start,
        end,
        warm_up: u32::try_from(WARM_UP_BARS).unwrap_or(u32::MAX),
    })
}

/// Asks about every bar of the feed.
fn walk(
    feed: &mut FileFeed,
    key: &KeptKey,
    workers: &Workers,
    sink: &mut Sink<'_, impl Write>,
) -> Result<(), ForecastsError> {
    let asked = |symbol: &Symbol| key.asked.contains(symbol).then(Column::default);
    let mut columns: Vec<Option<Column>> = key.symbols.iter().map(asked).collect();
    let mut sent = 0;
    let mut take = |frame: &Frame, asks: bool| -> Result<(), ForecastsError> {
        for (ix, bar) in &frame.bars {
            let Some(column) = columns.get_mut(ix.at()).and_then(Option::as_mut) else { continue };
            column.take(bar, &frame.context);
            if asks && let Some(run) = column.ask(ix.0, frame.ts) {
                workers.send(sent, run, sink)?;
                sent += 1;
            }
        }
        Ok(())
    };
    for frame in feed.history(WARM_UP_BARS) {
        take(&frame, false)?;
    }
    while let Some(event) = feed.next_event() {
        if let MarketEvent::Frame(frame) = event {
            take(&frame, true)?;
        }
    }
    for (at, column) in columns.iter_mut().enumerate() {
        let run = column.as_mut().and_then(|column| column.rest(u16::try_from(at).ok()?));
        if let Some(run) = run {
            workers.send(sent, run, sink)?;
            sent += 1;
        }
    }
    while sink.next < sent {
        sink.take(workers.receive()?)?;
    }
    Ok(())
}

/// Answers as they come, written in the order in which they were asked.
struct Sink<'a, W> {
    writer: KeptWriter<W>,
    path: &'a Path,
    progress: &'a dyn Progress,
    /// The run whose answers are written next.
    next: u64,
    waiting: BTreeMap<u64, Answers>,
    count: u64,
}

impl<W: Write> Sink<'_, W> {
    fn take(&mut self, (number, answers): (u64, Answers)) -> Result<(), ForecastsError> {
        self.progress.step(answers.forecasts.len() as u64, "");
        self.waiting.insert(number, answers);
        while let Some(answers) = self.waiting.remove(&self.next) {
            self.next += 1;
            for (bar, forecast) in answers.forecasts {
                self.writer.push(answers.symbol, bar, forecast).map_err(ForecastsError::write(self.path))?;
                self.count += 1;
            }
        }
        Ok(())
    }
}

/// A file beside the one that is wanted, which is gone when it is not renamed.
struct Beside {
    path: PathBuf,
}

impl Beside {
    fn of(out: &Path) -> Result<Self, ForecastsError> {
        let name = out.file_name().unwrap_or_default().to_string_lossy();
        let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(ForecastsError::write(folder))?;
        Ok(Self { path: folder.join(format!(".{name}.{}", std::process::id())) })
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // After the rename it has its name no more.
        let _ = fs::remove_file(&self.path);
    }
}
