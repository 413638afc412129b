//! Tests of the transformer as a whole, on tables with planted patterns.

mod fixtures;
mod forecasting;
mod learning;
mod storing;
