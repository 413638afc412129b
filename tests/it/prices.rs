//! Price files, made up from a seed: trends that turn, so that averages cross.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use levibot_core::domain::Ts;

/// 2022-01-01 UTC.
const START: i64 = 1_640_995_200;

/// A small generator of numbers (splitmix64).
struct Noise(u64);

impl Noise {
    /// The next one, in -1 to 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }
}

/// Hourly rows with a header.
pub(crate) fn csv(seed: u64, price: f64, bars: i64) -> String {
    let (mut noise, mut close, mut text) = (Noise(seed), price, "Date,Open,High,Low,Close,Volume\n".to_owned());
    for bar in 0..bars {
        let open = close;
        // A trend turns about every two days.
        let trend = ((bar as f64 + seed as f64 * 7.0) * std::f64::consts::TAU / 97.0).sin() * 0.004;
        close = open * (1.0 + trend + noise.next() * 0.004);
        let high = open.max(close) * (1.0 + (noise.next() + 1.0) * 0.001);
        let low = open.min(close) * (1.0 - (noise.next() + 1.0) * 0.001);
        let volume = 1e9 / price * (1.5 + noise.next());
        let time = Ts::from_secs(START + bar * 3_600);
        writeln!(text, "{time},{open:.6},{high:.6},{low:.6},{close:.6},{volume:.3}").unwrap();
    }
    text
}

/// Four symbols: two files are plain, two are compressed.
pub(crate) fn write(folder: &Path, bars: i64) {
    let prices = [("BTCUSDT", 46_000.0), ("ETHUSDT", 3_700.0), ("LINKUSDT", 20.0), ("SOLUSDT", 170.0)];
    for (at, (symbol, price)) in prices.into_iter().enumerate() {
        let text = csv(at as u64 + 1, price, bars);
        if at % 2 == 0 {
            fs::write(folder.join(format!("{symbol}.csv")), text).unwrap();
        } else {
            fs::write(folder.join(format!("{symbol}.csv.gz")), gzip(text.as_bytes())).unwrap();
        }
    }
}

/// A gzip file whose content is stored as it is.
fn gzip(content: &[u8]) -> Vec<u8> {
    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut blocks = content.chunks(usize::from(u16::MAX)).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap();
        file.push(u8::from(blocks.peek().is_none()));
        file.extend(length.to_le_bytes());
        file.extend((!length).to_le_bytes());
        file.extend(block);
    }
    file.extend(crc32fast::hash(content).to_le_bytes());
    file.extend(u32::try_from(content.len()).unwrap().to_le_bytes());
    file
}
