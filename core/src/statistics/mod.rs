//! How good forecasts and backtests are, and how much of that is chance. Pure functions over numbers that somebody else has
//! made; what they draw depends on a seed alone.
//!
//! What they share: an empty input gives `None`, never a number that looks like a result. Overlapping outcomes count
//! for less than they are ([`effective_size`]); a bound that is computed from their plain number is too narrow.

mod bootstrap;
mod bounds;
mod forecasts;
mod normal;
mod overfitting;
mod overlapping;
mod paths;
mod placement;
mod quantiles;
mod ratios;
mod returns;

pub use bootstrap::{Interval, block_length, intervals, redraw};
pub use bounds::{Bounds, Z95, binomial_bounds, design_effect, effective_size, wilson};
pub use forecasts::{
    Accuracy, Judged, ReliabilityBin, accuracy, accuracy_from, brier, calibration_error, log_loss, reliability,
};
pub use normal::{normal_cdf, normal_quantile};
pub use overfitting::{LogitBin, Overfitting, overfitting};
pub use overlapping::{Call, Evaluation, Overlapping, evaluate};
pub use paths::{PathSetup, Paths, paths};
pub use placement::{Held, Placed, Placement, placement_test};
pub use quantiles::{Quantiles, quantile_sorted};
pub use ratios::{Shape, expected_max_sharpe, min_track_record, probabilistic_sharpe, sharpe_variance, sortino};
pub use returns::{bars_a_year, correlation, max_drawdown, mean, sharpe, std_dev};
