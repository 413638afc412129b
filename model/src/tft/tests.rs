//! Tests of the transformer as a whole, on tables with planted patterns.

#![expect(clippy::cast_possible_truncation, reason = "numbers of the fixtures are small")]

mod fixtures;
mod forecasting;
mod learning;
mod storing;
