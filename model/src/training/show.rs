//! Progress for people: a bar a stage on a terminal, plain lines elsewhere.

use std::fmt;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::progress::Progress;

/// Lines of one stage that stand at least so far apart, so that a log stays readable.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// What a stage took.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct StageTime {
    /// Its name.
    pub stage: String,
    /// Seconds from its begin to its end.
    pub seconds: f64,
}

/// Shows stages on standard error and keeps how long each took.
#[derive(Debug)]
pub struct Show {
    face: Face,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Face {
    Bars,
    Lines,
    Nothing,
}

struct State {
    bar: Option<ProgressBar>,
    stage: String,
    steps: u64,
    done: u64,
    began: Instant,
    line_at: Instant,
    times: Vec<StageTime>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("stage", &self.stage).field("done", &self.done).finish_non_exhaustive()
    }
}

impl Show {
    /// Bars where standard error is a terminal, else lines.
    pub fn on_stderr() -> Self {
        Self::with(if std::io::stderr().is_terminal() { Face::Bars } else { Face::Lines })
    }

    /// Shows nothing, but keeps the times.
    pub fn silent() -> Self {
        Self::with(Face::Nothing)
    }

    fn with(face: Face) -> Self {
        let now = Instant::now();
        let state =
            State { bar: None, stage: String::new(), steps: 0, done: 0, began: now, line_at: now, times: Vec::new() };
        Self { face, state: Mutex::new(state) }
    }

    /// What each stage took so far, in the order in which they ended.
    pub fn times(&self) -> Vec<StageTime> {
        self.state().times.clone()
    }

    /// Runs `work` as a stage of one step.
    pub fn stage<T>(&self, name: &str, work: impl FnOnce() -> T) -> T {
        self.begin(name, 1);
        let result = work();
        self.step(1, "");
        self.end();
        result
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Plain values: a panic elsewhere cannot leave them half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for Show {
    fn begin(&self, stage: &str, steps: u64) {
        let mut state = self.state();
        let now = Instant::now();
        (state.stage, state.steps, state.done) = (stage.to_owned(), steps, 0);
        (state.began, state.line_at) = (now, now);
        match self.face {
            Face::Bars => state.bar = Some(bar(stage, steps)),
            Face::Lines => line(&format!("{stage}: begins")),
            Face::Nothing => {}
        }
    }

    fn step(&self, steps: u64, note: &str) {
        let mut state = self.state();
        state.done += steps;
        if let Some(bar) = &state.bar {
            bar.inc(steps);
            if !note.is_empty() {
                bar.set_message(note.to_owned());
            }
        } else if self.face == Face::Lines && state.line_at.elapsed() >= LINE_EVERY {
            state.line_at = Instant::now();
            let space = if note.is_empty() { "" } else { ", " };
            line(&format!("{}: {} of {}{space}{note}", state.stage, state.done, state.steps));
        }
    }

    fn end(&self) {
        let mut state = self.state();
        let time = StageTime { stage: state.stage.clone(), seconds: state.began.elapsed().as_secs_f64() };
        if let Some(bar) = state.bar.take() {
            bar.finish();
        }
        if self.face == Face::Lines {
            line(&format!("{}: done in {:.1} s", time.stage, time.seconds));
        }
        state.times.push(time);
    }
}

fn bar(stage: &str, steps: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{prefix:>12} [{bar:30}] {pos}/{len} {elapsed} {msg}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_prefix(stage.to_owned());
    bar.tick();
    bar
}

/// A line on standard error. Nobody reading it is no reason to stop.
pub fn line(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_is_timed_once_in_its_order() {
        let show = Show::silent();
        show.stage("read", || ());
        show.begin("features", 3);
        (0..3).for_each(|_| show.step(1, "note"));
        show.end();
        let times = show.times();
        let names: Vec<&str> = times.iter().map(|time| time.stage.as_str()).collect();
        assert_eq!(names, ["read", "features"]);
        assert!(times.iter().all(|time| time.seconds >= 0.0));
    }
}
