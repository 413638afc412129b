//! The points of a grid of parameters.

use std::collections::BTreeSet;

use levibot_core::domain::hash::hash64;

use super::BacktestError;
use super::request::{Axis, POINTS_MAX};

/// All points of some axes, or some of them. The last axis runs fastest.
#[derive(Debug)]
pub(super) struct Grid<'a> {
    axes: &'a [Axis],
    /// Numbers of the points, ascending; `None`: all.
    drawn: Option<Vec<u64>>,
    count: u64,
}

impl<'a> Grid<'a> {
    /// The grid of `axes`, or `random` different points of it, drawn by `seed`.
    pub(super) fn new(axes: &'a [Axis], random: Option<u32>, seed: u64) -> Result<Self, BacktestError> {
        if let Some((at, axis)) =
            axes.iter().enumerate().find(|(at, axis)| axes[..*at].iter().any(|a| a.name == axis.name))
        {
            let _ = at;
            let remedy = "give all values of a parameter in one --sweep";
            return Err(BacktestError::value("--sweep", &axis.name, "the parameter stands there twice", remedy));
        }
        let whole = axes.iter().try_fold(1_u64, |count, axis| count.checked_mul(axis.values.len() as u64));
        let points = whole.ok_or_else(|| {
            BacktestError::value("--sweep", "a grid", "it has more points than can be counted", "leave out values")
        })?;
        let count = random.map_or(points, |random| points.min(random.into()));
        if count == 0 || count > POINTS_MAX {
            let reason = format!("{count} is not 1 to {POINTS_MAX} points");
            let remedy = "leave out values, or draw some with --sweep-random 1000";
            return Err(BacktestError::value("--sweep", format!("a grid of {points}"), reason, remedy));
        }
        Ok(Self { axes, drawn: (count < points).then(|| draw(points, count, seed)), count })
    }

    /// How many points there are.
    pub(super) fn len(&self) -> usize {
        usize::try_from(self.count).unwrap_or(usize::MAX)
    }

    /// The names of the parameters.
    pub(super) fn names(&self) -> Vec<String> {
        self.axes.iter().map(|axis| axis.name.clone()).collect()
    }

    /// Every parameter and its value at a point.
    pub(super) fn point(&self, at: usize) -> Vec<(&'a str, f64)> {
        let number = self.drawn.as_ref().map_or(at as u64, |drawn| drawn.get(at).copied().unwrap_or(0));
        let mut rest = usize::try_from(number).unwrap_or(0);
        let mut values = Vec::with_capacity(self.axes.len());
        for axis in self.axes.iter().rev() {
            let len = axis.values.len().max(1);
            values.push((axis.name.as_str(), axis.values.get(rest % len).copied().unwrap_or(f64::NAN)));
            rest /= len;
        }
        values.reverse();
        values
    }
}

/// `count` different numbers under `points`, ascending: the sample of Floyd (Bentley & Floyd 1987).
fn draw(points: u64, count: u64, seed: u64) -> Vec<u64> {
    let mut drawn = BTreeSet::new();
    for last in points - count..points {
        let number = hash64(&[b"sweep", &seed.to_le_bytes(), &last.to_le_bytes()]) % (last + 1);
        if !drawn.insert(number) {
            drawn.insert(last);
        }
    }
    drawn.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn axes(texts: &[&str]) -> Vec<Axis> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_last_axis_runs_fastest() {
        let axes = axes(&["a=1,2", "b=10,20,30"]);
        let grid = Grid::new(&axes, None, 0).unwrap();
        let points: Vec<_> = (0..grid.len()).map(|at| grid.point(at)).collect();
        assert_eq!(points.len(), 6);
        assert_eq!(points[1], [("a", 1.0), ("b", 20.0)]);
        assert_eq!(points[3], [("a", 2.0), ("b", 10.0)]);
    }

    #[test]
    fn grids_that_cannot_be_meant_are_refused() {
        for (texts, reason) in [(&["a=1", "a=2"][..], "twice"), (&["a=0:2000:1", "b=0:2000:1"], "--sweep-random")] {
            let axes = axes(texts);
            let error = Grid::new(&axes, None, 0).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        let large = axes(&["a=0:2000:1", "b=0:2000:1"]);
        assert_eq!(Grid::new(&large, Some(100), 0).unwrap().len(), 100);
        assert!(Grid::new(&large, Some(0), 0).is_err());
    }

    proptest! {
        #[test]
        fn drawn_points_are_different_and_follow_the_seed(points in 1_u64..500, share in 0_u64..=100, seed: u64) {
            let count = (points * share / 100).clamp(1, points);
            let drawn = draw(points, count, seed);
            prop_assert_eq!(drawn.len() as u64, count);
            prop_assert!(drawn.is_sorted_by(|a, b| a < b) && drawn.iter().all(|n| *n < points));
            prop_assert_eq!(draw(points, count, seed), drawn);
        }
    }
}
