//! One event as one line of JSON.

use std::fmt::{self, Write as _};

use levibot_core::domain::{Symbol, Ts};
use tracing::field::{Field, Visit};

/// Longest value of one field in a line, bytes; longer text is cut.
pub(super) const VALUE_BYTES_MAX: usize = 8_192;

/// One line on its way to its file.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) symbol: Option<Symbol>,
    pub(super) ts: Ts,
    pub(super) json: String,
    /// An alert or an error of our own: a full file still takes it.
    pub(super) is_vital: bool,
}

/// Looks for the symbol of an event and at nothing else.
#[derive(Default)]
pub(super) struct OwnSymbol(pub(super) Option<Symbol>);

impl Visit for OwnSymbol {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "symbol" {
            self.0 = value.parse().ok();
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "symbol" {
            self.0 = format!("{value:?}").parse().ok();
        }
    }

    // The others would be put into text first.
    fn record_i64(&mut self, _: &Field, _: i64) {}

    fn record_u64(&mut self, _: &Field, _: u64) {}

    fn record_f64(&mut self, _: &Field, _: f64) {}

    fn record_bool(&mut self, _: &Field, _: bool) {}
}

/// The fields of one event, each value already JSON.
#[derive(Default)]
pub(super) struct Fields {
    symbol: Option<String>,
    message: Option<String>,
    rest: Vec<(&'static str, String)>,
}

impl Fields {
    fn text(&mut self, field: &Field, text: &str) {
        match field.name() {
            "symbol" => self.symbol = Some(cut(text).to_owned()),
            "message" => self.message = Some(json_text(text)),
            _ => self.json(field, json_text(text)),
        }
    }

    fn json(&mut self, field: &Field, value: String) {
        match self.rest.iter_mut().find(|(name, _)| *name == field.name()) {
            Some(slot) => slot.1 = value,
            None => self.rest.push((field.name(), value)),
        }
    }

    pub(super) fn line(&self, ts: Ts, metadata: &tracing::Metadata<'_>, symbol: Option<Symbol>) -> String {
        let level = match *metadata.level() {
            tracing::Level::ERROR => "error",
            tracing::Level::WARN => "warn",
            tracing::Level::INFO => "info",
            tracing::Level::DEBUG => "debug",
            tracing::Level::TRACE => "trace",
        };
        let mut json = format!(r#"{{"ts":"{ts}","level":"{level}""#);
        // Text that is no symbol is shown, but names no file.
        if let Some(symbol) = symbol.map(|s| s.to_string()).or_else(|| self.symbol.clone()) {
            let _ = write!(json, r#","symbol":{}"#, json_text(&symbol));
        }
        let message = self.message.as_deref().unwrap_or(r#""""#);
        let _ = write!(json, r#","msg":{message},"target":{}"#, json_text(metadata.target()));
        for (name, value) in &self.rest {
            let reserved = matches!(*name, "ts" | "level" | "msg" | "target");
            let name = json_text(name.strip_prefix("r#").unwrap_or(name));
            let name = if reserved { format!(r#""field_{}"#, &name[1..]) } else { name };
            let _ = write!(json, ",{name}:{value}");
        }
        json.push('}');
        json
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(VALUE_BYTES_MAX)]
}

pub(super) fn json_text(text: &str) -> String {
    serde_json::Value::from(cut(text)).to_string()
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no NaN and no infinity: they are written as text.
        let number = serde_json::Number::from_f64(value).map(|n| n.to_string());
        self.json(field, number.unwrap_or_else(|| format!("\"{value}\"")));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.json(field, value.to_string());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.json(field, value.to_string());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.json(field, value.to_string());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(inner) = source.filter(|_| text.len() < VALUE_BYTES_MAX) {
            let _ = write!(text, ": {inner}");
            source = inner.source();
        }
        self.text(field, &text);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, &format!("{value:?}"));
    }
}

/// That lines were lost on their way.
pub(super) fn lost_line(ts: Ts, count: u64) -> Line {
    let json = format!(r#"{{"ts":"{ts}","level":"warn","msg":"log lines were lost","count":{count}}}"#);
    Line { symbol: None, ts, json, is_vital: false }
}

/// What the cap of a symbol kept out of the log.
pub(super) fn left_out_line(symbol: Option<Symbol>, ts: Ts, count: u64) -> Line {
    let mut json = format!(r#"{{"ts":"{ts}","level":"warn""#);
    if let Some(symbol) = symbol {
        let _ = write!(json, r#","symbol":{}"#, json_text(symbol.as_str()));
    }
    let _ = write!(json, r#","msg":"lines left out","target":{},"count":{count}}}"#, json_text(super::logs::TARGET));
    Line { symbol, ts, json, is_vital: false }
}
