//! Small charts as inline SVG: no script, no font or colour of their own, readable on a phone.

use std::fmt::Write as _;

/// Inner size of every chart; the page scales it.
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 34.0;

/// Text as it may stand between tags and in quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A chart with both axes drawn; what is added lies in their units. Numbers that are not finite are left out.
#[derive(Debug)]
pub(super) struct Chart {
    x: (f64, f64),
    y: (f64, f64),
    body: String,
}

impl Chart {
    /// Empty axes. A span of nothing is widened, so that one value can be drawn.
    pub(super) fn new(x: (f64, f64), y: (f64, f64)) -> Self {
        Self { x: widen(x), y: widen(y), body: String::new() }
    }

    fn at_x(&self, x: f64) -> f64 {
        LEFT + (x - self.x.0) / (self.x.1 - self.x.0) * (WIDTH - LEFT - RIGHT)
    }

    fn at_y(&self, y: f64) -> f64 {
        HEIGHT - BOTTOM - (y - self.y.0) / (self.y.1 - self.y.0) * (HEIGHT - TOP - BOTTOM)
    }

    /// Horizontal lines with their values, written by `text`.
    pub(super) fn grid_y(mut self, text: impl Fn(f64) -> String) -> Self {
        for value in ticks(self.y) {
            let y = self.at_y(value);
            let _ = write!(
                self.body,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                y + 4.0,
                escape(&text(value))
            );
        }
        self
    }

    /// Values along the horizontal axis, written by `text`.
    pub(super) fn ticks_x(mut self, text: impl Fn(f64) -> String) -> Self {
        for value in ticks(self.x) {
            self.label_x(value, "middle", &text(value));
        }
        self
    }

    /// Words at both ends of the horizontal axis.
    pub(super) fn ends_x(mut self, first: &str, last: &str) -> Self {
        self.label_x(self.x.0, "start", first);
        self.label_x(self.x.1, "end", last);
        self
    }

    /// A word at one place of the horizontal axis.
    pub(super) fn label_at(mut self, value: f64, text: &str) -> Self {
        self.label_x(value, "middle", text);
        self
    }

    fn label_x(&mut self, value: f64, anchor: &str, text: &str) {
        let (x, y) = (self.at_x(value), HEIGHT - BOTTOM + 20.0);
        let text = escape(text);
        let _ = write!(self.body, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
    }

    /// A line through points; `class` chooses its colour.
    pub(super) fn line(mut self, class: &str, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let finite = points.into_iter().filter(|(x, y)| x.is_finite() && y.is_finite());
        let path: Vec<String> = finite.map(|(x, y)| format!("{:.1},{:.1}", self.at_x(x), self.at_y(y))).collect();
        let _ = write!(self.body, "<polyline class=\"{}\" points=\"{}\"/>", escape(class), path.join(" "));
        self
    }

    /// A dot with a text that shows when pointed at.
    pub(super) fn dot(mut self, class: &str, (x, y): (f64, f64), radius: f64, title: &str) -> Self {
        if x.is_finite() && y.is_finite() {
            let _ = write!(
                self.body,
                "<circle class=\"{}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius:.1}\"><title>{}</title></circle>",
                escape(class),
                self.at_x(x),
                self.at_y(y),
                escape(title)
            );
        }
        self
    }

    /// The chart; `label` is what it shows, in words.
    pub(super) fn finish(self, label: &str) -> String {
        format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">{}</svg>",
            escape(label),
            self.body
        )
    }
}

/// Named bars from left to right, the longest as long as the chart is wide.
pub(super) fn bars(label: &str, rows: &[(String, f64)]) -> String {
    const ROW: f64 = 22.0;
    const NAME: f64 = 170.0;
    let most = rows.iter().map(|(_, value)| *value).fold(f64::MIN_POSITIVE, f64::max);
    let height = ROW * rows.len() as f64 + 6.0;
    let mut body = String::new();
    for (at, (name, value)) in rows.iter().enumerate() {
        let y = ROW * at as f64 + 4.0;
        let width = (value / most).clamp(0.0, 1.0) * (WIDTH - NAME - 70.0);
        let _ = write!(
            body,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <rect class=\"a\" x=\"{NAME}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"14\" rx=\"2\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{:.1} %</text>",
            NAME - 8.0,
            y + 12.0,
            escape(name),
            NAME + width + 6.0,
            y + 12.0,
            value * 100.0
        );
    }
    format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">{body}</svg>", escape(label))
}

/// The lowest and the highest of some numbers, those that are not finite left out.
pub(super) fn span_of(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let finite = values.into_iter().filter(|value| value.is_finite());
    finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
}

fn widen((low, high): (f64, f64)) -> (f64, f64) {
    if !(low.is_finite() && high.is_finite()) {
        return (0.0, 1.0);
    }
    if high - low > f64::EPSILON * low.abs().max(1.0) { (low, high) } else { (low - 0.5, high + 0.5) }
}

/// Round numbers in a span, four to nine of them: steps of 1, 2 or 5 times a power of ten.
fn ticks((low, high): (f64, f64)) -> Vec<f64> {
    let rough = (high - low) / 5.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|n| n * power).find(|step| *step >= rough).unwrap_or(rough);
    let first = (low / step).ceil();
    (0..12).map(|n| (first + f64::from(n)) * step).take_while(|tick| *tick <= high + step * 1e-9).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_cannot_leave_its_place() {
        let chart = Chart::new((0.0, 1.0), (0.0, 1.0)).dot("a", (0.5, 0.5), 3.0, "<script>\"'&").finish("\"><b>");
        assert!(!chart.contains("<script>") && !chart.contains("<b>"), "{chart}");
        assert!(chart.contains("&lt;script&gt;&quot;&#39;&amp;"), "{chart}");
        assert!(!bars("x", &[("<i>".to_owned(), 0.5)]).contains("<i>"));
    }

    #[test]
    fn ticks_are_round_and_inside() {
        let close = |found: Vec<f64>, wanted: &[f64]| {
            assert_eq!(found.len(), wanted.len(), "{found:?}");
            assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-9), "{found:?}");
        };
        close(ticks((0.0, 1.0)), &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
        close(ticks((0.983, 1.041)), &[1.0, 1.02, 1.04]);
    }

    #[test]
    fn numbers_that_cannot_be_drawn_are_left_out() {
        let points = [(0.0, f64::NAN), (0.5, 1.0), (f64::INFINITY, 2.0)];
        let chart =
            Chart::new(span_of([f64::NAN]), span_of([])).line("a", points).grid_y(|y| y.to_string()).finish("x");
        assert!(!chart.contains("NaN") && !chart.contains("inf"), "{chart}");
    }
}
