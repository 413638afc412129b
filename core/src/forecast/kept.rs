//! Forecasts that are kept in a file, so that the past is asked about once.
//!
//! A file is magic, header, chunks of rows, those of each symbol in the order of time, an empty chunk, and a checksum (CRC-32, IEEE 802.3) of all
//! that comes before it. Header and chunks are [`postcard`] bytes behind their length, 4 bytes, little end first.

use std::io::{self, Read, Write};

use crc32fast::Hasher;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::domain::{Bar, Forecast, ModelVersion, Symbol, Timeframe, Ts};
use crate::features::mix_words;

/// What a file begins with. The number is raised by any change that an older program would misread.
const MAGIC: &[u8; 20] = b"levibot forecasts 1\n";
/// Rows in a chunk.
const CHUNK_ROWS: usize = 4_096;
/// No header or chunk is longer.
const PART_BYTES_MAX: usize = 4 << 20;

/// What forecasts are of. Two files with equal keys hold the same forecasts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptKey {
    /// Who was asked.
    pub version: ModelVersion,
    /// SHA-256 over the version's files, hexadecimal.
    pub digest: String,
    /// [`super::schema_hash`].
    pub schema: u64,
    /// Close of the last bar that the version has learnt from.
    pub trained_through: Ts,
    /// [`bars_digest`] of the bars that close at or before `end`.
    pub bars: u64,
    /// The symbols whose bars make a frame's context, in name order.
    pub symbols: Vec<Symbol>,
    /// Those of them that were asked about, in name order.
    pub asked: Vec<Symbol>,
    /// Length of the bars.
    pub timeframe: Timeframe,
    /// Bars that open at or after this were asked about.
    pub start: Ts,
    /// Bars that close at or before this were asked about.
    pub end: Ts,
    /// Frames before `start` that features were warmed up with.
    pub warm_up: u32,
}

impl KeptKey {
    /// A name for the file: that of the version, and a hash of the rest.
    pub fn file_name(&self) -> String {
        let bytes = postcard::to_stdvec(self).unwrap_or_default();
        format!("{}_{:016x}.forecasts", self.version, crate::domain::hash::hash64(&[&bytes]))
    }
}

/// Hash of all bars that close at or before `end`, each symbol's behind its name. Fast; not for secrets.
pub fn bars_digest<'a>(symbols: impl Iterator<Item = (Symbol, &'a [Bar])>, timeframe: Timeframe, end: Ts) -> u64 {
    let words = symbols.flat_map(|(symbol, bars)| {
        let inside = bars.get(..bars.partition_point(|bar| bar.close_ts(timeframe) <= end)).unwrap_or_default();
        let name: Vec<u64> = symbol.as_str().bytes().map(u64::from).collect();
        let row = |bar: &Bar| {
            let numbers = [bar.open, bar.high, bar.low, bar.close, bar.volume].map(f64::to_bits);
            std::iter::once(bar.open_ts.nanos().cast_unsigned()).chain(numbers)
        };
        std::iter::once(inside.len() as u64).chain(name).chain(inside.iter().flat_map(row))
    });
    mix_words(words)
}

/// A row: place of the symbol among [`KeptKey::symbols`], close of the bar, and what was said.
type Row = (u16, Ts, Forecast);

/// Writes a file, a chunk at a time.
#[derive(Debug)]
pub struct KeptWriter<W> {
    out: W,
    sum: Hasher,
    rows: Vec<Row>,
}

impl<W: Write> KeptWriter<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn new(out: W, key: &KeptKey) -> io::Result<Self> {
        let mut writer = Self { out, sum: Hasher::new(), rows: Vec::with_capacity(CHUNK_ROWS) };
        writer.bytes(MAGIC)?;
        writer.part(key)?;
        Ok(writer)
    }

    /// Adds a forecast; those of one symbol come in the order of their bars.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn push(&mut self, symbol: u16, bar: Ts, forecast: Forecast) -> io::Result<()> {
        self.rows.push((symbol, bar, forecast));
        if self.rows.len() < CHUNK_ROWS { Ok(()) } else { self.flush() }
    }

    /// Ends the file and gives back what was written to; it is for the caller to see it to the disk.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn finish(mut self) -> io::Result<W> {
        if !self.rows.is_empty() {
            self.flush()?;
        }
        self.flush()?;
        let sum = self.sum.clone().finalize();
        self.out.write_all(&sum.to_le_bytes())?;
        Ok(self.out)
    }

    fn flush(&mut self) -> io::Result<()> {
        let rows = std::mem::take(&mut self.rows);
        self.part(&rows)?;
        self.rows = rows;
        self.rows.clear();
        Ok(())
    }

    fn part(&mut self, value: &impl Serialize) -> io::Result<()> {
        let bytes = postcard::to_stdvec(value).map_err(io::Error::other)?;
        let too_long = || io::Error::other(format!("{} bytes are too long for a part of a file", bytes.len()));
        let length = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= PART_BYTES_MAX).ok_or_else(too_long)?;
        self.bytes(&length.to_le_bytes())?;
        self.bytes(&bytes)
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sum.update(bytes);
        self.out.write_all(bytes)
    }
}

/// Why a file is not what it should be. It is made anew then.
#[derive(Debug, thiserror::Error)]
pub enum KeptFault {
    /// It could not be read.
    #[error("it cannot be read: {0}")]
    Read(#[source] io::Error),
    /// It ends too early.
    #[error("it is cut short")]
    Short,
    /// It begins with something else.
    #[error("it is no file of forecasts of this program")]
    Foreign,
    /// It holds something else.
    #[error("it holds the forecasts of other bars or of another version")]
    Other,
    /// Bytes were changed.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
}

/// What a file holds: of each of [`KeptKey::symbols`], by close of the bar, oldest first.
///
/// # Errors
/// [`KeptFault`] where it is not whole, or of another key than `wanted`.
pub fn read_kept(input: impl Read, wanted: &KeptKey) -> Result<Vec<Vec<(Ts, Forecast)>>, KeptFault> {
    let mut reader = Reader { input, sum: Hasher::new() };
    let mut magic = [0; MAGIC.len()];
    reader.fill(&mut magic)?;
    if magic != *MAGIC {
        return Err(KeptFault::Foreign);
    }
    if reader.part::<KeptKey>()? != *wanted {
        return Err(KeptFault::Other);
    }
    let mut lists: Vec<Vec<(Ts, Forecast)>> = vec![Vec::new(); wanted.symbols.len()];
    loop {
        let rows: Vec<Row> = reader.part()?;
        if rows.is_empty() {
            break;
        }
        for (at, bar, forecast) in rows {
            let list = lists.get_mut(usize::from(at)).ok_or(KeptFault::Damaged("it names a symbol too many"))?;
            let follows = list.last().is_none_or(|(last, _)| *last < bar);
            if !follows || forecast.version != wanted.version || !forecast.is_sound() {
                return Err(KeptFault::Damaged("a forecast cannot be meant"));
            }
            list.push((bar, forecast));
        }
    }
    let found = reader.sum.clone().finalize();
    let mut sum = [0; 4];
    reader.fill(&mut sum)?;
    if u32::from_le_bytes(sum) != found {
        return Err(KeptFault::Damaged("its checksum differs"));
    }
    match reader.input.read(&mut [0]).map_err(KeptFault::Read)? {
        0 => Ok(lists),
        _ => Err(KeptFault::Damaged("something follows its end")),
    }
}

struct Reader<R> {
    input: R,
    sum: Hasher,
}

impl<R: Read> Reader<R> {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), KeptFault> {
        self.input.read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => KeptFault::Short,
            _ => KeptFault::Read(error),
        })?;
        self.sum.update(bytes);
        Ok(())
    }

    fn part<T: DeserializeOwned>(&mut self) -> Result<T, KeptFault> {
        let mut length = [0; 4];
        self.fill(&mut length)?;
        let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        if length > PART_BYTES_MAX {
            return Err(KeptFault::Damaged("a part is too long"));
        }
        let mut bytes = vec![0; length];
        self.fill(&mut bytes)?;
        super::decode(&bytes).map_err(|_| KeptFault::Damaged("a part cannot be understood"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{Member, Vote};

    fn key() -> KeptKey {
        KeptKey {
            version: "20220601_000000".parse().unwrap(),
            digest: "ab".repeat(32),
            schema: super::super::schema_hash(),
            trained_through: Ts::from_secs(0),
            bars: 7,
            symbols: ["AAA", "BBB"].map(|name| name.parse().unwrap()).to_vec(),
            asked: vec!["BBB".parse().unwrap()],
            timeframe: Timeframe::HOUR,
            start: Ts::from_secs(3_600),
            end: Ts::from_secs(360_000_000),
            warm_up: 512,
        }
    }

    fn forecast(n: u32) -> Forecast {
        let mut votes = [None; Member::ALL.len()];
        votes[0] = Some(Vote { probability: 0.5, weight: 1.0 });
        let prob_up = f64::from(n % 100) / 100.0;
        Forecast {
            version: key().version,
            features: u64::from(n).wrapping_mul(0x9e37_79b9),
            votes,
            prob_up,
            quantiles: None,
        }
    }

    fn lists(rows: u32) -> Vec<Vec<(Ts, Forecast)>> {
        let all =
            |from: u32| (from..rows).step_by(2).map(|n| (Ts::from_secs(3_600 * i64::from(n)), forecast(n))).collect();
        vec![all(0), all(1)]
    }

    fn file(rows: u32) -> Vec<u8> {
        let mut writer = KeptWriter::new(Vec::new(), &key()).unwrap();
        for n in 0..rows {
            writer.push(u16::from(n % 2 == 1), Ts::from_secs(3_600 * i64::from(n)), forecast(n)).unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn what_was_written_comes_back_whatever_the_number_of_chunks() {
        for rows in [0, 1, 4_095, 4_096, 4_097, 10_000] {
            assert_eq!(read_kept(file(rows).as_slice(), &key()).unwrap(), lists(rows), "{rows}");
        }
    }

    #[test]
    fn forecasts_of_anything_else_are_refused() {
        let bytes = file(10);
        let others = [
            KeptKey { version: "20220601_000001".parse().unwrap(), ..key() },
            KeptKey { digest: String::new(), ..key() },
            KeptKey { bars: 8, ..key() },
            KeptKey { start: Ts::EPOCH, ..key() },
            KeptKey { asked: Vec::new(), ..key() },
        ];
        for other in others {
            assert!(matches!(read_kept(bytes.as_slice(), &other), Err(KeptFault::Other)), "{other:?}");
            assert_ne!(other.file_name(), key().file_name());
        }
        assert!(matches!(read_kept(&b"levibot forecasts 9\n and more"[..], &key()), Err(KeptFault::Foreign)));
    }

    #[test]
    fn the_digest_is_that_of_the_bars_up_to_the_end() {
        let bar =
            |n: i64| Bar { open_ts: Ts::from_secs(n * 3_600), open: 1.0, high: 2.0, low: 0.5, close: 1.5, volume: 3.0 };
        let symbol: Symbol = "AAA".parse().unwrap();
        let digest = |bars: &[Bar], end: i64| {
            bars_digest([(symbol, bars)].into_iter(), Timeframe::HOUR, Ts::from_secs(end * 3_600))
        };
        let bars: Vec<Bar> = (0..10).map(bar).collect();
        assert_eq!(digest(&bars, 5), digest(&bars[..5], 5), "what comes later is not looked at");
        assert_ne!(digest(&bars, 5), digest(&bars, 6));
        let mut changed = bars.clone();
        changed[3].volume = -0.0;
        assert_ne!(digest(&bars, 10), digest(&changed, 10));
    }

    proptest! {
        #[test]
        fn no_damage_goes_unseen(rows in 0..300_u32, place in any::<prop::sample::Index>(), flip in 1..=255_u8, cut in any::<prop::sample::Index>()) {
            let whole = file(rows);
            let mut bytes = whole.clone();
            bytes[place.index(whole.len())] ^= flip;
            prop_assert!(read_kept(bytes.as_slice(), &key()).is_err());
            prop_assert!(read_kept(&whole[..cut.index(whole.len())], &key()).is_err());
            prop_assert!(read_kept([&whole[..], &[0]].concat().as_slice(), &key()).is_err());
        }
    }
}
