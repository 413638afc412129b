//! YAML as a tree in which everything knows its place.

use std::ops::Range;

use serde_saphyr::granit_parser::{self, Event, Parser, ScalarStyle};

use super::error::Fault;

/// Collections inside each other; a strategy needs four.
const DEPTH_MAX: usize = 8;

/// A scalar as written. Its type is for whoever reads it to say: here all are text.
#[derive(Debug, Clone)]
pub(super) struct Scalar {
    /// Quotes, escapes and indentation taken away.
    pub(super) text: String,
    /// Bytes of the file, quotes and block headers included.
    pub(super) at: Range<usize>,
    style: ScalarStyle,
}

/// A part of the file.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    pub(super) at: Range<usize>,
    pub(super) shape: Shape,
}

/// What a part of the file is.
#[derive(Debug, Clone)]
pub(super) enum Shape {
    Scalar(Scalar),
    List(Vec<Tree>),
    Map(Vec<(Scalar, Tree)>),
}

impl Scalar {
    /// Whether nothing is written: an empty plain scalar, `~` or `null`.
    pub(super) fn is_null(&self) -> bool {
        self.style == ScalarStyle::Plain && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }

    /// A fault in the decoded text, placed in the file.
    ///
    /// Folding, indentation and quotes change white space alone, so that the n-th character of the text which is not white
    /// space is the n-th of the file's. Where an escape breaks that, the whole scalar is the place.
    pub(super) fn fault(&self, fault: Fault, file: &str) -> Fault {
        Fault { at: self.place(&fault.at, file).unwrap_or_else(|| self.at.clone()), ..fault }
    }

    fn place(&self, at: &Range<usize>, file: &str) -> Option<Range<usize>> {
        let raw = file.get(self.at.clone())?;
        let (skipped, body) = match self.style {
            ScalarStyle::Plain => (0, raw),
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => (1, raw.get(1..raw.len().checked_sub(1)?)?),
            ScalarStyle::Literal | ScalarStyle::Folded => {
                let header = if raw.starts_with(['|', '>']) { raw.find('\n')? + 1 } else { 0 };
                (header, raw.get(header..)?)
            }
        };
        let dense = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        if dense(body) != dense(&self.text) {
            return None;
        }
        let start = self.at.start + skipped;
        let inked = || body.char_indices().filter(|(_, c)| !c.is_whitespace());
        let before =
            |byte: usize| self.text.get(..byte).map(|text| text.chars().filter(|c| !c.is_whitespace()).count());
        let (first, end) = (before(at.start)?, before(at.end)?);
        if let Some((at, _)) = inked().nth(first).filter(|_| end > first) {
            let (last, c) = inked().nth(end - 1)?;
            return Some(start + at..start + last + c.len_utf8());
        }
        // Behind the last character.
        let (at, c) = inked().next_back()?;
        Some(start + at + c.len_utf8()..start + at + c.len_utf8())
    }
}

/// A collection that is being read.
enum Open {
    List(Range<usize>, Vec<Tree>),
    Map(Range<usize>, Vec<(Scalar, Tree)>, Option<Scalar>),
}

/// Reads one document.
pub(super) fn read(text: &str) -> Result<Tree, Fault> {
    let (mut open, mut root, mut documents) = (Vec::new(), None, 0);
    // Comments are passed over below: turning their events off would bound nothing.
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| unreadable(&error))?;
        let at = span.byte_range().unwrap_or_default();
        if is_marked(&event) {
            let remedy = "write the value out, or name it under `define`";
            return Err(Fault::new(at, "anchors, aliases and tags of YAML have no meaning here", remedy));
        }
        match event {
            Event::DocumentStart(..) if documents == 0 => documents = 1,
            Event::DocumentStart(..) => {
                return Err(Fault::new(at, "a second document begins", "write one strategy a file"));
            }
            Event::Scalar(value, style, ..) => {
                let scalar = Scalar { text: value.into_owned(), at: at.clone(), style };
                place(&mut open, &mut root, Tree { at, shape: Shape::Scalar(scalar) })?;
            }
            Event::SequenceStart(..) => begin(&mut open, Open::List(at, Vec::new()))?,
            Event::MappingStart(..) => begin(&mut open, Open::Map(at, Vec::new(), None))?,
            Event::SequenceEnd | Event::MappingEnd => {
                let tree = match open.pop() {
                    Some(Open::List(at, items)) => Tree { at, shape: Shape::List(items) },
                    Some(Open::Map(at, pairs, _)) => Tree { at, shape: Shape::Map(pairs) },
                    None => continue,
                };
                place(&mut open, &mut root, tree)?;
            }
            _ => {}
        }
    }
    root.ok_or_else(|| Fault::new(0..0, "nothing is written here", "write `policy:` and its keys"))
}

fn is_marked(event: &Event<'_>) -> bool {
    event.tag().is_some() || event.is_alias() || event.anchor_id().is_some_and(|id| id != 0)
}

fn unreadable(error: &granit_parser::ScanError) -> Fault {
    let at = error.marker().byte_offset().unwrap_or_default();
    Fault::new(at..at, format!("not YAML: {}", error.info()), "correct the layout")
}

fn begin(open: &mut Vec<Open>, collection: Open) -> Result<(), Fault> {
    if open.len() >= DEPTH_MAX {
        let (Open::List(at, _) | Open::Map(at, ..)) = collection;
        return Err(Fault::new(at, "lists and maps are nested too deeply", "write the keys that the documents name"));
    }
    open.push(collection);
    Ok(())
}

/// Puts a part that is complete where it belongs.
fn place(open: &mut [Open], root: &mut Option<Tree>, tree: Tree) -> Result<(), Fault> {
    match open.last_mut() {
        None => *root = Some(tree),
        Some(Open::List(_, items)) => items.push(tree),
        Some(Open::Map(_, pairs, key)) => match (key.take(), tree.shape) {
            (Some(name), shape) => pairs.push((name, Tree { at: tree.at, shape })),
            (None, Shape::Scalar(scalar)) => *key = Some(scalar),
            (None, _) => return Err(Fault::new(tree.at, "a list or map is no key", "write a word before the `:`")),
        },
    }
    Ok(())
}
