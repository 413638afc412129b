//! Expressions: text to postfix code, in which every name is known and every call has its arguments.
//!
//! Code is a list and not a tree: reading it needs no recursion, however long a sum is.

use std::ops::Range;

use super::error::{Fault, quoted, suggestion};
use super::lexer::{Placed, Token, tokens};
use super::names::{FEATURE, FUNCTIONS, Function, KEYWORDS, Kind, Meaning, WORDS, function_of, meaning};
use super::plan::{Binary, Unary};
use crate::features::FeatureId;

/// Parentheses, calls and signs inside each other.
pub(super) const DEPTH_MAX: usize = 64;

/// What is done with the values before it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Number(f64),
    Truth(bool),
    Word(Meaning, Kind),
    /// Place among the parameters.
    Parameter(usize),
    /// Place among the definitions.
    Definition(usize),
    Unary(Unary),
    Binary(Binary),
    Call(&'static Function),
}

/// A step and the bytes of the text that its value is written in.
pub(super) type Code = Vec<(Step, Range<usize>)>;

/// The names that a strategy itself has given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) parameters: &'a [&'a str],
    /// In order of the file.
    pub(super) definitions: &'a [&'a str],
    /// How many of them may be used here.
    pub(super) defined: usize,
}

/// Reads an expression.
pub(super) fn parse(text: &str, scope: Scope<'_>) -> Result<Code, Fault> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0, scope, code: Vec::new() };
    parser.alternatives()?;
    match parser.peek() {
        (Token::End, _) => Ok(parser.code),
        (Token::Close, at) => Err(Fault::new(at, "this parenthesis closes nothing", "take it away")),
        (_, at) => {
            Err(Fault::new(at, "the expression ends before this", "write an operator such as `and`, `<` or `+`"))
        }
    }
}

struct Parser<'a> {
    tokens: Vec<Placed<'a>>,
    at: usize,
    depth: usize,
    scope: Scope<'a>,
    code: Code,
}

type Parsed = Result<Range<usize>, Fault>;

impl<'a> Parser<'a> {
    fn peek(&self) -> Placed<'a> {
        self.tokens.get(self.at).or(self.tokens.last()).cloned().unwrap_or((Token::End, 0..0))
    }

    fn take(&mut self) -> Placed<'a> {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn takes(&mut self, token: Token<'_>) -> bool {
        let is = self.peek().0 == token;
        self.at += usize::from(is);
        is
    }

    fn emit(&mut self, step: Step, at: Range<usize>) -> Range<usize> {
        self.code.push((step, at.clone()));
        at
    }

    fn deeper(&mut self, at: &Range<usize>, inner: impl FnOnce(&mut Self) -> Parsed) -> Parsed {
        if self.depth >= DEPTH_MAX {
            let remedy = "name a part of it under `define`";
            return Err(Fault::new(at.clone(), format!("more than {DEPTH_MAX} levels are nested here"), remedy));
        }
        self.depth += 1;
        let parsed = inner(self);
        self.depth -= 1;
        parsed
    }

    /// `operand (operator operand)*`, the left ones first.
    fn chain(&mut self, operand: fn(&mut Self) -> Parsed, operator: fn(Token<'_>) -> Option<Binary>) -> Parsed {
        let mut at = operand(self)?;
        while let Some(binary) = operator(self.peek().0) {
            self.at += 1;
            let right = operand(self)?;
            at = self.emit(Step::Binary(binary), at.start..right.end);
        }
        Ok(at)
    }

    fn alternatives(&mut self) -> Parsed {
        self.chain(Self::conjunction, |token| (token == Token::Or).then_some(Binary::Or))
    }

    fn conjunction(&mut self) -> Parsed {
        self.chain(Self::negation, |token| (token == Token::And).then_some(Binary::And))
    }

    fn negation(&mut self) -> Parsed {
        let (token, start) = self.peek();
        if token != Token::Not {
            return self.comparison();
        }
        self.at += 1;
        let inner = self.deeper(&start, Self::negation)?;
        Ok(self.emit(Step::Unary(Unary::Not), start.start..inner.end))
    }

    fn comparison(&mut self) -> Parsed {
        let left = self.sum()?;
        let (Token::Compare(binary), _) = self.peek() else { return Ok(left) };
        self.at += 1;
        let right = self.sum()?;
        let at = self.emit(Step::Binary(binary), left.start..right.end);
        if let (Token::Compare(_), second) = self.peek() {
            let remedy = "write `between(x, least, most)`, or two comparisons with `and`";
            return Err(Fault::new(second, "comparisons do not chain", remedy));
        }
        Ok(at)
    }

    fn sum(&mut self) -> Parsed {
        self.chain(Self::product, |token| match token {
            Token::Plus => Some(Binary::Add),
            Token::Minus => Some(Binary::Subtract),
            _ => None,
        })
    }

    fn product(&mut self) -> Parsed {
        self.chain(Self::signed, |token| match token {
            Token::Times => Some(Binary::Multiply),
            Token::Over => Some(Binary::Divide),
            _ => None,
        })
    }

    fn signed(&mut self) -> Parsed {
        let (token, start) = self.peek();
        if token != Token::Minus {
            return self.value();
        }
        self.at += 1;
        let inner = self.deeper(&start, Self::signed)?;
        Ok(self.emit(Step::Unary(Unary::Negate), start.start..inner.end))
    }

    fn value(&mut self) -> Parsed {
        let (token, at) = self.take();
        match token {
            Token::Number(x) => Ok(self.emit(Step::Number(x), at)),
            Token::Truth(holds) => Ok(self.emit(Step::Truth(holds), at)),
            Token::Name(name) if self.takes(Token::Open) => self.call(name, at),
            Token::Name(name) => {
                let step = self.named(name, &at)?;
                Ok(self.emit(step, at))
            }
            Token::Open => {
                self.deeper(&at, Self::alternatives)?;
                self.closed(&at).map(|close| at.start..close.end)
            }
            Token::End => Err(Fault::new(at, "a value is missing here", "write a name, a figure or a call")),
            Token::Not => Err(Fault::new(at, "`not` stands behind an operator", "put it in parentheses: `(not ...)`")),
            _ => Err(Fault::new(at, "a value is missing before this", "write a name, a figure or a call")),
        }
    }

    fn closed(&mut self, open: &Range<usize>) -> Parsed {
        match self.take() {
            (Token::Close, at) => Ok(at),
            (Token::End, _) => Err(Fault::new(
                open.clone(),
                "this parenthesis is never closed",
                "write `)` where it ends, and put an expression with a comma in quotes",
            )),
            (_, at) => Err(Fault::new(at, "`)` is missing before this", "close the parenthesis, or write an operator")),
        }
    }

    fn call(&mut self, name: &str, at: Range<usize>) -> Parsed {
        let Some(function) = function_of(name) else { return Err(self.no_function(name, at)) };
        let mut given = 0;
        if !matches!(self.peek().0, Token::Close) {
            loop {
                self.deeper(&at, Self::alternatives)?;
                given += 1;
                if !self.takes(Token::Comma) {
                    break;
                }
            }
        }
        let whole = at.start..self.closed(&at)?.end;
        let wanted = function.arguments;
        if given != wanted.len() {
            let reason = format!("`{name}` takes {}, and {given} are given", counted(wanted.len()));
            return Err(Fault::new(whole, reason, format!("write `{name}({})`", wanted.join(", "))));
        }
        Ok(self.emit(Step::Call(function), whole))
    }

    fn no_function(&self, name: &str, at: Range<usize>) -> Fault {
        if self.scope.parameters.contains(&name) || self.scope.definitions.contains(&name) || meaning(name).is_some() {
            let reason = format!("{} is a value and takes no arguments", quoted(name));
            return Fault::new(at, reason, "write an operator before the parenthesis");
        }
        let functions = || FUNCTIONS.iter().map(|function| function.name);
        let all = format!("there are {}", functions().collect::<Vec<_>>().join(", "));
        Fault::new(at, format!("there is no function {}", quoted(name)), suggestion(name, functions(), &all))
    }

    fn named(&self, name: &str, at: &Range<usize>) -> Result<Step, Fault> {
        let Scope { parameters, definitions, defined } = self.scope;
        if let Some(place) = parameters.iter().position(|parameter| *parameter == name) {
            return Ok(Step::Parameter(place));
        }
        if let Some(place) = definitions.iter().position(|definition| *definition == name) {
            if place < defined {
                return Ok(Step::Definition(place));
            }
            let (reason, remedy) = if place == defined {
                ("is defined by itself", "a definition may use earlier ones")
            } else {
                ("is defined further down", "move its definition up: one may use earlier ones")
            };
            return Err(Fault::new(at.clone(), format!("`{name}` {reason}"), remedy));
        }
        meaning(name).map(|(meaning, kind)| Step::Word(meaning, kind)).ok_or_else(|| self.no_name(name, at.clone()))
    }

    fn no_name(&self, name: &str, at: Range<usize>) -> Fault {
        if let Some(function) = function_of(name) {
            let remedy = format!("write `{name}({})`", function.arguments.join(", "));
            return Fault::new(at, format!("`{name}` is a function without its arguments"), remedy);
        }
        let reason = format!("there is no name {}", quoted(name));
        if let Some(feature) = name.strip_prefix(FEATURE) {
            let features = FeatureId::ALL.iter().map(|id| id.name());
            let remedy = suggestion(feature, features, "the documents list the features");
            return Fault::new(at, reason, remedy);
        }
        let own = self.scope.parameters.iter().chain(self.scope.definitions.iter().take(self.scope.defined)).copied();
        let words = WORDS.iter().map(|word| word.name).chain(KEYWORDS);
        let remedy = suggestion(name, own.chain(words), "name it under `parameters` or `define`");
        Fault::new(at, reason, remedy)
    }
}

fn counted(arguments: usize) -> String {
    if arguments == 1 { "1 argument".to_owned() } else { format!("{arguments} arguments") }
}
