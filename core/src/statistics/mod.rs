//! How good forecasts are, and how much of that is chance. Pure functions over numbers that somebody else has made.
//!
//! What they share: an empty input gives `None`, never a number that looks like a result. Overlapping outcomes count
//! for less than they are ([`effective_size`]); a bound that is computed from their plain number is too narrow.

mod bounds;
mod forecasts;
mod overlapping;
mod quantiles;
mod returns;

pub use bounds::{Bounds, Z95, binomial_bounds, design_effect, effective_size, wilson};
pub use forecasts::{
    Accuracy, Judged, ReliabilityBin, accuracy, accuracy_from, brier, calibration_error, log_loss, reliability,
};
pub use overlapping::{Call, Evaluation, Overlapping, evaluate};
pub use quantiles::{Quantiles, quantile_sorted};
pub use returns::{bars_a_year, correlation, max_drawdown, mean, sharpe, std_dev};
