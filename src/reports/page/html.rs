//! Parts that pages are made of. Text that comes in is escaped here.

use std::fmt::Write as _;

use super::super::words::escape;

/// A table; the first column is words.
#[derive(Debug)]
pub(super) struct Table {
    out: String,
}

impl Table {
    pub(super) fn new(heads: &[&str]) -> Self {
        let mut out = "<div class=\"scroll\"><table><thead><tr>".to_owned();
        for head in heads {
            let _ = write!(out, "<th scope=\"col\">{}</th>", escape(head));
        }
        out.push_str("</tr></thead><tbody>");
        Self { out }
    }

    /// Names and what they are: words on both sides.
    pub(super) fn of_words() -> Self {
        Self { out: "<div class=\"scroll\"><table class=\"words\"><tbody>".to_owned() }
    }

    /// A row of [`cell`]s.
    pub(super) fn row(&mut self, cells: &[String]) {
        self.row_of("", cells);
    }

    /// A row that stands out.
    pub(super) fn chosen(&mut self, cells: &[String]) {
        self.row_of(" class=\"chosen\"", cells);
    }

    fn row_of(&mut self, class: &str, cells: &[String]) {
        let _ = writeln!(self.out, "<tr{class}>{}</tr>", cells.concat());
    }

    pub(super) fn finish(self) -> String {
        self.out + "</tbody></table></div>\n"
    }
}

pub(super) fn cell(text: impl AsRef<str>) -> String {
    format!("<td>{}</td>", escape(text.as_ref()))
}

/// A cell with a sentence.
pub(super) fn said(text: &str) -> String {
    format!("<td class=\"said\">{}</td>", escape(text))
}

/// A cell whose colour says gain or loss.
pub(super) fn coloured(text: &str, value: f64) -> String {
    let class = sign(value).map(|sign| format!(" class=\"{sign}\"")).unwrap_or_default();
    format!("<td><span{class}>{}</span></td>", escape(text))
}

/// `good` over zero, `bad` under it.
pub(super) fn sign(value: f64) -> Option<&'static str> {
    if value > 0.0 {
        Some("good")
    } else if value < 0.0 {
        Some("bad")
    } else {
        None
    }
}

/// A cell with a ground as strong as `value` is large, compared with `most`.
pub(super) fn tinted(text: &str, value: f64, most: f64) -> String {
    let share = (value.abs() / most.max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
    if !value.is_finite() || share < 0.005 {
        return cell(text);
    }
    let class = if value > 0.0 { "gain" } else { "loss" };
    format!("<td class=\"{class}\" style=\"--v:{share:.2}\">{}</td>", escape(text))
}

/// A cell with a bar from its middle, to the right for a gain.
pub(super) fn bar(value: f64, most: f64) -> String {
    let share = (value.abs() / most.max(f64::MIN_POSITIVE)).clamp(0.0, 1.0) * 50.0;
    let class = if value > 0.0 { "gain" } else { "loss" };
    if !share.is_finite() {
        return "<td class=\"bar\"></td>".to_owned();
    }
    format!("<td class=\"bar\"><span><i class=\"{class}\" style=\"width:{share:.1}%\"></i></span></td>")
}

/// How much room a part takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    /// Beside another one where there is room.
    Half,
    /// All there is.
    Wide,
    /// All there is, and may be broken over printed pages.
    Long,
}

/// A part of the page; nothing for an empty one.
pub(super) fn section(title: &str, width: Width, body: &str) -> String {
    if body.is_empty() {
        return String::new();
    }
    let class = match width {
        Width::Half => "",
        Width::Wide => " class=\"wide\"",
        Width::Long => " class=\"wide long\"",
    };
    format!("<section{class}><h2>{}</h2>\n{body}</section>\n", escape(title))
}

/// A remark.
pub(super) fn note(text: &str) -> String {
    format!("<p class=\"soft\">{}</p>\n", escape(text))
}
