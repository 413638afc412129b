//! Plots of a page: lines and boxes as inline SVG that is stretched to the room there is, words around it as HTML, so that
//! they are as readable on a phone as on a wall.

use std::fmt::Write as _;

use super::super::scale::{Axis, span_of, time_marks};
use super::super::shape;
use super::super::words::{self, escape};

/// Both sides of the drawing in its own units; the page stretches it.
const SIDE: f64 = 1_000.0;
/// Columns that a line is thinned to: two points each.
const COLUMNS: usize = 900;
/// From so many marks on, a narrow screen shows every other one.
const MANY: usize = 6;

/// How values are written along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Plain,
    Percent,
}

impl Unit {
    fn mark(self, value: f64, apart: f64) -> String {
        match self {
            Self::Plain => words::mark(value, apart),
            Self::Percent => words::percent_mark(value, apart),
        }
    }
}

/// A plot. What is added lies in the units of its axes; what is not finite is left out.
#[derive(Debug)]
pub(super) struct Plot {
    across: Axis,
    up: Axis,
    body: String,
    marks_up: String,
    marks_across: String,
    marks: usize,
    two_lines: bool,
}

impl Plot {
    pub(super) fn new(across: Axis, up: Axis) -> Self {
        let (body, marks_up, marks_across) = (String::new(), String::new(), String::new());
        Self { across, up, body, marks_up, marks_across, marks: 0, two_lines: false }
    }

    /// A plot over time from the first to the last of these seconds.
    pub(super) fn over_time(points: &[(f64, f64)], up: Axis) -> Self {
        let span = span_of(points.iter().map(|point| point.0));
        let mut plot = Self::new(Axis::linear(span), up);
        if span.0.is_finite() {
            for (secs, text) in time_marks(span, 13) {
                plot.mark_across(secs, &escape(&text));
            }
        }
        plot
    }

    fn at(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (self.across.place(x) * SIDE, (1.0 - self.up.place(y)) * SIDE)
    }

    fn mark_across(&mut self, value: f64, html: &str) {
        let _ =
            write!(self.marks_across, "<span style=\"left:{:.2}%\">{html}</span>", self.across.place(value) * 100.0);
        self.marks += 1;
    }

    /// Horizontal rules with their values.
    pub(super) fn rules(mut self, unit: Unit, most: usize) -> Self {
        let marks = self.up.marks(most);
        for value in &marks.values {
            let y = self.at((0.0, *value)).1;
            let class = if value.abs() > 0.0 { "rule" } else { "zero" };
            let _ = write!(self.body, "<line class=\"{class}\" x1=\"0\" x2=\"1000\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>");
            let text = escape(&unit.mark(*value, marks.apart));
            let _ = write!(self.marks_up, "<span style=\"bottom:{:.2}%\">{text}</span>", self.up.place(*value) * 100.0);
        }
        self
    }

    /// Values along the horizontal axis.
    pub(super) fn values_across(mut self, unit: Unit, most: usize) -> Self {
        let marks = self.across.marks(most);
        for value in &marks.values {
            self.mark_across(*value, &escape(&unit.mark(*value, marks.apart)));
        }
        self
    }

    /// A name at a place of the horizontal axis, and what it comes to below it.
    pub(super) fn name_across(mut self, at: f64, name: &str, value: Option<&str>) -> Self {
        let below = value.map(|value| format!("<b>{}</b>", escape(value))).unwrap_or_default();
        self.two_lines |= value.is_some();
        self.mark_across(at, &(escape(name) + &below));
        self
    }

    /// A name at a place of the vertical axis.
    pub(super) fn name_up(mut self, at: f64, name: &str) -> Self {
        let place = self.up.place(at) * 100.0;
        let _ = write!(self.marks_up, "<span style=\"bottom:{place:.2}%\">{}</span>", escape(name));
        self
    }

    fn points(&self, points: &[(f64, f64)]) -> Vec<(f64, f64)> {
        shape::thin(points, COLUMNS).into_iter().map(|point| self.at(point)).collect()
    }

    /// A line, oldest first; a single point is a dot.
    pub(super) fn line(mut self, class: &str, points: &[(f64, f64)]) -> Self {
        let points = self.points(points);
        if let [(x, y)] = points[..] {
            let _ = write!(self.body, "<path class=\"dot {class}\" d=\"M{x:.1} {y:.1}h0\"/>");
        } else if !points.is_empty() {
            let _ = write!(self.body, "<polyline class=\"{class}\" points=\"{}\"/>", listed(&points));
        }
        self
    }

    /// A line with tinted ground down to zero, or to the end of the axis.
    pub(super) fn area(mut self, class: &str, line: &[(f64, f64)]) -> Self {
        let points = self.points(line);
        if let (Some(first), Some(last), true) = (points.first(), points.last(), points.len() > 1) {
            let base = self.at((0.0, if self.up.is_log() { f64::MIN_POSITIVE } else { 0.0 })).1;
            let list = listed(&points);
            let (from, to) = (first.0, last.0);
            let _ = write!(
                self.body,
                "<polygon class=\"{class}\" points=\"{from:.1},{base:.1} {list} {to:.1},{base:.1}\"/>"
            );
        }
        self.line(class, line)
    }

    /// A straight line between two places.
    pub(super) fn stroke(mut self, class: &str, from: (f64, f64), to: (f64, f64)) -> Self {
        if [from.0, from.1, to.0, to.1].iter().all(|end| end.is_finite()) {
            let ((x1, y1), (x2, y2)) = (self.at(from), self.at(to));
            let _ = write!(
                self.body,
                "<line class=\"{class}\" x1=\"{x1:.1}\" x2=\"{x2:.1}\" y1=\"{y1:.1}\" y2=\"{y2:.1}\"/>"
            );
        }
        self
    }

    /// A dot with words that show when it is pointed at.
    pub(super) fn dot(mut self, class: &str, place: (f64, f64), title: &str) -> Self {
        if place.0.is_finite() && place.1.is_finite() {
            let (x, y) = self.at(place);
            let title = escape(title);
            let _ =
                write!(self.body, "<path class=\"dot {class}\" d=\"M{x:.1} {y:.1}h0\"><title>{title}</title></path>");
        }
        self
    }

    /// A box between two corners with words that show when it is pointed at; `opacity` 0 to 1.
    pub(super) fn rect(mut self, class: &str, a: (f64, f64), b: (f64, f64), opacity: f64, title: &str) -> Self {
        if [a.0, a.1, b.0, b.1].iter().all(|end| end.is_finite()) {
            let ((x1, y1), (x2, y2)) = (self.at(a), self.at(b));
            let (x, y, width, height) = (x1.min(x2), y1.min(y2), (x1 - x2).abs(), (y1 - y2).abs());
            let opacity = if opacity < 0.995 { format!(" fill-opacity=\"{opacity:.2}\"") } else { String::new() };
            let title = escape(title);
            let _ = write!(
                self.body,
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"{opacity}>\
                 <title>{title}</title></rect>"
            );
        }
        self
    }

    /// The plot: `up` and `across` say what the axes are, with units; `label` says in words what is shown; `height` in rem.
    pub(super) fn finish(self, label: &str, up: &str, across: &str, height: f64) -> String {
        let Self { body, marks_up, marks_across, .. } = self;
        let log = if self.up.is_log() { ", log scale" } else { "" };
        let class = if self.marks >= MANY { "x many" } else { "x few" };
        let room = if self.two_lines { " style=\"--x:2.3rem\"" } else { "" };
        let (label, up, across) = (escape(label), escape(up), escape(across));
        format!(
            "<figure><div class=\"unit\">{up}{log}</div><div class=\"frame\" style=\"--h:{height}rem\">\
             <svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{label}\">{body}</svg>\
             <div class=\"y\" aria-hidden=\"true\">{marks_up}</div></div>\
             <div class=\"{class}\"{room} aria-hidden=\"true\">{marks_across}</div><div class=\"across\">{across}</div></figure>\n"
        )
    }
}

fn listed(points: &[(f64, f64)]) -> String {
    let mut out = String::with_capacity(points.len() * 12);
    for (x, y) in points {
        let space = if out.is_empty() { "" } else { " " };
        let _ = write!(out, "{space}{x:.1},{y:.1}");
    }
    out
}

/// What colours mean.
pub(super) fn key(entries: &[(&str, &str)]) -> String {
    let one = |(class, name): &(&str, &str)| format!("<span><i class=\"{class}\"></i>{}</span>", escape(name));
    format!("<p class=\"key\">{}</p>\n", entries.iter().map(one).collect::<String>())
}
