//! `config/training.toml`: how a version is trained. Raw keys in, checked values out; unknown keys are errors.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// How a version is trained. Kept whole in its metadata as `hyperparams`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Of every random draw.
    pub seed: u64,
    /// Threads of native code while training, 1 to 64.
    pub threads: u32,
    /// How many bars ahead the direction is asked for, 1 to 500.
    pub horizon_bars: u32,
    /// What entering and leaving costs together, as a fraction of notional: fees, spread, slippage. 0 to under 0.1.
    pub round_trip_cost: f64,
    /// How time is divided.
    pub split: SplitSettings,
    /// The trees.
    pub lightgbm: LightGbmSettings,
    /// The transformer.
    pub tft: TftSettings,
}

/// How time is divided: training first, then validation, then test, with everything whose outcome reaches over a border
/// left out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitSettings {
    /// Share of time for early stopping, calibration and weights, over 0 and under 0.5.
    pub validation: f64,
    /// Share of time for figures only, over 0 and under 0.5.
    pub test: f64,
    /// Bars left out after each border besides those whose outcome reaches over it.
    pub embargo_bars: u32,
}

/// Settings of the trees, in LightGBM's meaning.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LightGbmSettings {
    /// Most trees, 1 to 10,000.
    pub trees: u32,
    /// Trees without a gain on validation after which no more are grown, 1 to 1,000.
    pub patience: u32,
    /// Leaves a tree, 2 to 1,024.
    pub leaves: u32,
    /// Depth of a tree, 1 to 16.
    pub depth: u32,
    /// Shrinkage, over 0 and up to 1.
    pub learning_rate: f64,
    /// Fewest rows in a leaf, 1 or more.
    pub leaf_rows: u32,
    /// Share of features a tree sees, over 0 and up to 1.
    pub feature_fraction: f64,
    /// Share of rows a tree sees, over 0 and up to 1.
    pub row_fraction: f64,
    /// L2 penalty on leaves, 0 or more.
    pub l2: f64,
}

/// Settings of the transformer (Lim et al. 2021).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TftSettings {
    /// Width of all layers, 4 to 256; divisible by `heads`.
    pub hidden: u32,
    /// Heads of attention, 1 to 8.
    pub heads: u32,
    /// Past bars that it sees, 8 to 64.
    pub window: u32,
    /// Share of activations dropped while training, 0 to under 0.9.
    pub dropout: f64,
    /// Step of Adam, over 0 and up to 0.1.
    pub learning_rate: f64,
    /// Windows a step, 16 to 4,096.
    pub batch: u32,
    /// Most passes, 1 to 1,000.
    pub epochs: u32,
    /// Passes without a gain on validation after which training ends, 1 to 100.
    pub patience: u32,
    /// Windows a pass, drawn anew for each; 0 for all.
    pub windows_per_epoch: u32,
}

/// Why a file of settings is refused.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// It cannot be read.
    #[error("{}: cannot be read", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Not TOML, an unknown key or a wrong type; the text names line and column.
    #[error("{}: {text}", path.display())]
    Toml {
        /// Which file.
        path: PathBuf,
        /// Where and what.
        text: String,
    },
    /// A value that cannot be meant.
    #[error("{}: `{key}` is {value}: write {remedy}", path.display())]
    Value {
        /// Which file.
        path: PathBuf,
        /// The key.
        key: &'static str,
        /// What was given.
        value: String,
        /// What to write instead.
        remedy: &'static str,
    },
}

impl Settings {
    /// Reads a file.
    ///
    /// # Errors
    /// [`SettingsError`] naming file, key, value and remedy.
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| SettingsError::Read { path: path.to_owned(), source })?;
        Self::from_toml(&text, path)
    }

    /// Reads text; `path` is what errors name.
    ///
    /// # Errors
    /// [`SettingsError`] naming key, value and remedy.
    pub fn from_toml(text: &str, path: &Path) -> Result<Self, SettingsError> {
        let settings: Self = toml::from_str(text)
            .map_err(|error| SettingsError::Toml { path: path.to_owned(), text: error.to_string() })?;
        match settings.fault() {
            None => Ok(settings),
            Some((key, value, remedy)) => Err(SettingsError::Value { path: path.to_owned(), key, value, remedy }),
        }
    }

    /// The first value that cannot be meant: key, value, remedy.
    fn fault(&self) -> Option<(&'static str, String, &'static str)> {
        let Self { threads, horizon_bars, round_trip_cost, split, lightgbm: trees, tft, .. } = *self;
        let whole = |key, x: u32, low: u32, high: u32, remedy| {
            (!(low..=high).contains(&x)).then(|| (key, x.to_string(), remedy))
        };
        let real = |key, x: f64, ok: bool, remedy| (!ok).then(|| (key, x.to_string(), remedy));
        let open = |x: f64, high: f64| x > 0.0 && x <= high;
        whole("threads", threads, 1, 64, "1 to 64")
            .or_else(|| whole("horizon_bars", horizon_bars, 1, 500, "1 to 500 (bars)"))
            .or_else(|| {
                let ok = (0.0..0.1).contains(&round_trip_cost);
                real("round_trip_cost", round_trip_cost, ok, "a fraction from 0 to under 0.1, such as 0.0016")
            })
            .or_else(|| {
                let ok = open(split.validation, 0.499);
                real("split.validation", split.validation, ok, "a share over 0 and under 0.5")
            })
            .or_else(|| real("split.test", split.test, open(split.test, 0.499), "a share over 0 and under 0.5"))
            .or_else(|| whole("split.embargo_bars", split.embargo_bars, 0, 10_000, "0 to 10000 (bars)"))
            .or_else(|| trees.fault())
            .or_else(|| tft.fault())
    }
}

type Fault = Option<(&'static str, String, &'static str)>;

impl LightGbmSettings {
    fn fault(&self) -> Fault {
        let whole = |key, x: u32, low: u32, high: u32, remedy| {
            (!(low..=high).contains(&x)).then(|| (key, x.to_string(), remedy))
        };
        let share = |key, x: f64| (!(x > 0.0 && x <= 1.0)).then(|| (key, x.to_string(), "a number over 0 and up to 1"));
        whole("lightgbm.trees", self.trees, 1, 10_000, "1 to 10000")
            .or_else(|| whole("lightgbm.patience", self.patience, 1, 1_000, "1 to 1000"))
            .or_else(|| whole("lightgbm.leaves", self.leaves, 2, 1_024, "2 to 1024"))
            .or_else(|| whole("lightgbm.depth", self.depth, 1, 16, "1 to 16"))
            .or_else(|| whole("lightgbm.leaf_rows", self.leaf_rows, 1, 1_000_000, "1 to 1000000"))
            .or_else(|| share("lightgbm.learning_rate", self.learning_rate))
            .or_else(|| share("lightgbm.feature_fraction", self.feature_fraction))
            .or_else(|| share("lightgbm.row_fraction", self.row_fraction))
            .or_else(|| {
                let ok = self.l2.is_finite() && self.l2 >= 0.0;
                (!ok).then(|| ("lightgbm.l2", self.l2.to_string(), "0 or more"))
            })
    }
}

impl TftSettings {
    fn fault(&self) -> Fault {
        let whole = |key, x: u32, low: u32, high: u32, remedy| {
            (!(low..=high).contains(&x)).then(|| (key, x.to_string(), remedy))
        };
        whole("tft.hidden", self.hidden, 4, 256, "4 to 256")
            .or_else(|| whole("tft.heads", self.heads, 1, 8, "1 to 8"))
            .or_else(|| {
                let uneven = !self.hidden.is_multiple_of(self.heads);
                uneven.then(|| ("tft.heads", self.heads.to_string(), "a divisor of tft.hidden"))
            })
            .or_else(|| whole("tft.window", self.window, 8, 64, "8 to 64 (bars)"))
            .or_else(|| whole("tft.batch", self.batch, 16, 4_096, "16 to 4096"))
            .or_else(|| whole("tft.epochs", self.epochs, 1, 1_000, "1 to 1000"))
            .or_else(|| whole("tft.patience", self.patience, 1, 100, "1 to 100"))
            .or_else(|| {
                let ok = (0.0..0.9).contains(&self.dropout);
                (!ok).then(|| ("tft.dropout", self.dropout.to_string(), "0 to under 0.9"))
            })
            .or_else(|| {
                let ok = self.learning_rate > 0.0 && self.learning_rate <= 0.1;
                (!ok).then(|| ("tft.learning_rate", self.learning_rate.to_string(), "a number over 0 and up to 0.1"))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../../../config/training.toml");
    const QUICK: &str = include_str!("../../../config/training-quick.toml");

    fn read(text: &str) -> Result<Settings, String> {
        Settings::from_toml(text, Path::new("training.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn the_shipped_files_load() {
        assert!(read(QUICK).unwrap().tft.hidden < read(SHIPPED).unwrap().tft.hidden);
        let json = serde_json::to_string(&read(SHIPPED).unwrap()).unwrap();
        assert_eq!(serde_json::from_str::<Settings>(&json).unwrap(), read(SHIPPED).unwrap());
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_key_value_and_remedy() {
        for (from, to, wanted) in [
            ("horizon_bars = 6", "horizon_bars = 0", "training.toml: `horizon_bars` is 0: write 1 to 500 (bars)"),
            ("heads = 2", "heads = 3", "`tft.heads` is 3: write a divisor of tft.hidden"),
            ("dropout = 0.1", "dropout = 0.9", "`tft.dropout` is 0.9"),
            ("threads = 1", "threads = 0", "`threads` is 0"),
            ("seed = 42", "sead = 42", "sead"),
        ] {
            assert!(SHIPPED.contains(from), "{from}");
            let error = read(&SHIPPED.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(wanted), "{to}: {error}");
        }
        assert!(read(&SHIPPED.replace("round_trip_cost = ", "round_trip_cost = nan #")).is_err());
    }
}
