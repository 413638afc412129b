//! Batches of training windows as tensors.

use levibot_core::forecast::INPUTS;
use tch::{TchError, Tensor};

use super::TftError;
use super::inputs::{Inputs, future_steps};
use crate::dataset::{Sample, Table};

/// All rows that samples can need, normalised once.
#[derive(Debug)]
pub(super) struct Batches<'a> {
    table: &'a Table,
    inputs: &'a Inputs,
    /// `[rows of all series, columns]`.
    rows: Tensor,
    /// Where the rows of each series begin.
    starts: Vec<i64>,
    /// The number of each series' symbol.
    numbers: Vec<usize>,
    levels: Vec<f32>,
}

/// What is learnt from at one step.
#[derive(Debug)]
pub(super) struct Batch {
    /// Normalised columns of past bars, `[batch, window, columns]`.
    pub(super) past: Tensor,
    /// Calendar of future bars, `[batch, steps, parts]`.
    pub(super) known: Tensor,
    /// Numbers of the symbols, `[batch]`.
    pub(super) ids: Tensor,
    /// Levels of the symbols, `[batch, 1]`.
    pub(super) levels: Tensor,
    /// Log returns over the future steps in units of the expected volatility, `[batch, steps]`.
    pub(super) targets: Tensor,
    /// 1 where the price rose by more than a round trip costs, `[batch]`.
    pub(super) up: Tensor,
    /// 1 where it rose or fell by more than that, `[batch]`.
    pub(super) labelled: Tensor,
    /// How many of it are labelled.
    pub(super) labels: f64,
}

impl<'a> Batches<'a> {
    /// Normalises the table.
    pub(super) fn new(table: &'a Table, inputs: &'a Inputs) -> Result<Self, TchError> {
        let places = inputs.places();
        let (mut values, mut starts) = (Vec::new(), Vec::new());
        for series in &table.series {
            starts.push(i64::try_from(values.len() / places.len()).unwrap_or(i64::MAX));
            for row in series.rows.chunks_exact(INPUTS) {
                inputs.normalise(row, &places, &mut values);
            }
        }
        let width = i64::try_from(places.len()).unwrap_or(i64::MAX);
        Ok(Self {
            table,
            inputs,
            rows: Tensor::f_from_slice(&values)?.f_reshape([-1, width])?,
            starts,
            numbers: table.series.iter().map(|series| inputs.number(series.symbol)).collect(),
            levels: inputs.levels(),
        })
    }

    /// A batch of samples with outcomes; those that `hidden` says so of, by their place, are shown without their symbol.
    #[expect(clippy::cast_possible_truncation, reason = "a few times the expected volatility")]
    pub(super) fn batch(&self, samples: &[Sample], hidden: impl Fn(usize) -> bool) -> Result<Batch, TchError> {
        let window = i64::try_from(self.inputs.window).unwrap_or(i64::MAX);
        let count = i64::try_from(samples.len()).unwrap_or(i64::MAX);
        let (mut rows, mut known, mut targets) = (Vec::new(), Vec::new(), Vec::new());
        let (mut ids, mut levels, mut up, mut labelled) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (at, sample) in samples.iter().enumerate() {
            let end = self.starts[sample.series as usize] + i64::from(sample.at) + 1;
            rows.extend(end - window..end);
            self.inputs.known(self.table.close_ts(*sample), &mut known);
            let number = if hidden(at) { 0 } else { self.numbers[sample.series as usize] };
            ids.push(i64::try_from(number).unwrap_or(0));
            levels.push(self.levels[number]);
            for (step, scale) in self.inputs.steps.iter().zip(self.inputs.scales(self.table.row(*sample))) {
                let moved = self.table.forward_return(*sample, *step as usize).unwrap_or(f64::NAN);
                targets.push((moved / scale) as f32);
            }
            let label = self.table.outcome(*sample).and_then(|outcome| outcome.label);
            up.push(f32::from(u8::from(label == Some(true))));
            labelled.push(f32::from(u8::from(label.is_some())));
        }
        let labels = labelled.iter().copied().map(f64::from).sum();
        let shaped = |values: &[f32], shape: &[i64]| Tensor::f_from_slice(values)?.f_reshape(shape);
        Ok(Batch {
            past: self.rows.f_index_select(0, &Tensor::f_from_slice(&rows)?)?.f_reshape([count, window, -1])?,
            known: shaped(&known, &[count, i64::try_from(self.inputs.steps.len()).unwrap_or(1), -1])?,
            ids: Tensor::f_from_slice(&ids)?,
            levels: shaped(&levels, &[count, 1])?,
            targets: shaped(&targets, &[count, -1])?,
            up: Tensor::f_from_slice(&up)?,
            labelled: Tensor::f_from_slice(&labelled)?,
            labels,
        })
    }
}

/// Refuses a sample whose window or outcome is not whole: a table that was put together wrongly.
pub(super) fn check(table: &Table, window: usize, sample: Sample) -> Result<(), TftError> {
    let series = table.series_of(sample);
    let refuse = |reason| Err(TftError::Row { symbol: series.symbol, at: sample.at, reason });
    let at = sample.at as usize;
    if at + 1 < window || series.rows.len() < (at + 1) * INPUTS {
        return refuse("its window is not whole");
    }
    if !series.rows[(at + 1 - window) * INPUTS..(at + 1) * INPUTS].iter().all(|x| x.is_finite()) {
        return refuse("a feature in its window is not finite");
    }
    let whole = |step: u32| table.forward_return(sample, step as usize).is_some_and(f64::is_finite);
    if future_steps(table.horizon_bars).into_iter().all(whole) { Ok(()) } else { refuse("its outcome is not whole") }
}
