//! Words and signs of an expression.

use std::ops::Range;

use super::error::{Fault, quoted};
use super::plan::Binary;

/// A sign or a word.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Token<'a> {
    Number(f64),
    Name(&'a str),
    Or,
    And,
    Not,
    Truth(bool),
    Compare(Binary),
    Plus,
    Minus,
    Times,
    Over,
    Open,
    Close,
    Comma,
    End,
}

/// A token and where it stands.
pub(super) type Placed<'a> = (Token<'a>, Range<usize>);

/// Longest name.
const NAME_BYTES_MAX: usize = 64;

/// The tokens of an expression, an end behind the last.
pub(super) fn tokens(text: &str) -> Result<Vec<Placed<'_>>, Fault> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let rest = text.get(at..).unwrap_or_default();
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let (token, bytes) = if c.is_ascii_digit() {
            number(rest, at)?
        } else if c.is_ascii_alphabetic() || c == '_' {
            name(rest, at)?
        } else {
            sign(rest, c, at)?
        };
        found.push((token, at..at + bytes));
        at += bytes;
    }
    let end = text.trim_end().len();
    found.push((Token::End, end..end));
    Ok(found)
}

/// Bytes of the longest beginning of such characters.
fn run(text: &str, is: impl Fn(char) -> bool) -> usize {
    text.find(|c| !is(c)).unwrap_or(text.len())
}

fn number(rest: &str, at: usize) -> Result<(Token<'_>, usize), Fault> {
    let digits = |from: usize| from + run(rest.get(from..).unwrap_or_default(), |c| c.is_ascii_digit());
    let follows = |at: usize, signs: &[char]| rest.get(at..).is_some_and(|rest| rest.starts_with(signs));
    let mut end = digits(0);
    if follows(end, &['.']) && digits(end + 1) > end + 1 {
        end = digits(end + 1);
    }
    if follows(end, &['e', 'E']) {
        let power = end + 1 + usize::from(follows(end + 1, &['+', '-']));
        end = digits(power).max(end);
    }
    let whole = end + run(rest.get(end..).unwrap_or_default(), |c| c.is_alphanumeric() || matches!(c, '_' | '.' | '%'));
    let written = rest.get(..whole).unwrap_or_default();
    match written.parse::<f64>() {
        Ok(x) if whole == end && x.is_finite() => Ok((Token::Number(x), end)),
        _ => {
            let reason = format!("{} is not a number", quoted(written));
            Err(Fault::new(at..at + whole, reason, "write figures such as 12, 0.05 or 1e-3, and names apart from them"))
        }
    }
}

fn name(rest: &str, at: usize) -> Result<(Token<'_>, usize), Fault> {
    let bytes = run(rest, |c| c.is_alphanumeric() || matches!(c, '_' | '.'));
    let name = rest.get(..bytes).unwrap_or_default();
    if bytes > NAME_BYTES_MAX {
        return Err(Fault::new(at..at + bytes, "the name is too long", "names have up to 64 letters"));
    }
    let token = match name {
        "or" => Token::Or,
        "and" => Token::And,
        "not" => Token::Not,
        "true" => Token::Truth(true),
        "false" => Token::Truth(false),
        _ => Token::Name(name),
    };
    Ok((token, bytes))
}

fn sign(rest: &str, c: char, at: usize) -> Result<(Token<'_>, usize), Fault> {
    const TWO: [(&str, Token<'_>); 4] = [
        ("<=", Token::Compare(Binary::LessEqual)),
        (">=", Token::Compare(Binary::GreaterEqual)),
        ("==", Token::Compare(Binary::Equal)),
        ("!=", Token::Compare(Binary::NotEqual)),
    ];
    if let Some((_, token)) = TWO.iter().find(|(sign, _)| rest.starts_with(sign)) {
        return Ok((*token, 2));
    }
    let token = match c {
        '<' => Token::Compare(Binary::Less),
        '>' => Token::Compare(Binary::Greater),
        '+' => Token::Plus,
        '-' => Token::Minus,
        '*' => Token::Times,
        '/' => Token::Over,
        '(' => Token::Open,
        ')' => Token::Close,
        ',' => Token::Comma,
        _ => return Err(strange(rest, c, at)),
    };
    Ok((token, 1))
}

/// A sign that the language does not have.
fn strange(rest: &str, c: char, at: usize) -> Fault {
    let (bytes, remedy) = match c {
        '&' => (run(rest, |c| c == '&'), "write `and`"),
        '|' => (run(rest, |c| c == '|'), "write `or`"),
        '!' => (1, "write `not`, or `!=` for unequal"),
        '=' => (1, "write `==` for equal"),
        '.' => (1, "write a figure before the point, such as 0.5"),
        '^' => (1, "write a product"),
        '%' => (1, "write a fraction, such as 0.05 for 5 %"),
        '#' => (1, "write comments outside of expressions"),
        _ => (c.len_utf8(), "write names, figures, `+ - * /`, comparisons, `and or not` and parentheses"),
    };
    let sign = rest.get(..bytes).unwrap_or_default();
    Fault::new(at..at + bytes, format!("{} is no sign of the language", quoted(sign)), remedy)
}
