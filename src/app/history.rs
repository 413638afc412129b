//! The simulated past as price files, for a model to learn from.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use levibot_core::domain::{Ix, Symbol, Ts};
use levibot_core::simulator::{SimulatorSetup, walk_history};

use super::AppError;
use super::first_model::ModelError;

/// First line of each file.
const COLUMNS: &str = "open_time,open,high,low,close,volume";

/// Writes all bars of the simulation that close up to `until` to `dir/SYMBOL.csv`, replacing what is there; tells `walked`
/// after each frame how many bars it had. The folder appears whole: it is written beside its place and renamed.
pub(super) fn write(
    setup: &SimulatorSetup,
    until: Ts,
    dir: &Path,
    mut walked: impl FnMut(usize),
) -> Result<(), AppError> {
    let failed = |doing, path: &Path| {
        let path = path.to_owned();
        move |source| AppError::from(ModelError::Io { doing, path, source })
    };
    let beside = dir.with_extension("new");
    remove(&beside).map_err(failed("remove", &beside))?;
    fs::create_dir_all(&beside).map_err(failed("create", &beside))?;
    let mut files = BTreeMap::new();
    for one in &setup.symbols {
        files.insert(one.ix, open(&beside, one.symbol).map_err(failed("write", &beside))?);
    }
    let mut fault = None;
    walk_history(setup, until, |frame| {
        for (ix, bar) in &frame.bars {
            let at = bar.open_ts.nanos() / 1_000_000;
            let line = format!("{at},{},{},{},{},{}\n", bar.open, bar.high, bar.low, bar.close, bar.volume);
            if fault.is_none() {
                fault = line_to(&mut files, *ix, &line).err();
            }
        }
        walked(frame.bars.len());
    })?;
    for mut file in files.into_values() {
        if fault.is_none() {
            fault = file.flush().err();
        }
    }
    if let Some(error) = fault {
        return Err(failed("write", &beside)(error));
    }
    remove(dir).map_err(failed("remove", dir))?;
    fs::rename(&beside, dir).map_err(failed("write", dir))
}

fn remove(dir: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn open(dir: &Path, symbol: Symbol) -> std::io::Result<BufWriter<File>> {
    let mut file = BufWriter::new(File::create(dir.join(format!("{symbol}.csv")))?);
    writeln!(file, "{COLUMNS}")?;
    Ok(file)
}

fn line_to(files: &mut BTreeMap<Ix, BufWriter<File>>, ix: Ix, line: &str) -> std::io::Result<()> {
    files.get_mut(&ix).map_or(Ok(()), |file| file.write_all(line.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use levibot_core::domain::{Bar, Span, Timeframe};
    use levibot_core::files;
    use levibot_core::simulator::crypto_symbols;

    #[test]
    fn the_files_hold_the_bars_of_the_walk_bit_for_bit() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("history");
        fs::create_dir(&place).unwrap();
        fs::write(place.join("OLD.csv"), "left over").unwrap();
        let setup = SimulatorSetup {
            seed: 3,
            start: Ts::from_secs(1_735_689_600),
            timeframe: Timeframe::MINUTE,
            quote_every: Span::from_secs(30),
            history_bars: 1_100,
            trend: 0.3,
            symbols: crypto_symbols()[..2].to_vec(),
        };
        let mut wanted: Vec<Vec<Bar>> = vec![Vec::new(); 2];
        walk_history(&setup, setup.start, |frame| frame.bars.iter().for_each(|(ix, bar)| wanted[ix.at()].push(*bar)))
            .unwrap();
        let mut count = 0;
        write(&setup, setup.start, &place, |_| count += 1).unwrap();
        assert_eq!(count, 1_100);
        let found = files::discover(&place).unwrap();
        assert_eq!(found.len(), 2, "nothing is left over: {found:?}");
        for (one, wanted) in setup.symbols.iter().zip(&wanted) {
            let loaded = files::load(one.symbol, &found[&one.symbol], Some(Timeframe::MINUTE)).unwrap();
            assert_eq!(&loaded.series.bars, wanted);
            assert!(loaded.reports.iter().all(|report| report.faults.is_empty()));
        }
        assert!(!dir.path().join("history.new").exists());
    }
}
