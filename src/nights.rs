//! What becomes of the nightly training, for metrics and alerts: follows `retrain_history.jsonl` in the folder of
//! versions (docs/nightly.md), which the training writes when a night ends.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use levibot_core::alerts::{Alert, Severity, Topic};
use serde::Deserialize;

use crate::telemetry::alerts::AlertChannel;
use crate::telemetry::metrics::Metrics;

const HISTORY: &str = "retrain_history.jsonl";
/// How often the file is looked at.
const EVERY: Duration = Duration::from_secs(2);
/// The longest line that is kept; a longer one is no night.
const LINE_MAX: usize = 1 << 20;

/// How a night ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Deployed,
    Refused,
    Failed,
}

/// What is read of a line.
#[derive(Debug, Deserialize)]
struct Night {
    outcome: Outcome,
    seconds: f64,
    text: String,
}

/// What is read of a version's metadata.
#[derive(Debug, Deserialize)]
struct Metadata {
    backtest_sharpe: Option<f64>,
}

/// Follows the nights of one folder of versions.
pub struct Nights {
    models: PathBuf,
    metrics: Arc<Metrics>,
    alerts: Vec<Arc<dyn AlertChannel>>,
    /// Bytes of the file that were read.
    read: u64,
    /// The beginning of a line whose end has not been written yet.
    half: Vec<u8>,
    /// Where `current` pointed when the ratio was read.
    current: Option<PathBuf>,
}

impl std::fmt::Debug for Nights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nights").field("models", &self.models).field("read", &self.read).finish_non_exhaustive()
    }
}

impl Nights {
    /// Counts the nights so far, without alerts: people have been told of those.
    pub fn begin(models: &Path, metrics: Arc<Metrics>, alerts: Vec<Arc<dyn AlertChannel>>) -> Self {
        let mut nights =
            Self { models: models.to_owned(), metrics, alerts: Vec::new(), read: 0, half: Vec::new(), current: None };
        nights.metrics.retrain().set_sharpe(f64::NAN);
        loop {
            let before = nights.read;
            nights.look();
            if nights.read == before {
                break;
            }
        }
        nights.alerts = alerts;
        nights
    }

    /// Looks again and again, for as long as the daemon runs.
    pub async fn follow(mut self) {
        loop {
            tokio::time::sleep(EVERY).await;
            self.look();
        }
    }

    /// Takes what is new.
    fn look(&mut self) {
        match self.new_bytes() {
            Ok(bytes) => self.take(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::debug!(%error, "the history of nightly trainings cannot be read"),
        }
        self.look_at_current();
    }

    fn new_bytes(&mut self) -> io::Result<Vec<u8>> {
        let mut file = File::open(self.models.join(HISTORY))?;
        let len = file.metadata()?.len();
        if len < self.read {
            // Another file has taken its place: what it says was told by others.
            (self.read, self.half) = (len, Vec::new());
        }
        file.seek(SeekFrom::Start(self.read))?;
        let mut bytes = Vec::new();
        self.read += file.take(LINE_MAX as u64).read_to_end(&mut bytes)? as u64;
        Ok(bytes)
    }

    fn take(&mut self, bytes: &[u8]) {
        self.half.extend_from_slice(bytes);
        let Some(end) = self.half.iter().rposition(|byte| *byte == b'\n') else {
            self.half.truncate(LINE_MAX);
            return;
        };
        let rest = self.half.split_off(end + 1);
        let lines = std::mem::replace(&mut self.half, rest);
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice::<Night>(line) {
                Ok(night) => self.tell(&night),
                Err(error) => tracing::debug!(%error, "a line of the history of nightly trainings is no night"),
            }
        }
    }

    fn tell(&self, night: &Night) {
        self.metrics.retrain().night(night.seconds, night.outcome != Outcome::Failed);
        let severity = match night.outcome {
            Outcome::Deployed => Severity::Info,
            Outcome::Refused => Severity::Warning,
            Outcome::Failed => Severity::Critical,
        };
        let alert = Alert::new(severity, Topic::Retrain, None, &night.text);
        self.alerts.iter().for_each(|channel| channel.send(&alert));
    }

    /// The ratio is read again when another version is in use.
    fn look_at_current(&mut self) {
        let link = self.models.join("current");
        let Ok(target) = std::fs::read_link(&link) else { return };
        if self.current.as_ref() == Some(&target) {
            return;
        }
        let metadata = std::fs::read(link.join("model_metadata.json")).ok();
        let metadata = metadata.and_then(|text| serde_json::from_slice::<Metadata>(&text).ok());
        // Not readable now: looked at again.
        let Some(metadata) = metadata else { return self.metrics.retrain().set_sharpe(f64::NAN) };
        self.metrics.retrain().set_sharpe(metadata.backtest_sharpe.unwrap_or(f64::NAN));
        self.current = Some(target);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::sync::Mutex;

    use super::*;

    #[derive(Debug, Default)]
    struct Heard(Mutex<Vec<(Severity, String)>>);

    impl AlertChannel for Heard {
        fn send(&self, alert: &Alert) {
            self.0.lock().unwrap().push((alert.severity, alert.text.clone()));
        }
    }

    fn line(outcome: &str, text: &str) -> String {
        format!("{{\"outcome\":\"{outcome}\",\"seconds\":61.5,\"text\":\"{text}\",\"step\":\"train\"}}\n")
    }

    #[test]
    fn nights_are_counted_from_the_beginning_and_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(HISTORY);
        fs::write(&file, line("deployed", "old") + "{half\n" + &line("failed", "old too")).unwrap();
        let metrics = Arc::new(Metrics::new().unwrap());
        let heard = Arc::new(Heard::default());
        let mut nights = Nights::begin(dir.path(), Arc::clone(&metrics), vec![heard.clone()]);
        let shown = |wanted: &str| {
            let text = metrics.encode().unwrap();
            assert!(text.contains(wanted), "{wanted} is not in {text}");
        };
        shown("levibot_retrain_success_total 1\n");
        shown("levibot_retrain_failure_total 1\n");
        assert!(heard.0.lock().unwrap().is_empty());

        // Written in two pieces.
        let new = line("deployed", "new") + &line("refused", "not better");
        fs::write(&file, fs::read_to_string(&file).unwrap() + &new[..new.len() - 9]).unwrap();
        nights.look();
        assert_eq!(heard.0.lock().unwrap().len(), 1);
        fs::write(&file, fs::read_to_string(&file).unwrap() + &new[new.len() - 9..]).unwrap();
        nights.look();
        nights.look();
        let told = heard.0.lock().unwrap().clone();
        assert_eq!(told, [(Severity::Info, "new".to_owned()), (Severity::Warning, "not better".to_owned())]);
        shown("levibot_retrain_success_total 3\n");
        shown("levibot_retrain_duration_seconds_count 4\n");
        shown("levibot_retrain_duration_seconds_sum 246\n");
    }

    #[test]
    fn the_ratio_is_that_of_the_version_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let metrics = Arc::new(Metrics::new().unwrap());
        let mut nights = Nights::begin(dir.path(), Arc::clone(&metrics), Vec::new());
        let ratio = || {
            let text = metrics.encode().unwrap();
            let line = text.lines().find(|line| line.starts_with("levibot_model_sharpe_ratio ")).unwrap();
            line.split_once(' ').unwrap().1.to_owned()
        };
        assert_eq!(ratio(), "NaN");
        for (name, json, wanted) in [("a", r#"{"backtest_sharpe":1.78}"#, "1.78"), ("b", "{}", "NaN")] {
            fs::create_dir(dir.path().join(name)).unwrap();
            fs::write(dir.path().join(name).join("model_metadata.json"), json).unwrap();
            symlink(name, dir.path().join("new")).unwrap();
            fs::rename(dir.path().join("new"), dir.path().join("current")).unwrap();
            nights.look();
            assert_eq!(ratio(), wanted);
        }
    }
}
