//! Why a strategy is refused, and where in its file.

use std::fmt;
use std::ops::Range;

/// Characters of a line that an error shows.
const SHOWN_CHARS_MAX: usize = 120;

/// Why a strategy is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StrategyError {
    /// The text cannot be meant.
    #[error("{0}")]
    Text(Box<Mistake>),
    /// A parameter cannot be set to this.
    #[error("parameter `{name}` set to {value}: {reason}; {remedy}")]
    Setting {
        /// Of the parameter.
        name: String,
        /// What it was set to.
        value: String,
        /// What is wrong.
        reason: String,
        /// What to set instead.
        remedy: String,
    },
}

impl StrategyError {
    /// Line and column in the file, each from 1, the column in characters; `None` where no text is to blame.
    pub fn place(&self) -> Option<(usize, usize)> {
        match self {
            Self::Text(mistake) => Some((mistake.line, mistake.column)),
            Self::Setting { .. } => None,
        }
    }
}

/// Something in the text that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Line in the file, from 1.
    pub line: usize,
    /// Column in the line, in characters, from 1.
    pub column: usize,
    /// The key that it stands under, such as `policy.entry.long`; empty for the file as a whole.
    pub key: String,
    /// What is wrong.
    pub reason: String,
    /// What to write instead.
    pub remedy: String,
    /// The line, or a part of it, without what could disturb a terminal.
    excerpt: String,
    /// Characters of the excerpt before the caret, and how many carets.
    caret: (usize, usize),
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, key, reason, remedy, excerpt, caret: (before, carets) } = self;
        write!(f, "line {line}, column {column}: ")?;
        if !key.is_empty() {
            write!(f, "`{key}`: ")?;
        }
        let number = line.to_string();
        let margin = number.len();
        writeln!(f, "{reason}; {remedy}")?;
        writeln!(f, " {number} | {excerpt}")?;
        write!(f, " {:margin$} | {:before$}{:^<carets$}", "", "", "")
    }
}

/// A mistake before it is shown: bytes instead of lines and columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// Bytes of the file. Inside an expression: bytes of the decoded scalar, until [`super::tree::Scalar::fault`].
    pub(super) at: Range<usize>,
    pub(super) key: String,
    pub(super) reason: String,
    pub(super) remedy: String,
}

impl Fault {
    pub(super) fn new(at: Range<usize>, reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { at, key: String::new(), reason: reason.into(), remedy: remedy.into() }
    }

    /// The same, under a key.
    pub(super) fn under(mut self, key: &str) -> Self {
        if self.key.is_empty() {
            key.clone_into(&mut self.key);
        }
        self
    }

    /// As it is shown of this text.
    pub(super) fn shown(self, text: &str) -> StrategyError {
        let Self { at, key, reason, remedy } = self;
        let start = text.floor_char_boundary(at.start);
        let end = text.floor_char_boundary(at.end.max(start));
        let (before, after) = text.split_at(start);
        let line = before.matches('\n').count() + 1;
        let lead = before.rsplit('\n').next().unwrap_or_default();
        let rest = after.split(['\n', '\r']).next().unwrap_or_default();
        let column = lead.chars().count() + 1;
        let width = text.get(start..end).unwrap_or_default().split(['\n', '\r']).next().unwrap_or_default();
        // Of a long line the part around the place.
        let skipped = (column - 1).saturating_sub(SHOWN_CHARS_MAX / 2);
        let plain = |c: char| if c.is_control() || c == '\u{feff}' { ' ' } else { c };
        let excerpt: String = lead.chars().chain(rest.chars()).skip(skipped).take(SHOWN_CHARS_MAX).map(plain).collect();
        let place = column - 1 - skipped;
        let carets = width.chars().count().clamp(1, excerpt.chars().count().saturating_sub(place).max(1));
        let excerpt = excerpt.trim_end().to_owned();
        let mistake = Mistake { line, column, key, reason, remedy, excerpt, caret: (place, carets) };
        StrategyError::Text(Box::new(mistake))
    }
}

/// What a user wrote, cut and without what could disturb a terminal.
pub(super) fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(40).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(40).is_some() {
        shown.push_str("...");
    }
    format!("`{shown}`")
}

/// The candidate that is written most like `word`, if one is close.
pub(super) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    const LENGTH_MAX: usize = 48;
    if word.len() > LENGTH_MAX {
        return None;
    }
    let word = word.to_lowercase();
    let far = 1 + word.len() / 4;
    candidates
        .filter(|candidate| candidate.len() <= LENGTH_MAX)
        .map(|candidate| (distance(&word, candidate), candidate))
        .filter(|(distance, _)| *distance <= far)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, exchanges and swaps of neighbours that turn `a` into `b` (Damerau 1964, adjacent swaps).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut two_before: Vec<usize> = Vec::new();
    let mut before: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut least = (before[j] + usize::from(x != y)).min(before[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                least = least.min(two_before[j - 1] + 1);
            }
            row.push(least);
        }
        two_before = std::mem::replace(&mut before, row);
    }
    before.last().copied().unwrap_or(0)
}

/// The remedy that names the nearest candidate, or else says what there is.
pub(super) fn suggestion<'a>(word: &str, candidates: impl Iterator<Item = &'a str>, otherwise: &str) -> String {
    nearest(word, candidates).map_or_else(|| otherwise.to_owned(), |name| format!("did you mean `{name}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found_and_a_far_one_is_not() {
        let words = ["ema", "sma", "close", "crosses_above", "crosses_below"];
        let near = |word| nearest(word, words.into_iter());
        assert_eq!(near("clsoe"), Some("close"));
        assert_eq!(near("EMA"), Some("ema"));
        assert_eq!(near("cross_above"), Some("crosses_above"));
        assert_eq!(near("volatility"), None);
        assert_eq!((distance("", "abc"), distance("ab", "ba"), distance("kitten", "sitting")), (3, 1, 3));
    }

    #[test]
    fn the_caret_stands_under_the_place_whatever_the_line_holds() {
        let error = Fault::new(9..12, "r", "m").under("k").shown("one\n\ta\u{e9} two!\n");
        assert_eq!(error.to_string(), "line 2, column 5: `k`: r; m\n 2 |  a\u{e9} two!\n   |     ^^^");
        let long = format!("{}x{}", "a".repeat(500), "b".repeat(500));
        let error = Fault::new(500..501, "r", "m").shown(&long).to_string();
        let lines: Vec<&str> = error.lines().collect();
        assert_eq!(lines[0], "line 1, column 501: r; m");
        assert_eq!(lines[1].find('x'), lines[2].find('^'));
        assert_eq!(Fault::new(9..99, "r", "m").shown("").place(), Some((1, 1)));
    }
}
