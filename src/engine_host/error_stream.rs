//! Standard error of an engine process: into the log of its symbol, and the last lines kept.

use std::time::{Duration, Instant};

use levibot_core::domain::Symbol;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::last_words::{LINE_BYTES_MAX, LastWords};

/// The log's target of these lines.
const TARGET: &str = "levibot::engine";
/// Lines that are read in a second. More wait in the pipe, which in the end stops the engine that writes them: it then makes
/// no progress and is replaced, and the others have lost nothing.
const LINES_PER_SECOND: u32 = 1_000;
const SECOND: Duration = Duration::from_secs(1);

/// Reads to the end.
pub(super) async fn forward(mut stream: impl AsyncRead + Unpin, symbol: Symbol, words: LastWords) {
    let (mut bytes, mut line) = ([0; LINE_BYTES_MAX], Vec::new());
    let mut pace = Pace { since: Instant::now(), lines: 0 };
    loop {
        let read = match stream.read(&mut bytes).await {
            Ok(0) | Err(_) => break,
            Ok(read) => read,
        };
        for byte in &bytes[..read] {
            if *byte == b'\n' || line.len() == LINE_BYTES_MAX {
                tell(&mut line, symbol, &words);
                pace.line().await;
            }
            if *byte != b'\n' {
                line.push(*byte);
            }
        }
    }
    tell(&mut line, symbol, &words);
}

fn tell(line: &mut Vec<u8>, symbol: Symbol, words: &LastWords) {
    let text = String::from_utf8_lossy(line).trim_end().to_owned();
    line.clear();
    if !text.is_empty() {
        tracing::info!(target: TARGET, %symbol, "{text}");
        words.push(text);
    }
}

struct Pace {
    since: Instant,
    lines: u32,
}

impl Pace {
    async fn line(&mut self) {
        self.lines += 1;
        let over = self.since.elapsed();
        if self.lines >= LINES_PER_SECOND && over < SECOND {
            tokio::time::sleep(SECOND - over).await;
        }
        if self.lines >= LINES_PER_SECOND || over >= SECOND {
            *self = Self { since: Instant::now(), lines: 0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn long_lines_are_cut_and_the_last_ones_kept() {
        let words = LastWords::default();
        let text = format!("one\n\n{}\nlast", "x".repeat(LINE_BYTES_MAX + 3));
        forward(text.as_bytes(), "BTCUSDT".parse().unwrap(), words.clone()).await;
        assert!(words.find("one").is_none(), "forgotten");
        assert_eq!(words.find("xxx").unwrap().len(), LINE_BYTES_MAX);
        assert!(words.find("last").is_some());
    }
}
