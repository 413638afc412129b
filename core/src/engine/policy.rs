//! `policies/strategies/*.yaml`: raw keys in, a checked policy out.

use serde::{Deserialize, Serialize};

use crate::domain::Direction;
use crate::domain::hash::hash64;

/// A strategy, checked. Built from YAML by [`StrategyPolicy::from_yaml`]; serde goes through the same checks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawStrategy", into = "RawStrategy")]
pub struct StrategyPolicy {
    raw: RawStrategy,
    hash: u64,
}

/// How a strategy decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Long from the bar on which the fast average of closes goes over the slow one, short from that on which it goes
    /// under it.
    EmaCross,
    /// To the side that the fusion model is sure enough of.
    Fusion,
}

/// The keys under `strategy`, as the user writes them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawStrategy {
    /// What decisions and reports call it.
    pub name: String,
    /// How it decides.
    pub rule: Rule,
    /// Length of the fast average, bars; `ema_cross` alone has one.
    #[serde(default)]
    pub fast: Option<u32>,
    /// Length of the slow average, bars; `ema_cross` alone has one.
    #[serde(default)]
    pub slow: Option<u32>,
    /// Confidence from which a forecast is acted on, 0.5 to under 1; `fusion` alone has one, and without it there is that
    /// of the ensemble.
    #[serde(default)]
    pub threshold: Option<f64>,
    /// A position is left when the probability of its side falls under this, over 0 and up to 0.5; `fusion` alone has one.
    #[serde(default)]
    pub exit_under: Option<f64>,
    /// Length of the average true range, bars.
    pub atr: u32,
    /// Distance of the stop, in ATR.
    pub stop_atr: f64,
    /// Distance of the target, in ATR; absent: none.
    #[serde(default)]
    pub target_atr: Option<f64>,
    /// Distance at which the stop follows the best price, in ATR; absent: it does not.
    #[serde(default)]
    pub trailing_atr: Option<f64>,
    /// Longest time in a position, bars; absent: no limit.
    #[serde(default)]
    pub time_exit_bars: Option<u32>,
    /// Directions that may be entered.
    pub sides: Vec<Direction>,
}

/// The file's only top-level key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StrategyFile {
    strategy: RawStrategy,
}

/// Why a strategy is refused.
#[derive(Debug, thiserror::Error)]
pub enum StrategyError {
    /// Not YAML, an unknown key or a wrong type; the text names line and column.
    #[error("{0}")]
    Yaml(String),
    /// A value that cannot be meant.
    #[error("`strategy.{key}` is {value}: {reason}; {remedy}")]
    Value {
        /// The key.
        key: &'static str,
        /// What was given.
        value: String,
        /// What is wrong.
        reason: &'static str,
        /// What to write instead.
        remedy: &'static str,
    },
}

fn refuse(key: &'static str, value: impl ToString, reason: &'static str, remedy: &'static str) -> StrategyError {
    StrategyError::Value { key, value: value.to_string(), reason, remedy }
}

impl TryFrom<RawStrategy> for StrategyPolicy {
    type Error = StrategyError;

    fn try_from(mut raw: RawStrategy) -> Result<Self, StrategyError> {
        check_name(&raw.name)?;
        check_rule(&raw)?;
        check_lengths(&raw)?;
        check_distances(&raw)?;
        check_sides(&raw.sides)?;
        // A list of sides is a set: one order, so that it has one hash.
        raw.sides.sort_unstable_by_key(|side| *side == Direction::Short);
        Ok(Self { hash: hash_of(&raw), raw })
    }
}

impl From<StrategyPolicy> for RawStrategy {
    fn from(policy: StrategyPolicy) -> Self {
        policy.raw
    }
}

fn check_name(name: &str) -> Result<(), StrategyError> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    if (1..=32).contains(&name.len()) && name.chars().all(plain) {
        return Ok(());
    }
    let shown: String = name.chars().take(64).collect();
    Err(refuse(
        "name",
        format!("`{shown}`"),
        "it is not a plain name",
        "write 1 to 32 lower-case letters, digits, `_` or `-`",
    ))
}

/// Each rule has its keys and no others.
fn check_rule(raw: &RawStrategy) -> Result<(), StrategyError> {
    let averages = [("fast", raw.fast), ("slow", raw.slow)];
    let shares = [("threshold", raw.threshold), ("exit_under", raw.exit_under)];
    match raw.rule {
        Rule::EmaCross => {
            if let Some((key, _)) = averages.iter().find(|(_, bars)| bars.is_none()) {
                return Err(refuse(key, "missing", "the rule ema_cross needs it", "write a number of bars"));
            }
            if let Some((key, Some(value))) = shares.iter().find(|(_, value)| value.is_some()) {
                return Err(refuse(key, value, "the rule ema_cross has no probability", "leave this key out"));
            }
        }
        Rule::Fusion => {
            if let Some((key, Some(value))) = averages.iter().find(|(_, bars)| bars.is_some()) {
                return Err(refuse(key, value, "the rule fusion has no averages", "leave this key out"));
            }
        }
    }
    if let Some(x) = raw.threshold.filter(|x| !(0.5..1.0).contains(x)) {
        return Err(refuse(
            "threshold",
            x,
            "it is not a confidence",
            "write a number from 0.5 to under 1, such as 0.6",
        ));
    }
    if let Some(x) = raw.exit_under.filter(|x| !(*x > 0.0 && *x <= 0.5)) {
        return Err(refuse("exit_under", x, "it is not a probability", "write a number over 0 and up to 0.5"));
    }
    Ok(())
}

fn check_lengths(raw: &RawStrategy) -> Result<(), StrategyError> {
    for (key, bars) in [("fast", raw.fast), ("slow", raw.slow), ("atr", Some(raw.atr))] {
        if let Some(bars) = bars.filter(|bars| !(2..=1_000).contains(bars)) {
            return Err(refuse(key, bars, "it is not a usable number of bars", "write a whole number from 2 to 1000"));
        }
    }
    if let (Some(fast), Some(slow)) = (raw.fast, raw.slow)
        && fast >= slow
    {
        return Err(refuse("fast", fast, "it is not under `slow`", "write fast < slow, such as 12 and 26"));
    }
    if let Some(bars) = raw.time_exit_bars
        && !(1..=100_000).contains(&bars)
    {
        let remedy = "write 1 to 100000 bars, or leave the key out for no limit";
        return Err(refuse("time_exit_bars", bars, "it is not a usable number of bars", remedy));
    }
    Ok(())
}

fn check_distances(raw: &RawStrategy) -> Result<(), StrategyError> {
    let distances =
        [("stop_atr", Some(raw.stop_atr)), ("target_atr", raw.target_atr), ("trailing_atr", raw.trailing_atr)];
    for (key, distance) in distances {
        if let Some(atr) = distance
            && !(atr.is_finite() && atr > 0.0 && atr <= 100.0)
        {
            let remedy = "this key is a multiple of ATR: write a number over 0 and up to 100, such as 2.0";
            return Err(refuse(key, atr, "it is not a distance", remedy));
        }
    }
    Ok(())
}

fn check_sides(sides: &[Direction]) -> Result<(), StrategyError> {
    let remedy = "write [long], [short] or [long, short]";
    if sides.is_empty() {
        return Err(refuse("sides", "[]", "nothing could ever be entered", remedy));
    }
    if sides.iter().enumerate().any(|(at, side)| sides[..at].contains(side)) {
        return Err(refuse("sides", "a list", "a side stands in it twice", remedy));
    }
    Ok(())
}

/// Over every key in order, an absent one being no bytes. The first part versions the rule itself: a change of what the
/// keys mean must change it.
fn hash_of(raw: &RawStrategy) -> u64 {
    let RawStrategy { name, rule, fast, slow, threshold, exit_under, atr, .. } = raw;
    let RawStrategy { stop_atr, target_atr, trailing_atr, time_exit_bars, sides, .. } = raw;
    let kind: &[u8] = match rule {
        Rule::EmaCross => b"ema_cross 1",
        Rule::Fusion => b"fusion 1",
    };
    let sides: Vec<u8> = sides.iter().map(|side| u8::from(*side == Direction::Short)).collect();
    let length = |x: &Option<u32>| x.map(|bars| bars.to_le_bytes().to_vec()).unwrap_or_default();
    let bits = |x: &Option<f64>| x.map(|x| x.to_bits().to_le_bytes().to_vec()).unwrap_or_default();
    let mut parts: Vec<Vec<u8>> = vec![
        kind.to_vec(),
        name.as_bytes().to_vec(),
        length(fast),
        length(slow),
        atr.to_le_bytes().to_vec(),
        stop_atr.to_bits().to_le_bytes().to_vec(),
        bits(target_atr),
        bits(trailing_atr),
        length(time_exit_bars),
        sides,
    ];
    if *rule == Rule::Fusion {
        parts.extend([bits(threshold), bits(exit_under)]);
    }
    hash64(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

impl StrategyPolicy {
    /// Reads the file's text.
    ///
    /// # Errors
    /// [`StrategyError`] naming the key (or line and column), the value, the reason and the remedy.
    pub fn from_yaml(text: &str) -> Result<Self, StrategyError> {
        let file: StrategyFile = serde_saphyr::from_str(text).map_err(|e| StrategyError::Yaml(e.to_string()))?;
        file.strategy.try_into()
    }

    /// Hash of its meaning: the same however the file is laid out, another when any key has another value.
    pub const fn hash(&self) -> u64 {
        self.hash
    }

    /// What decisions and reports call it.
    pub fn name(&self) -> &str {
        &self.raw.name
    }

    /// Whether it asks the model.
    pub fn asks_model(&self) -> bool {
        self.raw.rule == Rule::Fusion
    }

    /// The same with the ensemble's threshold where it names none of its own and asks the model.
    #[must_use]
    pub fn with_threshold(mut self, threshold: f64) -> Self {
        if self.asks_model() && self.raw.threshold.is_none() {
            self.raw.threshold = Some(threshold);
            self.hash = hash_of(&self.raw);
        }
        self
    }

    /// The checked keys.
    pub const fn keys(&self) -> &RawStrategy {
        &self.raw
    }

    /// Whether it may enter this direction.
    pub fn trades(&self, direction: Direction) -> bool {
        self.raw.sides.contains(&direction)
    }

    /// Bars after which its averages, the ATR among them, are defined and compared for the first time; it can act on the next one.
    pub fn warm_up_bars(&self) -> usize {
        self.raw.slow.unwrap_or(0).max(self.raw.atr + 1) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../../../policies/strategies/ema_cross.yaml");
    const FUSION: &str = include_str!("../../../policies/strategies/fusion.yaml");
    const HOURLY: &str = include_str!("../../../policies/strategies/fusion_hourly.yaml");

    #[test]
    fn the_shipped_file_loads() {
        let policy = StrategyPolicy::from_yaml(SHIPPED).unwrap();
        let keys = policy.keys();
        assert_eq!((policy.name(), keys.fast, keys.slow, keys.atr), ("ema_cross", Some(12), Some(26), 14));
        assert_eq!((keys.target_atr, keys.trailing_atr, keys.time_exit_bars), (Some(4.0), None, Some(72)));
        assert_eq!(policy.warm_up_bars(), 26);
        let json = serde_json::to_string(&policy).unwrap();
        assert_eq!(serde_json::from_str::<StrategyPolicy>(&json).unwrap(), policy);
        let bytes = postcard::to_allocvec(&policy).unwrap();
        assert_eq!(postcard::from_bytes::<StrategyPolicy>(&bytes).unwrap(), policy);
        let optional = SHIPPED.replace("# trailing_atr", "trailing_atr");
        assert_eq!(StrategyPolicy::from_yaml(&optional).unwrap().keys().trailing_atr, Some(3.0));
    }

    #[test]
    fn the_hash_is_that_of_the_meaning() {
        let hash = |text: &str| StrategyPolicy::from_yaml(text).unwrap().hash();
        let shipped = hash(SHIPPED);
        assert_eq!(shipped, 0xa077_e8f8_4d9d_54c9, "a stored decision names its policy by this number");
        assert_eq!(hash(&SHIPPED.replace("[long, short]", "[short, long]")), shipped);
        assert_eq!(hash(&SHIPPED.replace("stop_atr: 2.0", "stop_atr: 2")), shipped);
        for (from, to) in [
            ("name: ema_cross ", "name: other "),
            ("fast: 12", "fast: 13"),
            ("slow: 26", "slow: 27"),
            ("atr: 14", "atr: 15"),
            ("stop_atr: 2.0", "stop_atr: 2.5"),
            ("target_atr: 4.0", "target_atr: 5.0"),
            ("  target_atr: 4.0", "#"),
            ("# trailing_atr: 3.0", "trailing_atr: 3.0"),
            ("time_exit_bars: 72", "time_exit_bars: 71"),
            ("[long, short]", "[long]"),
        ] {
            assert!(SHIPPED.contains(from), "{from}");
            assert_ne!(hash(&SHIPPED.replacen(from, to, 1)), shipped, "{to}");
        }
    }

    #[test]
    fn a_strategy_of_the_model_takes_the_threshold_of_the_ensemble_unless_it_has_its_own() {
        let policy = StrategyPolicy::from_yaml(FUSION).unwrap();
        assert!(policy.asks_model() && policy.keys().threshold.is_none());
        let hourly = StrategyPolicy::from_yaml(HOURLY).unwrap();
        assert_eq!(hourly.clone().with_threshold(0.6), hourly, "it has its own");
        let taken = policy.clone().with_threshold(0.6);
        assert_eq!(taken.keys().threshold, Some(0.6));
        assert_ne!(taken.hash(), policy.hash());
        assert_eq!(taken.clone().with_threshold(0.7), taken);
        for (key, wanted) in
            [("threshold: 1.0", "threshold"), ("threshold: 0.4", "threshold"), ("exit_under: 0.6", "exit_under")]
        {
            let text = FUSION.replace("  sides:", &format!("  {key}\n  sides:")).replace("  exit_under: 0.45", "  #");
            let error = StrategyPolicy::from_yaml(&text).unwrap_err().to_string();
            assert!(error.contains(&format!("`strategy.{wanted}` is")), "{error}");
        }
        let cross = StrategyPolicy::from_yaml(SHIPPED).unwrap();
        assert_eq!(cross.clone().with_threshold(0.6), cross);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_key_value_reason_and_remedy() {
        for (from, to, wanted) in [
            (
                "name: ema_cross ",
                "name: EMA Cross #",
                "`strategy.name` is `EMA Cross`: it is not a plain name; write 1",
            ),
            ("fast: 12", "fast: 26", "`strategy.fast` is 26: it is not under `slow`; write fast < slow"),
            ("fast: 12", "fast: 1", "`strategy.fast` is 1: it is not a usable number of bars; write a whole"),
            ("fast: 12", "fast: -3", "fast"),
            ("slow: 26", "slow: 1001", "`strategy.slow` is 1001"),
            ("atr: 14", "atr: 0", "`strategy.atr` is 0"),
            ("stop_atr: 2.0", "stop_atr: 0", "`strategy.stop_atr` is 0: it is not a distance; this key is a multiple"),
            ("stop_atr: 2.0", "stop_atr: .nan", "`strategy.stop_atr` is NaN"),
            ("stop_atr: 2.0", "stop_atr: .inf", "`strategy.stop_atr` is inf"),
            ("target_atr: 4.0", "target_atr: -4", "`strategy.target_atr` is -4"),
            ("# trailing_atr: 3.0", "trailing_atr: 101", "`strategy.trailing_atr` is 101"),
            ("time_exit_bars: 72", "time_exit_bars: 0", "`strategy.time_exit_bars` is 0"),
            ("[long, short]", "[]", "`strategy.sides` is []: nothing could ever be entered"),
            ("[long, short]", "[long, long]", "twice"),
            ("[long, short]", "[up]", "up"),
            ("  slow: 26", "  slwo: 26", "slwo"),
            ("rule: ema_cross", "rule: magic", "magic"),
            ("  stop_atr: 2.0", "#", "stop_atr"),
            ("  fast: 12", "#", "`strategy.fast` is missing: the rule ema_cross needs it"),
            ("rule: ema_cross", "rule: fusion", "`strategy.fast` is 12: the rule fusion has no averages"),
            ("  atr: 14", "  threshold: 0.6\n  atr: 14", "`strategy.threshold` is 0.6: the rule ema_cross has no"),
            ("strategy:", "strategies:", "strategies"),
        ] {
            assert!(SHIPPED.contains(from), "{from}");
            let error = StrategyPolicy::from_yaml(&SHIPPED.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.contains(wanted), "{to}: {error}");
        }
    }
}
