//! A strategy's file, its keys checked and its expressions read; nothing is computed yet.

use std::ops::Range;

use super::error::{Fault, quoted, suggestion};
use super::expression::{Code, Scope, Step, parse};
use super::names::{Meaning, is_taken};
use super::parameter::{Parameter, figure};
use super::tree::{Scalar, Shape, Tree};

/// Largest file.
pub(super) const FILE_BYTES_MAX: usize = 64 * 1024;
const PARAMETERS_MAX: usize = 64;
const ABOUT_CHARS_MAX: usize = 1_000;
/// Of a strategy, a parameter or a definition.
pub(super) const NAME_CHARS_MAX: usize = 32;

pub(super) const TOP_KEYS: [&str; 1] = ["policy"];
pub(super) const POLICY_KEYS: [&str; 11] =
    ["name", "about", "parameters", "require", "define", "entry", "exit", "filters", "bracket", "size", "volatility"];
pub(super) const PARAMETER_KEYS: [&str; 4] = ["default", "min", "max", "step"];
pub(super) const SIDE_KEYS: [&str; 2] = ["long", "short"];
pub(super) const BRACKET_KEYS: [&str; 4] = ["stop", "target", "trailing", "time"];
pub(super) const SIZE_KEYS: [&str; 3] = ["units", "notional", "equity"];

/// An expression and where it stands.
#[derive(Debug)]
pub(super) struct Expression {
    pub(super) key: String,
    pub(super) scalar: Scalar,
    pub(super) code: Code,
}

/// Long and short.
#[derive(Debug, Default)]
pub(super) struct Sides {
    pub(super) long: Option<Expression>,
    pub(super) short: Option<Expression>,
}

/// How an entry's size is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SizeUnit {
    Units,
    Notional,
    Equity,
}

/// The file.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) name: String,
    pub(super) about: String,
    /// At their defaults.
    pub(super) parameters: Vec<Parameter>,
    pub(super) require: Vec<Expression>,
    pub(super) definitions: Vec<Expression>,
    pub(super) entry: Sides,
    pub(super) exit: Sides,
    pub(super) filters: Vec<Expression>,
    pub(super) stop: Option<Expression>,
    pub(super) target: Option<Expression>,
    pub(super) trailing: Option<Expression>,
    pub(super) time: Option<Expression>,
    pub(super) size: Option<(SizeUnit, Expression)>,
    pub(super) volatility: Option<Expression>,
}

impl Document {
    /// Every expression, those of definitions and conditions over parameters included.
    fn expressions(&self) -> impl Iterator<Item = &Expression> {
        let lists = self.require.iter().chain(&self.definitions).chain(&self.filters);
        let sides = [&self.entry, &self.exit].into_iter().flat_map(|sides| [&sides.long, &sides.short]);
        let single = [&self.stop, &self.target, &self.trailing, &self.time, &self.volatility];
        lists.chain(sides.chain(single).flatten()).chain(self.size.iter().map(|(_, size)| size))
    }

    /// Whether the ensemble's threshold is named anywhere, be it needed or not as the parameters stand.
    pub(super) fn names_threshold(&self) -> bool {
        let names = |step: &Step| matches!(step, Step::Word(Meaning::Threshold, _));
        self.expressions().any(|expression| expression.code.iter().any(|(step, _)| names(step)))
    }

    /// Whether each side that is entered can be left, and only such are. A target alone leaves no position that loses.
    pub(super) fn check_ways_out(&self) -> Result<(), Fault> {
        let ends = self.stop.is_some() || self.trailing.is_some() || self.time.is_some();
        let (entry, exit) = (&self.entry, &self.exit);
        for (side, other, enters, turns, leaves) in [
            ("long", "short", &entry.long, &entry.short, &exit.long),
            ("short", "long", &entry.short, &entry.long, &exit.short),
        ] {
            match (enters, leaves) {
                (None, Some(exit)) => {
                    let reason = format!("nothing is ever entered {side}, and this would leave it");
                    let remedy = format!("write a condition under `entry.{side}`, or leave this out");
                    return Err(Fault::new(exit.scalar.at.clone(), reason, remedy).under(&exit.key));
                }
                (Some(entry), None) if turns.is_none() && !ends => {
                    let reason = format!("what is entered {side} could be left by nothing but a target");
                    let remedy = format!(
                        "write a condition under `exit.{side}` or `entry.{other}`, or one of `stop`, `trailing` and \
                         `time` under `bracket`"
                    );
                    return Err(Fault::new(entry.scalar.at.clone(), reason, remedy).under(&entry.key));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// A map whose keys are known and stand once.
struct Keys<'a> {
    path: String,
    at: Range<usize>,
    pairs: &'a [(Scalar, Tree)],
}

impl<'a> Keys<'a> {
    /// Of a map with any keys, each once.
    fn any(tree: &'a Tree, path: &str) -> Result<Self, Fault> {
        let Shape::Map(pairs) = &tree.shape else {
            let remedy = "write keys below it, each with a `:`, or leave it out";
            return Err(Fault::new(tree.at.clone(), "keys are wanted here", remedy).under(path));
        };
        for (place, (key, _)) in pairs.iter().enumerate() {
            if pairs.iter().take(place).any(|(other, _)| other.text == key.text) {
                let reason = format!("the key {} stands here twice", quoted(&key.text));
                return Err(Fault::new(key.at.clone(), reason, "keep one of them").under(path));
            }
        }
        Ok(Self { path: path.to_owned(), at: tree.at.clone(), pairs })
    }

    /// Of a map with these keys.
    fn of(tree: &'a Tree, path: &str, known: &[&'static str]) -> Result<Self, Fault> {
        let keys = Self::any(tree, path)?;
        let Some((key, _)) = keys.pairs.iter().find(|(key, _)| !known.contains(&key.text.as_str())) else {
            return Ok(keys);
        };
        let reason = format!("there is no key {}", quoted(&key.text));
        let remedy = if key.text.contains([')', '(', ',']) {
            "put an expression with a comma in quotes".to_owned()
        } else {
            suggestion(&key.text, known.iter().copied(), &format!("there are {}", known.join(", ")))
        };
        Err(Fault::new(key.at.clone(), reason, remedy).under(path))
    }

    fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn get(&self, key: &str) -> Option<&'a Tree> {
        self.pairs.iter().find(|(name, _)| name.text == key).map(|(_, tree)| tree)
    }

    fn needed(&self, key: &str, remedy: &str) -> Result<&'a Tree, Fault> {
        self.get(key).ok_or_else(|| {
            let place = self.pairs.first().map_or(self.at.clone(), |(key, _)| key.at.clone());
            Fault::new(place, format!("the key `{key}` is missing"), remedy).under(&self.path)
        })
    }

    fn scalar(&self, key: &str, tree: &'a Tree) -> Result<&'a Scalar, Fault> {
        scalar(tree).map_err(|fault| fault.under(&self.path(key)))
    }

    fn expression(&self, key: &str, scope: Scope<'_>, file: &str) -> Result<Option<Expression>, Fault> {
        self.get(key).map(|tree| expression(tree, &self.path(key), scope, file)).transpose()
    }

    fn sides(policy: &Keys<'_>, key: &str, scope: Scope<'_>, file: &str) -> Result<Sides, Fault> {
        let Some(tree) = policy.get(key) else { return Ok(Sides::default()) };
        let keys = Keys::of(tree, &policy.path(key), &SIDE_KEYS)?;
        Ok(Sides { long: keys.expression("long", scope, file)?, short: keys.expression("short", scope, file)? })
    }
}

fn scalar(tree: &Tree) -> Result<&Scalar, Fault> {
    match &tree.shape {
        Shape::Scalar(scalar) if !scalar.is_null() => Ok(scalar),
        Shape::Scalar(_) => {
            Err(Fault::new(tree.at.clone(), "nothing is written here", "write a value, or leave the key out"))
        }
        Shape::List(_) | Shape::Map(_) => Err(Fault::new(
            tree.at.clone(),
            "one value is wanted here",
            "write it on one line, in quotes if it has a `,` or `: `",
        )),
    }
}

fn expression(tree: &Tree, key: &str, scope: Scope<'_>, file: &str) -> Result<Expression, Fault> {
    let scalar = scalar(tree).map_err(|fault| fault.under(key))?;
    let code = parse(&scalar.text, scope).map_err(|fault| scalar.fault(fault, file).under(key))?;
    Ok(Expression { key: key.to_owned(), scalar: scalar.clone(), code })
}

fn list(policy: &Keys<'_>, key: &str, scope: Scope<'_>, file: &str) -> Result<Vec<Expression>, Fault> {
    let Some(tree) = policy.get(key) else { return Ok(Vec::new()) };
    let path = policy.path(key);
    let Shape::List(items) = &tree.shape else {
        let remedy = "write `[a, b]`, or one condition a line, each after a `-`";
        return Err(Fault::new(tree.at.clone(), "a list of conditions is wanted here", remedy).under(&path));
    };
    let one = |(place, item)| expression(item, &format!("{path}[{place}]"), scope, file);
    items.iter().enumerate().map(one).collect()
}

/// Reads the keys of a file.
pub(super) fn read(tree: &Tree, file: &str) -> Result<Document, Fault> {
    let top = Keys::of(tree, "", &TOP_KEYS)?;
    let policy = Keys::of(
        top.needed("policy", "write `policy:` and the keys of the strategy below it")?,
        "policy",
        &POLICY_KEYS,
    )?;
    let name = name(&policy)?;
    let about = about(&policy)?;
    let parameters = parameters(&policy)?;
    let names: Vec<&str> = parameters.iter().map(|parameter| parameter.name.as_str()).collect();
    let bare = Scope { parameters: &names, definitions: &[], defined: 0 };
    let (defined, definitions) = definitions(&policy, bare, file)?;
    let scope = Scope { parameters: &names, definitions: &defined, defined: defined.len() };
    let entry = Keys::sides(&policy, "entry", scope, file)?;
    if entry.long.is_none() && entry.short.is_none() {
        let place = policy.get("entry").map_or(policy.at.clone(), |tree| tree.at.clone());
        let remedy = "write a condition under `entry.long`, `entry.short` or both";
        return Err(Fault::new(place, "nothing could ever be entered", remedy).under("policy.entry"));
    }
    let bracket = policy.get("bracket").map(|tree| Keys::of(tree, "policy.bracket", &BRACKET_KEYS)).transpose()?;
    let distance = |key| bracket.as_ref().map_or(Ok(None), |bracket| bracket.expression(key, scope, file));
    Ok(Document {
        require: list(&policy, "require", scope, file)?,
        exit: Keys::sides(&policy, "exit", scope, file)?,
        filters: list(&policy, "filters", scope, file)?,
        stop: distance("stop")?,
        target: distance("target")?,
        trailing: distance("trailing")?,
        time: distance("time")?,
        size: size(&policy, scope, file)?,
        volatility: policy.expression("volatility", scope, file)?,
        definitions,
        entry,
        name,
        about,
        parameters,
    })
}

fn name(policy: &Keys<'_>) -> Result<String, Fault> {
    let remedy = "write 1 to 32 lower-case letters, digits, `_` or `-`";
    let scalar = policy.scalar("name", policy.needed("name", remedy)?)?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    if (1..=NAME_CHARS_MAX).contains(&scalar.text.len()) && scalar.text.chars().all(plain) {
        return Ok(scalar.text.clone());
    }
    let reason = format!("{} is not a plain name", quoted(&scalar.text));
    Err(Fault::new(scalar.at.clone(), reason, remedy).under("policy.name"))
}

fn about(policy: &Keys<'_>) -> Result<String, Fault> {
    let Some(tree) = policy.get("about") else { return Ok(String::new()) };
    let scalar = policy.scalar("about", tree)?;
    if scalar.text.chars().count() > ABOUT_CHARS_MAX {
        let remedy = "write up to 1000 characters, and the rest in comments";
        return Err(Fault::new(scalar.at.clone(), "the text is too long", remedy).under("policy.about"));
    }
    Ok(scalar.text.trim().to_owned())
}

/// A name that the file gives to a parameter or a definition.
fn own_name(key: &Scalar, path: &str) -> Result<(), Fault> {
    let text = key.text.as_str();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let refuse = |reason: &str, remedy: &str| {
        Err(Fault::new(key.at.clone(), format!("{} {reason}", quoted(text)), remedy).under(path))
    };
    if !text.starts_with(|c: char| c.is_ascii_lowercase()) || !text.chars().all(plain) || text.len() > NAME_CHARS_MAX {
        return refuse("is not a plain name", "write a lower-case letter, and up to 31 more, digits or `_`");
    }
    if is_taken(text) {
        return refuse("is a word of the language", "give it another name");
    }
    Ok(())
}

fn parameters(policy: &Keys<'_>) -> Result<Vec<Parameter>, Fault> {
    let Some(tree) = policy.get("parameters") else { return Ok(Vec::new()) };
    let keys = Keys::any(tree, "policy.parameters")?;
    if let Some((key, _)) = keys.pairs.get(PARAMETERS_MAX) {
        let fault = Fault::new(key.at.clone(), "these are too many parameters", "a strategy has up to 64");
        return Err(fault.under(&keys.path));
    }
    keys.pairs.iter().map(|(key, tree)| parameter(key, tree, &keys)).collect()
}

fn parameter(key: &Scalar, tree: &Tree, parameters: &Keys<'_>) -> Result<Parameter, Fault> {
    own_name(key, &parameters.path)?;
    let path = parameters.path(&key.text);
    let keys = Keys::of(tree, &path, &PARAMETER_KEYS)?;
    let mut whole = true;
    let mut read = |name: &str, tree| {
        let scalar = keys.scalar(name, tree)?;
        let (x, is_whole) = figure(scalar).map_err(|fault| fault.under(&keys.path(name)))?;
        whole &= is_whole;
        Ok::<_, Fault>((x, scalar.at.clone()))
    };
    let needed = |name: &str| keys.needed(name, "write `{default: 12, min: 2, max: 500}`");
    let (default, at) = read("default", needed("default")?)?;
    let (min, _) = read("min", needed("min")?)?;
    let (max, max_at) = read("max", needed("max")?)?;
    let step = keys.get("step").map(|tree| read("step", tree)).transpose()?;
    if max < min {
        let fault = Fault::new(max_at, format!("{max} is under `min`, which is {min}"), "write min <= max");
        return Err(fault.under(&keys.path("max")));
    }
    if let Some((step, at)) = &step
        && !(*step > 0.0 && *step <= max - min)
    {
        let remedy = "write a number over 0, up to the distance from `min` to `max`";
        return Err(Fault::new(at.clone(), format!("{step} is no step"), remedy).under(&keys.path("step")));
    }
    let step = step.map(|(step, _)| step);
    let parameter = Parameter { name: key.text.clone(), default, value: default, min, max, step, whole };
    let refuse = |(reason, remedy): (String, String)| Fault::new(at, reason, remedy).under(&keys.path("default"));
    parameter.check(default).map_err(refuse)?;
    Ok(parameter)
}

fn definitions<'a>(policy: &Keys<'a>, bare: Scope<'_>, file: &str) -> Result<(Vec<&'a str>, Vec<Expression>), Fault> {
    let Some(tree) = policy.get("define") else { return Ok((Vec::new(), Vec::new())) };
    let keys = Keys::any(tree, "policy.define")?;
    let names: Vec<&str> = keys.pairs.iter().map(|(key, _)| key.text.as_str()).collect();
    let mut found = Vec::with_capacity(names.len());
    for (defined, (key, tree)) in keys.pairs.iter().enumerate() {
        own_name(key, &keys.path)?;
        if bare.parameters.contains(&key.text.as_str()) {
            let reason = format!("{} is a parameter already", quoted(&key.text));
            return Err(Fault::new(key.at.clone(), reason, "give one of them another name").under(&keys.path));
        }
        found.push(expression(tree, &keys.path(&key.text), Scope { definitions: &names, defined, ..bare }, file)?);
    }
    Ok((names, found))
}

fn size(policy: &Keys<'_>, scope: Scope<'_>, file: &str) -> Result<Option<(SizeUnit, Expression)>, Fault> {
    const UNITS: [SizeUnit; 3] = [SizeUnit::Units, SizeUnit::Notional, SizeUnit::Equity];
    let Some(tree) = policy.get("size") else { return Ok(None) };
    let keys = Keys::of(tree, "policy.size", &SIZE_KEYS)?;
    let [(key, _)] = keys.pairs else {
        let remedy = "write one of `units`, `notional` and `equity`, or leave `size` out";
        return Err(Fault::new(keys.at.clone(), "a size is told in one way", remedy).under(&keys.path));
    };
    let unit = SIZE_KEYS.iter().zip(UNITS).find(|(name, _)| **name == key.text).map(|(_, unit)| unit);
    let told = keys.expression(&key.text, scope, file)?;
    Ok(unit.zip(told))
}
