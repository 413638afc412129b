//! Whether the model answers again after it was killed.

use std::time::Duration;

use super::figures::value;
use crate::control::ModelView;

/// A kill of the model. It answers again when another process is up and has answered.
#[derive(Debug)]
pub(super) struct ModelKill {
    /// The process that was killed.
    pid: u32,
    pub(super) since: Duration,
    pub(super) looked: Duration,
    /// Answers up to the last moment at which no other process was seen up.
    before: Option<f64>,
}

/// The model's answers so far.
pub(super) fn answered(metrics: &str) -> Option<f64> {
    value(metrics, "levibot_forecasts_total", &["outcome=\"answered\""])
}

impl ModelKill {
    pub(super) const fn new(pid: u32, since: Duration) -> Self {
        Self { pid, since, looked: since, before: None }
    }

    /// Whether it answers again, by what the daemon shows of the model and by the answers so far. Those that the killed
    /// process gave, which may be counted after its end, do not count.
    pub(super) fn is_back(&mut self, model: Option<&ModelView>, answers: Option<f64>) -> bool {
        let is_up = model.is_some_and(|m| m.state == "running" && m.pid.is_some_and(|pid| pid != self.pid));
        match (is_up, self.before, answers) {
            (true, Some(before), Some(answers)) => answers > before,
            (_, _, Some(answers)) => {
                self.before = Some(answers);
                false
            }
            (_, _, None) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_of_another_process_that_is_up_counts() {
        let model = |state: &str, pid| ModelView { state: state.into(), pid, ..ModelView::default() };
        let (old, dead) = (model("running", Some(7)), model("crashed", None));
        let (starting, new) = (model("starting", Some(8)), model("running", Some(8)));
        let mut kill = ModelKill::new(7, Duration::ZERO);
        // What the old one answered last is counted late, and by a daemon that has not seen its end.
        for (view, answers) in [(&old, 10.0), (&old, 11.0), (&dead, 12.0), (&starting, 13.0)] {
            assert!(!kill.is_back(Some(view), Some(answers)), "{view:?}");
        }
        assert!(!kill.is_back(None, Some(14.0)));
        assert!(!kill.is_back(Some(&new), Some(14.0)), "up, and nothing answered since");
        assert!(!kill.is_back(Some(&new), None), "nothing can be read");
        assert!(kill.is_back(Some(&new), Some(15.0)));

        let mut quick = ModelKill::new(7, Duration::ZERO);
        assert!(!quick.is_back(Some(&new), Some(20.0)), "without answers before there is nothing to compare");
        assert!(quick.is_back(Some(&new), Some(21.0)));
    }

    #[test]
    fn answers_are_those_of_the_model_alone() {
        let text = "levibot_forecasts_total{outcome=\"answered\"} 3\nlevibot_forecasts_total{outcome=\"absent\"} 4\n";
        assert_eq!(answered(text), Some(3.0));
        assert_eq!(answered("levibot_bars_total 3\n"), None);
    }
}
