//! The store of candles that nightly training reads: one file a symbol, grown from a folder of price files.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use levibot_core::domain::{Bar, Span, Symbol, Timeframe, Ts};
use levibot_core::files::{self, FileError};
use serde::{Deserialize, Serialize};

use crate::training::time_text;

/// Why candles cannot be collected.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Price files cannot be used; the text names file and remedy.
    #[error(transparent)]
    Files(#[from] FileError),
    /// A symbol without a file.
    #[error("{} holds no file of {symbol}: fetch it, or leave the symbol out", path.display())]
    NoSymbol {
        /// The folder of price files.
        path: PathBuf,
        /// Which symbol.
        symbol: Symbol,
    },
    /// The store cannot be written.
    #[error("{}: cannot be written; check that the folder may be written and that the disk is not full", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// What was collected of one symbol.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Collected {
    /// Which.
    pub symbol: Symbol,
    /// Bars that the store did not have.
    pub new: u64,
    /// Bars in the store.
    pub bars: u64,
    /// Times where the next bar comes later than one timeframe after the last.
    pub gaps: u64,
    /// The longest time from one bar to the next, seconds.
    pub longest_step_secs: f64,
    /// Close of the last bar.
    #[serde(with = "time_text")]
    pub through: Ts,
}

/// Takes what is new in `data` up to `as_of` into the store: bars that are closed by then and that the store does not
/// have. Where both have a bar, the one in the store stays. A file is replaced whole or not at all; doing it twice changes
/// nothing. Where `data` is the store, it is only looked at.
///
/// # Errors
/// [`StoreError`]; files of other symbols may have been replaced before.
pub fn collect(
    data: &Path,
    store: &Path,
    symbols: &[Symbol],
    timeframe: Timeframe,
    as_of: Ts,
) -> Result<Vec<Collected>, StoreError> {
    let offered = files::discover(data)?;
    fs::create_dir_all(store).map_err(|source| StoreError::Write { path: store.to_owned(), source })?;
    let same = fs::canonicalize(data).ok().zip(fs::canonicalize(store).ok()).is_some_and(|(a, b)| a == b);
    let one = |symbol: &Symbol| {
        let none = || StoreError::NoSymbol { path: data.to_owned(), symbol: *symbol };
        let fresh = closed(
            files::load(*symbol, offered.get(symbol).ok_or_else(none)?, Some(timeframe))?.series.bars,
            timeframe,
            as_of,
        );
        if same {
            return Ok(told(*symbol, timeframe, &fresh, 0));
        }
        let path = store.join(format!("{symbol}.csv"));
        let kept = if path.exists() {
            files::load(*symbol, std::slice::from_ref(&path), Some(timeframe))?.series.bars
        } else {
            Vec::new()
        };
        let had = kept.len();
        let merged = merge(kept, fresh);
        if merged.len() > had {
            replace(&path, &merged).map_err(|source| StoreError::Write { path: path.clone(), source })?;
        }
        Ok(told(*symbol, timeframe, &merged, merged.len() - had))
    };
    symbols.iter().map(one).collect()
}

fn closed(mut bars: Vec<Bar>, timeframe: Timeframe, as_of: Ts) -> Vec<Bar> {
    bars.retain(|bar| bar.close_ts(timeframe) <= as_of);
    bars
}

/// Both in order of time; of two bars of one time that of `kept` stays.
fn merge(mut kept: Vec<Bar>, fresh: Vec<Bar>) -> Vec<Bar> {
    let known: std::collections::BTreeSet<Ts> = kept.iter().map(|bar| bar.open_ts).collect();
    kept.extend(fresh.into_iter().filter(|bar| !known.contains(&bar.open_ts)));
    kept.sort_by_key(|bar| bar.open_ts);
    kept
}

fn told(symbol: Symbol, timeframe: Timeframe, bars: &[Bar], new: usize) -> Collected {
    let steps = bars.windows(2).map(|pair| pair[1].open_ts - pair[0].open_ts);
    Collected {
        symbol,
        new: new as u64,
        bars: bars.len() as u64,
        gaps: steps.clone().filter(|step| *step > timeframe.span()).count() as u64,
        longest_step_secs: steps.max().unwrap_or(Span::ZERO).secs_f64(),
        through: bars.last().map_or(Ts::EPOCH, |bar| bar.close_ts(timeframe)),
    }
}

/// Writes a file beside, makes it durable, and lets it take the name.
fn replace(path: &Path, bars: &[Bar]) -> io::Result<()> {
    let mut text = String::from("open_time,open,high,low,close,volume\n");
    for Bar { open_ts, open, high, low, close, volume } in bars {
        // Floats are written with as many digits as bring the same bits back.
        let _ = writeln!(text, "{open_ts},{open},{high},{low},{close},{volume}");
    }
    let beside = path.with_extension("csv.tmp");
    let written = File::create(&beside).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    if let Err(error) = written.and_then(|()| fs::rename(&beside, path)) {
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Timeframe = Timeframe::HOUR;

    fn hour(n: i64) -> Ts {
        Ts::from_secs(1_640_995_200 + n * 3_600)
    }

    fn offer(folder: &Path, name: &str, hours: &[i64], price: f64) {
        let rows: String = hours
            .iter()
            .map(|n| format!("{},{price},{},{price},{},1.25\n", hour(*n), price + 1.0, price + 0.1 * *n as f64 / 7.0))
            .collect();
        fs::write(folder.join(name), format!("time,open,high,low,close,volume\n{rows}")).unwrap();
    }

    fn bars(path: &Path) -> Vec<Bar> {
        files::load("AAA".parse().unwrap(), &[path.to_owned()], Some(HOUR)).unwrap().series.bars
    }

    #[test]
    fn closed_bars_are_added_once_and_what_is_stored_stays() {
        let (data, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (store, symbols) = (home.path().join("history"), ["AAA".parse().unwrap()]);
        let file = store.join("AAA.csv");
        offer(data.path(), "AAA.csv", &[0, 1, 2, 4], 100.0);
        let inside_the_last_bar = Ts::from_secs(hour(5).secs() - 1);
        let first = collect(data.path(), &store, &symbols, HOUR, inside_the_last_bar).unwrap();
        assert_eq!((first[0].new, first[0].bars, first[0].gaps, first[0].through), (3, 3, 0, hour(3)));
        let before = bars(&file);

        offer(data.path(), "AAA.csv", &[1, 2, 4, 5], 200.0);
        let second = collect(data.path(), &store, &symbols, HOUR, hour(6)).unwrap();
        assert_eq!((second[0].new, second[0].bars, second[0].gaps), (2, 5, 1));
        let after = bars(&file);
        assert_eq!(after[..3], before, "bit for bit");
        assert!((after[3].open - 200.0).abs() < 1e-12);

        let text = fs::read(&file).unwrap();
        assert_eq!(collect(data.path(), &store, &symbols, HOUR, hour(6)).unwrap()[0].new, 0);
        assert_eq!(fs::read(&file).unwrap(), text);
        assert_eq!(fs::read_dir(&store).unwrap().count(), 1, "nothing half is left");
    }

    #[test]
    fn a_store_that_is_the_data_is_only_looked_at() {
        let data = tempfile::tempdir().unwrap();
        offer(data.path(), "AAA.csv", &[0, 1, 2, 3], 100.0);
        let text = fs::read(data.path().join("AAA.csv")).unwrap();
        let told = collect(data.path(), data.path(), &["AAA".parse().unwrap()], HOUR, hour(2)).unwrap();
        assert_eq!((told[0].new, told[0].bars), (0, 2));
        assert_eq!(fs::read(data.path().join("AAA.csv")).unwrap(), text);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let data = tempfile::tempdir().unwrap();
        offer(data.path(), "AAA.csv", &[0, 1, 2], 100.0);
        let error = collect(data.path(), &data.path().join("h"), &["BBB".parse().unwrap()], HOUR, hour(9)).unwrap_err();
        assert!(error.to_string().contains("no file of BBB"), "{error}");
    }
}
