//! What is asked for.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use levibot_core::domain::{AccountKind, ModelVersion, Money, Span, Symbol, Timeframe, Ts};

/// The most points of a grid.
pub const POINTS_MAX: u64 = 1_000_000;
/// The most values of one parameter.
const VALUES_MAX: usize = 100_000;

/// A backtest as the command line asks for it. What is absent has the default that is told beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// A price file or a folder of them.
    pub data: PathBuf,
    /// What is traded; absent: all that is found.
    pub symbols: Option<Vec<Symbol>>,
    /// Bars that open at or after this are traded; earlier ones warm up.
    pub from: Option<Ts>,
    /// Bars that close at or before this are traded.
    pub to: Option<Ts>,
    /// Length of the bars, a multiple of that of the files; absent: that of the files.
    pub timeframe: Option<Timeframe>,
    /// The policy of every symbol; absent: those of the configuration.
    pub policy: Option<PathBuf>,
    /// Parameters of the policy that are set.
    pub set: Vec<(String, f64)>,
    /// A configuration, from which account, limits, costs and trading rules come.
    pub config: Option<PathBuf>,
    /// The model, for policies that ask it.
    pub model: ModelRequest,
    /// The account.
    pub account: AccountRequest,
    /// What trading costs.
    pub costs: CostRequest,
    /// What linear positions pay; absent: nothing.
    pub funding: Option<FundingRequest>,
    /// Parameters that are tried.
    pub sweep: Vec<Axis>,
    /// So many points of the grid, drawn by [`seed`](Self::seed); absent: all.
    pub sweep_random: Option<u32>,
    /// Parameters chosen anew as time goes.
    pub walk: Option<Walk>,
    /// What is best.
    pub objective: Objective,
    /// Seed of every draw; absent: 42, or that of the configuration.
    pub seed: Option<u64>,
    /// Threads; absent: as many as the machine has.
    pub threads: Option<usize>,
    /// Folder of the result; absent: nothing is written.
    pub out: Option<PathBuf>,
    /// Whether a report is written to it.
    pub report: bool,
    /// Whether nothing but the result is told.
    pub quiet: bool,
}

/// The model of a backtest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModelRequest {
    /// The folder of versions; absent: that of the configuration.
    pub dir: Option<PathBuf>,
    /// The version; absent: that of the configuration, or the one in use.
    pub version: Option<ModelVersion>,
    /// Whether it may be asked about bars that it has learnt from.
    pub in_sample: bool,
}

/// The account of a backtest.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AccountRequest {
    /// File of the limits; absent: see [`super::run`].
    pub risk: Option<PathBuf>,
    /// Absent: linear.
    pub kind: Option<AccountKind>,
    /// Cash in the beginning; absent: 10,000.
    pub cash: Option<Money>,
}

/// What trading costs.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CostRequest {
    /// Fee of a side, a fraction of notional; absent: 0.0005.
    pub fee: Option<f64>,
    /// Full spread, a fraction of price; absent: 0.
    pub spread: Option<f64>,
    /// Mean slippage, a fraction of price; absent: 0.
    pub slippage: Option<f64>,
    /// Mean time from sending to being live; absent: none.
    pub latency: Option<Span>,
    /// Share of a bar's volume that one order may take, over 0 and up to 1; absent: 1.
    pub participation: Option<f64>,
}

/// What linear positions pay. Written as a number, or as the path of a file or folder of rates.
#[derive(Debug, Clone, PartialEq)]
pub enum FundingRequest {
    /// The same at all times: a fraction of a position's value every 8 hours, paid by longs.
    Rate(f64),
    /// Rates of the past, as the venue has published them.
    Files(PathBuf),
}

impl FundingRequest {
    /// The constant rate, where it is one.
    pub(super) const fn rate(&self) -> Option<f64> {
        match self {
            Self::Rate(rate) => Some(*rate),
            Self::Files(_) => None,
        }
    }
}

impl FromStr for FundingRequest {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(text.parse().map_or_else(|_| Self::Files(text.into()), Self::Rate))
    }
}

/// Values of one parameter that are tried. Written `name=first:last:step` or `name=a,b,c`.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// The parameter.
    pub name: String,
    /// Its values, in the order in which they were written.
    pub values: Vec<f64>,
}

/// Windows of a walk-forward test. Written `180d/30d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walk {
    /// Length of what parameters are chosen on.
    pub train: Span,
    /// Length of what they are then run on.
    pub test: Span,
    /// What is left out between the two.
    pub embargo: Span,
}

impl FromStr for Walk {
    type Err = RequestError;

    /// The embargo is a day.
    fn from_str(text: &str) -> Result<Self, RequestError> {
        let remedy = "write TRAIN/TEST, such as 180d/30d";
        let (train, test) = text.split_once('/').ok_or_else(|| refuse("there is no `/` in it", remedy))?;
        Ok(Self { train: span(train, remedy)?, test: span(test, remedy)?, embargo: Span::DAY })
    }
}

impl fmt::Display for Walk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |span: Span| match span.nanos() % Span::DAY.nanos() {
            // Other units would call 31 days a month and some.
            0 => format!("{}d", span.nanos() / Span::DAY.nanos()),
            _ => humantime::format_duration(Duration::from_nanos(span.nanos().unsigned_abs())).to_string(),
        };
        write!(f, "{}/{}", text(self.train), text(self.test))
    }
}

/// A length of time over zero, such as `30d`, and under 100 years.
fn span(text: &str, remedy: &'static str) -> Result<Span, RequestError> {
    let length = humantime::parse_duration(text.trim()).ok().and_then(|length| i64::try_from(length.as_nanos()).ok());
    let span = length.map(Span::from_nanos).filter(|span| (Span::SECOND..Span::DAY.times(36_500)).contains(span));
    span.ok_or_else(|| refuse(format!("`{text}` is not a length of time from a second to 100 years"), remedy))
}

/// What makes one set of parameters better than another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Objective {
    /// Sharpe ratio of daily returns; of those of bars where there are under 30 days.
    #[default]
    Sharpe,
    /// Gain after costs.
    NetPnl,
    /// Yearly return over the largest drawdown (Young 1991).
    Calmar,
}

/// Text that is not what it should be, with the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}; {remedy}")]
pub struct RequestError {
    reason: String,
    remedy: &'static str,
}

fn refuse(reason: impl Into<String>, remedy: &'static str) -> RequestError {
    RequestError { reason: reason.into(), remedy }
}

/// Reads `name=value`.
///
/// # Errors
/// [`RequestError`] naming reason and remedy.
pub fn parse_set(text: &str) -> Result<(String, f64), RequestError> {
    let remedy = "write name=value, such as fast=10";
    let (name, value) = text.split_once('=').ok_or_else(|| refuse("there is no `=` in it", remedy))?;
    Ok((parameter(name, remedy)?, number(value, remedy)?))
}

fn parameter(name: &str, remedy: &'static str) -> Result<String, RequestError> {
    let name = name.trim();
    if name.is_empty() { Err(refuse("the name of the parameter is missing", remedy)) } else { Ok(name.to_owned()) }
}

fn number(text: &str, remedy: &'static str) -> Result<f64, RequestError> {
    let value: Option<f64> = text.trim().parse().ok();
    value.filter(|value| value.is_finite()).ok_or_else(|| refuse(format!("`{text}` is not a number"), remedy))
}

impl FromStr for Axis {
    type Err = RequestError;

    fn from_str(text: &str) -> Result<Self, RequestError> {
        let remedy = "write name=first:last:step or name=a,b,c, such as fast=5:50:5";
        let (name, rest) = text.split_once('=').ok_or_else(|| refuse("there is no `=` in it", remedy))?;
        let values = match rest.split(':').collect::<Vec<_>>()[..] {
            [first, last, step] => {
                stepped(number(first, remedy)?, number(last, remedy)?, number(step, remedy)?, remedy)?
            }
            [list] => list.split(',').map(|one| number(one, remedy)).collect::<Result<Vec<_>, _>>()?,
            _ => return Err(refuse("a range has three parts", remedy)),
        };
        let mut sorted = values.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        if let Some([value, ..]) = sorted.chunk_by(|a, b| a.to_bits() == b.to_bits()).find(|same| same.len() > 1) {
            return Err(refuse(format!("{value} stands there twice"), remedy));
        }
        Ok(Self { name: parameter(name, remedy)?, values })
    }
}

/// `first`, `first + step` and so on up to `last`, which is among them where a whole number of steps leads there.
fn stepped(first: f64, last: f64, step: f64, remedy: &'static str) -> Result<Vec<f64>, RequestError> {
    if step <= 0.0 || last < first {
        return Err(refuse("a range goes up from its first to its last by a step over zero", remedy));
    }
    let steps = ((last - first) / step * (1.0 + 1e-12) + 1e-9).floor();
    if steps >= VALUES_MAX as f64 {
        return Err(refuse(format!("it has over {VALUES_MAX} values"), "take a larger step"));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and VALUES_MAX")]
    let steps = steps as usize;
    // Of what is written with few digits, the sum has few digits too.
    let tidy = |value: f64| format!("{value:.12}").parse().unwrap_or(value);
    Ok((0..=steps).map(|n| tidy(first + n as f64 * step)).collect())
}

impl FromStr for Objective {
    type Err = RequestError;

    fn from_str(text: &str) -> Result<Self, RequestError> {
        match text {
            "sharpe" => Ok(Self::Sharpe),
            "net_pnl" => Ok(Self::NetPnl),
            "calmar" => Ok(Self::Calmar),
            _ => Err(refuse("it is not an objective", "write sharpe, net_pnl or calmar")),
        }
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sharpe => "sharpe",
            Self::NetPnl => "net_pnl",
            Self::Calmar => "calmar",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_is_a_range_or_a_list() {
        let values = |text: &str| text.parse::<Axis>().unwrap().values;
        assert_eq!(values("fast=5:20:5"), [5.0, 10.0, 15.0, 20.0]);
        assert_eq!(values("x=0.1:0.5:0.1"), [0.1, 0.2, 0.3, 0.4, 0.5]);
        assert_eq!(values("x=1:1.9:0.5"), [1.0, 1.5]);
        assert_eq!(values("x=3,1,2"), [3.0, 1.0, 2.0]);
        assert_eq!(values("x=7"), [7.0]);
        assert_eq!("slow =1:2:1".parse::<Axis>().unwrap().name, "slow");
    }

    #[test]
    fn what_is_no_axis_is_refused_with_a_remedy() {
        for (text, reason) in [
            ("fast", "no `=`"),
            ("fast=", "not a number"),
            ("=1,2", "name of the parameter"),
            ("fast=1:2", "three parts"),
            ("fast=1:2:0", "over zero"),
            ("fast=1:2:-1", "over zero"),
            ("fast=2:1:1", "over zero"),
            ("fast=1:nan:1", "not a number"),
            ("fast=1,2,1", "twice"),
            ("fast=0:1:0.000001", "100000 values"),
        ] {
            let error = text.parse::<Axis>().unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains(';'), "{text}: {error}");
        }
    }

    #[test]
    fn a_setting_is_a_name_and_a_number() {
        assert_eq!(parse_set("fast=10").unwrap(), ("fast".to_owned(), 10.0));
        for text in ["fast", "fast=ten", "=3", "fast=inf"] {
            assert!(parse_set(text).is_err(), "{text}");
        }
    }
}
