//! The JSON schema of a strategy's file, for editors: draft 2020-12. It knows keys and figures; what an expression means is
//! for [`super::StrategyPolicy`] to say.

use serde_json::{Map, Value, json};

use super::document::{BRACKET_KEYS, NAME_CHARS_MAX, PARAMETER_KEYS, POLICY_KEYS, SIDE_KEYS, SIZE_KEYS, TOP_KEYS};
use super::names::{FEATURE, FUNCTIONS, WORDS};

/// What a key is, for the reader of the schema.
fn described(key: &str) -> &'static str {
    match key {
        "policy" => "The strategy.",
        "name" => "What decisions and reports call it.",
        "about" => "What it does, for people.",
        "parameters" => "What may be set from outside, each with its range.",
        "require" => "Conditions over parameters that must hold; checked after they are set.",
        "define" => "Named values; each may use parameters and earlier ones.",
        "entry" => "Conditions on which a side is entered; a side that is absent is never entered.",
        "exit" => "Conditions on which a side is left.",
        "filters" => "Conditions that must all hold for an entry; exits do not ask them.",
        "bracket" => "What ends a position besides its exit; each is optional.",
        "size" => "How large an entry is, in one of three ways; absent: as the account sizes it.",
        "volatility" => {
            "Usual move of a bar as a fraction of price, what sizing divides by; absent: `atr(14) / close`."
        }
        "long" => "Of the long side.",
        "short" => "Of the short side.",
        "stop" => "Distance of the stop from the entry, quote currency.",
        "target" => "Distance of the target from the entry, quote currency.",
        "trailing" => "Distance at which the stop follows the best price, quote currency.",
        "time" => "Longest time in a position, bars, 1 to 100000; a constant.",
        "units" => "Base units.",
        "notional" => "Quote currency.",
        "equity" => "Fraction of equity.",
        "default" => "Where it stands unless it is set.",
        "min" => "The least it may be.",
        "max" => "The most it may be.",
        "step" => "Distance of the values that it may take, counted from `min`.",
        _ => "",
    }
}

/// A map with these keys and no others.
fn map(keys: &[&str], required: &[&str], of: impl Fn(&str) -> Value) -> Value {
    let property = |key: &&str| {
        let mut value = of(key);
        if let Value::Object(object) = &mut value {
            object.insert("description".to_owned(), json!(described(key)));
        }
        ((*key).to_owned(), value)
    };
    let properties: Map<String, Value> = keys.iter().map(property).collect();
    let mut map = json!({"type": "object", "properties": properties, "additionalProperties": false});
    if let Value::Object(object) = &mut map
        && !required.is_empty()
    {
        object.insert("required".to_owned(), json!(required));
    }
    map
}

fn with(mut value: Value, key: &str, put: Value) -> Value {
    if let Value::Object(object) = &mut value {
        object.insert(key.to_owned(), put);
    }
    value
}

/// The schema. `policies/strategy.schema.json` is this, and a test keeps it so.
pub fn schema() -> Value {
    let expression = || json!({"$ref": "#/$defs/expression"});
    let names = json!({"pattern": format!("^[a-z][a-z0-9_]{{0,{}}}$", NAME_CHARS_MAX - 1)});
    let conditions = || json!({"type": "array", "items": expression()});
    let named = |of: Value| json!({"type": "object", "propertyNames": names, "additionalProperties": of});
    let parameter = map(&PARAMETER_KEYS, &["default", "min", "max"], |_| json!({"type": "number"}));
    let policy = map(&POLICY_KEYS, &["name", "entry"], |key| match key {
        "name" => json!({"type": "string", "pattern": format!("^[a-z0-9_-]{{1,{NAME_CHARS_MAX}}}$")}),
        "about" => json!({"type": "string", "maxLength": 1000}),
        "parameters" => with(named(parameter.clone()), "maxProperties", json!(64)),
        "define" => named(expression()),
        "require" | "filters" => conditions(),
        "entry" => with(map(&SIDE_KEYS, &[], |_| expression()), "minProperties", json!(1)),
        "exit" => map(&SIDE_KEYS, &[], |_| expression()),
        "bracket" => map(&BRACKET_KEYS, &[], |_| expression()),
        "size" => {
            let one = with(map(&SIZE_KEYS, &[], |_| expression()), "minProperties", json!(1));
            with(one, "maxProperties", json!(1))
        }
        _ => expression(),
    });
    let functions = FUNCTIONS.iter().map(|function| format!("{}({})", function.name, function.arguments.join(", ")));
    let words = WORDS.iter().map(|word| word.name.to_owned()).chain([format!("{FEATURE}<name>")]);
    let list = |all: Vec<String>| all.join(", ");
    let vocabulary = format!(
        "A number or an expression, with `or and not`, comparisons `< <= > >= == !=`, `+ - * /`, parentheses, figures, \
         `true` and `false`, the strategy's own names and those of the language. Values: {}. Functions: {}.",
        list(words.collect()),
        list(functions.collect())
    );
    let expression = json!({"type": ["string", "number", "boolean"], "description": vocabulary});
    let file = map(&TOP_KEYS, &TOP_KEYS, |_| policy.clone());
    let file = with(file, "$schema", json!("https://json-schema.org/draft/2020-12/schema"));
    let file = with(file, "title", json!("LeviLang: a strategy of levibot"));
    with(file, "$defs", json!({"expression": expression}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_what_the_code_says() {
        let kept = include_str!("../../../policies/strategy.schema.json");
        let wanted = schema();
        let is_kept = serde_json::from_str::<Value>(kept).is_ok_and(|kept| kept == wanted);
        assert!(is_kept, "policies/strategy.schema.json is to be:\n{wanted:#}");
    }

    #[test]
    fn every_key_is_described() {
        for keys in [&TOP_KEYS[..], &POLICY_KEYS, &PARAMETER_KEYS, &SIDE_KEYS, &BRACKET_KEYS, &SIZE_KEYS] {
            assert!(keys.iter().all(|key| !described(key).is_empty()), "{keys:?}");
        }
    }
}
