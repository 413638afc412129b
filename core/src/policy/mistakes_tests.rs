//! Every mistake is told with its place, its reason and what to write instead.

use super::StrategyPolicy;

/// Stands before the place that an error must name; it is no part of the text.
const HERE: char = '\u{a7}';

/// A strategy with these lines under `policy`.
fn with(lines: &str) -> String {
    let lines: String = lines.lines().map(|line| format!("  {line}\n")).collect();
    format!("policy:\n  name: trial\n{lines}")
}

fn entry(expression: &str) -> String {
    with(&format!("entry:\n  long: {expression}"))
}

/// A sound strategy and these lines.
fn and(lines: &str) -> String {
    with(&format!("entry: {{long: close > open}}\n{lines}"))
}

#[track_caller]
fn refused(marked: &str, wanted: &str) {
    let before = marked.split(HERE).next().unwrap();
    let place = (before.matches('\n').count() + 1, before.rsplit('\n').next().unwrap().chars().count() + 1);
    let text = marked.replace(HERE, "");
    assert_ne!(text, marked, "no place is marked in\n{marked}");
    let error = StrategyPolicy::from_yaml(&text).expect_err(&text);
    let shown = error.to_string();
    assert_eq!(error.place(), Some(place), "{shown}");
    assert!(shown.contains(wanted), "wanted `{wanted}`\n{shown}");
    assert!(shown.starts_with(&format!("line {}, column {}: ", place.0, place.1)), "{shown}");
}

#[test]
fn an_error_shows_line_column_key_reason_remedy_and_caret() {
    let text = with("define:\n  quick: ema(clsoe, 12)\nentry: {long: close > quick}");
    assert_eq!(
        StrategyPolicy::from_yaml(&text).unwrap_err().to_string(),
        "line 4, column 16: `policy.define.quick`: there is no name `clsoe`; did you mean `close`?\n \
         4 |     quick: ema(clsoe, 12)\n   |                ^^^^^"
    );
}

#[test]
fn places_are_exact_however_a_scalar_is_written() {
    let wanted = "there is no name `opne`";
    refused(&entry("close > §opne"), wanted);
    refused(&entry("'close > §opne'"), wanted);
    refused(&entry("\"close > §opne\""), wanted);
    refused(&entry("close >\n    §opne"), wanted);
    refused(&entry("\"close >\n    §opne\""), wanted);
    refused(&entry("|\n    close\n    > §opne"), wanted);
    refused(&entry(">-  # why\n    close\n\n    > §opne"), wanted);
    refused(&entry("|2\n      close > §opne"), wanted);
    refused(&with("entry: {short: \"low < high\", long: close > §opne}"), wanted);
    refused(&with("# \u{e9}\u{1f600}\nentry: {long: \"close > §opne\"} # \u{e9}"), wanted);
    refused(&entry("close > §opne").replace('\n', "\r\n"), wanted);
    refused(&and("filters: [close > low, §opne > 1]"), "`policy.filters[1]`: there is no name `opne`");
    // An escape moves what follows it: then the scalar is the place.
    refused(&entry("§\"close \\x3e opne\""), wanted);
    refused(&entry("§\"close > \\\n    opne\""), wanted);
}

#[test]
fn a_file_that_is_no_strategy_is_refused() {
    refused("§", "nothing is written here");
    refused("§strategy: {name: old}", "there is no key `strategy`; there are policy");
    refused("§[1, 2]", "keys are wanted here");
    refused("§{}", "the key `policy` is missing; write `policy:`");
    refused("policy: §no", "`policy`: keys are wanted here");
    refused("policy:\n  §entry: {long: close > open}", "`policy`: the key `name` is missing");
    refused("policy:\n  name: a\n  §name b\n", "not YAML");
    refused("policy: §{name: a", "not YAML");
    refused(&and("§nmae: x"), "there is no key `nmae`; did you mean `name`?");
    refused(&and("§colour: red"), "there are name, about, parameters");
    refused(&and("§name: again"), "the key `name` stands here twice; keep one");
    refused(&and("exit: {long: close < open, §long: close < low}"), "the key `long` stands here twice");
    refused(&and("exit: &a §{long: close < low}"), "anchors, aliases and tags");
    refused(&and("about: !!str §x"), "anchors, aliases and tags");
    refused(&format!("{}---§\nx: 1\n", and("")).replace("---§", "§---"), "a second document begins");
    refused(&and("exit: {? §[a] : b}"), "a list or map is no key");
    refused(&and("about: [[[[[[§[x]]]]]]]"), "nested too deeply");
    refused(&format!("§{}", "#".repeat(70_000)), "the file has 70000 bytes; a strategy has up to 65536");
}

#[test]
fn keys_with_the_wrong_shape_or_words_are_refused() {
    refused("policy:\n  name: §EMA Cross\n", "`policy.name`: `EMA Cross` is not a plain name; write 1 to 32");
    refused("policy:\n  name: §aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n", "is not a plain name");
    refused("policy:\n  name§:\n", "`policy.name`: nothing is written here");
    refused(&and(&format!("about: §{}", "x".repeat(1001))), "the text is too long");
    refused("policy:\n  §name: trial\n", "nothing could ever be entered; write a condition under `entry.long`");
    refused(&with("entry: §{}"), "nothing could ever be entered");
    refused(&with("entry: {§up: close > open}"), "there is no key `up`; there are long, short");
    refused(&with("entry: {long: §[close > open]}"), "one value is wanted here");
    refused(&with("entry: {long: §~}"), "nothing is written here; write a value, or leave the key out");
    refused(&and("filters: §close > open"), "a list of conditions is wanted here");
    refused(&and("bracket: {§stpo: 2}"), "did you mean `stop`?");
    refused(
        &and("bracket: {stop: §max(1, 2)}").replace("§max(1, ", "max(1, §"),
        "put an expression with a comma in quotes",
    );
    refused(&and("size: §{}"), "a size is told in one way");
    refused(&and("size: §{units: 1, equity: 1}"), "a size is told in one way; write one of");
}

#[test]
fn parameters_that_cannot_be_meant_are_refused() {
    let one = |parameter: &str| and(&format!("parameters: {{{parameter}}}"));
    refused(&one("n: §12"), "`policy.parameters.n`: keys are wanted here");
    refused(&one("n: {§default: 12, min: 2}"), "the key `max` is missing; write `{default: 12");
    refused(&one("n: {default: §1, min: 2, max: 3}"), "1 is out of range; `n` goes from 2 to 3");
    refused(&one("n: {default: 2, min: 4, max: §3}"), "3 is under `min`, which is 4");
    refused(&one("n: {default: 2, min: 0, max: 3, step: §0}"), "0 is no step");
    refused(&one("n: {default: 2, min: 0, max: 3, step: §4}"), "4 is no step");
    refused(&one("n: {default: §3, min: 0, max: 4, step: 2}"), "3 is between two steps");
    refused(&one("n: {default: §.nan, min: 0, max: 4}"), "`.nan` is no figure");
    refused(&one("n: {default: 1, min: §-1e13, max: 4}"), "`-1e13` is no figure");
    refused(&one("n: {default: 1, min: 0, max: 4, §unit: bars}"), "there is no key `unit`");
    refused(&one("§ema: {default: 1, min: 0, max: 4}"), "`ema` is a word of the language; give it another");
    refused(&one("§model: {default: 1, min: 0, max: 4}"), "is a word of the language");
    refused(&one("§N: {default: 1, min: 0, max: 4}"), "`N` is not a plain name");
    refused(&and("parameters: {n: {default: 1, min: 0, max: 4}}\ndefine: {§n: close}"), "`n` is a parameter already");
    let many: String = (0..64).map(|n| format!("p{n}: {{default: 1, min: 0, max: 4}}, ")).collect();
    refused(&one(&format!("{many}§q: {{default: 1, min: 0, max: 4}}")), "these are too many parameters");
    let pair = "parameters: {a: {default: 3, min: 0, max: 4}, b: {default: 3, min: 0, max: 4}}\n";
    refused(&and(&format!("{pair}require: [§a < b]")), "`a < b` does not hold with a = 3, b = 3; set other values");
    refused(&and(&format!("{pair}require: [a <= b, §a < close]")), "this is not known before there are bars");
    refused(&and(&format!("{pair}require: [§a + b]")), "this is a number, and a condition is wanted");
}

#[test]
fn signs_and_words_that_the_language_does_not_have_are_refused() {
    refused(&entry("close > low §&& close > open"), "`&&` is no sign of the language; write `and`");
    refused(&entry("close > low §|| close > open"), "write `or`");
    refused(&entry("\"§! close > open\""), "write `not`");
    refused(&entry("close §= open"), "write `==`");
    refused(&entry("close > §.5"), "write a figure before the point");
    refused(&entry("close > 5 §% 2"), "write a fraction");
    refused(&entry("close > §5%"), "`5%` is not a number; write figures such as");
    refused(&entry("close > §1_000"), "`1_000` is not a number");
    refused(&entry("close > §1e999"), "`1e999` is not a number");
    refused(&entry("close > §12ema"), "`12ema` is not a number");
    refused(&entry("close > §\u{20ac}5"), "is no sign of the language; write names");
    refused(&entry("|\n    close\n    §# why\n    > open"), "write comments outside");
    refused(&entry(&format!("close > §{}", "a".repeat(65))), "the name is too long");
    refused(&entry("§cross_above(close, open)"), "there is no function `cross_above`; did you mean `crosses_above`?");
    refused(&entry("§bollinger(close) > 1"), "there are ema, sma");
    refused(&entry("§close(1) > 1"), "`close` is a value and takes no arguments");
    refused(&entry("close > §ema"), "`ema` is a function without its arguments; write `ema(source, length)`");
    refused(&entry("§Close > open"), "did you mean `close`?");
    refused(&entry("§gibberish_all_along > 1"), "name it under `parameters` or `define`");
    refused(&entry("§feature.rsi_41 > 1"), "did you mean `rsi_14`?");
    refused(&entry("§model.confidense > 1"), "did you mean `model.confidence`?");
}

#[test]
fn expressions_that_are_not_complete_are_refused() {
    refused(&entry("close >§"), "a value is missing here");
    refused(&entry("§\"\""), "a value is missing here");
    refused(&entry("close > §* 2"), "a value is missing before this");
    refused(&entry("close > §not regime.up"), "`not` stands behind an operator");
    refused(&entry("close > §(open + 1"), "this parenthesis is never closed");
    refused(&entry("close > (open §low)"), "`)` is missing before this");
    refused(&entry("close > open§)"), "this parenthesis closes nothing");
    refused(&entry("close > open §low"), "the expression ends before this");
    refused(&entry("low < close §< high"), "comparisons do not chain; write `between(x, least, most)`");
    refused(&entry("close > §ema(close)"), "`ema` takes 2 arguments, and 1 are given; write `ema(source, length)`");
    refused(&entry("close > §atr()"), "`atr` takes 1 argument, and 0 are given");
    refused(&entry(&format!("{}§(true{}", "(".repeat(64), ")".repeat(65))), "more than 64 levels are nested here");
    refused(&entry(&format!("{}§not true", "not ".repeat(64))), "more than 64 levels");
    refused(&entry(&format!("close > {}§-1", "-".repeat(64))), "more than 64 levels");
    refused(&and("filters: [§between(hour, 8, 20)]"), "put an expression with a comma in quotes");
    refused(&and("define: {a: §a + 1}"), "`a` is defined by itself; a definition may use earlier ones");
    refused(&and("define: {a: close + §b, b: a + 1}"), "`b` is defined further down; move its definition up");
}

#[test]
fn values_of_the_wrong_type_or_size_are_refused() {
    refused(&entry("§close"), "this is a number, and a condition is wanted; compare it");
    refused(&entry("close > open and §close"), "this is a number, and a condition is wanted");
    refused(&entry("not §close"), "this is a number, and a condition is wanted");
    refused(&entry("close > §regime.up"), "this is a condition, and a number is wanted");
    refused(&entry("ema(§close > open, 3) > 1"), "this is a condition, and a number is wanted");
    refused(&entry("close + (§close > open) > 1"), "this is a condition, and a number is wanted");
    refused(&and("bracket: {stop: §true}"), "this is a condition, and a number is wanted");
    refused(&entry("close / §(2 - 2) > 1").replace("§(2", "(§2"), "this is 0, and nothing is divided by it");
    refused(&entry("close > §1e300 * 1e300"), "this number is too large");
    for (length, told) in [("0", "this is 0"), ("-3", "this is -3"), ("5001", "this is 5001"), ("2.5", "this is 2.5")] {
        refused(&entry(&format!("close > ema(close, §{length})")), told);
    }
    refused(&entry("close > atr(§close)"), "this is not known before there are bars; a length is a whole number");
    refused(&entry("close > atr(§model.threshold)"), "this is not known before there are bars");
    refused(&entry("\"between(hour, §22, 4)\""), "nothing is from 22 to 4; write the smaller first");
    refused(&and("bracket: {stop: §1 - 1}"), "`policy.bracket.stop`: this is 0; write a number over 0");
    refused(&and("bracket: {time: §0}"), "this is 0; write a whole number of bars from 1 to 100000");
    refused(&and("bracket: {time: §atr(3)}"), "this is not known before there are bars");
    refused(&and("size: {units: §-1}"), "this is -1; write a number over 0");
    refused(&and("size: {equity: §50}"), "50 times the equity looks like percent");
    refused(&and("volatility: §0"), "`policy.volatility`: this is 0");
    let sum = (0..2_100).map(|n| format!("close * {n}.5 > {n}")).collect::<Vec<_>>().join(" or ");
    let error = StrategyPolicy::from_yaml(&entry(&sum)).unwrap_err();
    assert!(error.to_string().contains("the strategy has more than 4096 values; leave some out"), "{error}");
}

#[test]
fn a_text_of_a_terminal_cannot_disturb_it() {
    let text = entry(&format!("\"close > a\\e[31m{}\"", "x".repeat(4_000)));
    let shown = StrategyPolicy::from_yaml(&text).unwrap_err().to_string();
    assert!(shown.chars().all(|c| c == '\n' || !c.is_control()) && shown.len() < 600, "{shown}");
}

#[test]
fn a_side_that_is_never_left_or_never_entered_is_refused() {
    let entered = |side: &str, lines: &str| with(&format!("entry: {{{side}: §close > open}}\n{lines}"));
    let wanted = "`policy.entry.long`: what is entered long could be left by nothing but a target; write a condition under \
                  `exit.long` or `entry.short`, or one of `stop`, `trailing` and `time` under `bracket`";
    refused(&entered("long", ""), wanted);
    refused(&entered("long", "bracket: {target: 5}"), wanted);
    refused(
        &entered("short", "size: {units: 1}"),
        "`policy.entry.short`: what is entered short could be left by nothing",
    );
    for lines in ["exit: {long: close < open}", "bracket: {stop: 1}", "bracket: {trailing: 1}", "bracket: {time: 1}"] {
        StrategyPolicy::from_yaml(&and(lines)).unwrap_or_else(|error| panic!("{error}"));
    }
    let both = with("entry: {long: close > open, short: close < open}");
    StrategyPolicy::from_yaml(&both).unwrap_or_else(|error| panic!("{error}"));
    let wanted = "`policy.exit.short`: nothing is ever entered short, and this would leave it; write a condition under \
                  `entry.short`, or leave this out";
    refused(&and("exit: {long: close < open, short: §close > low}"), wanted);
    refused(&and("bracket: {stop: 1}\nexit: {short: §close > low}"), wanted);
}

#[test]
fn a_require_names_the_parameters_that_it_is_made_of_through_definitions_too() {
    let lines = "parameters: {a: {default: 3, min: 0, max: 4}, b: {default: 2, min: 0, max: 4}}\n\
                 define: {twice: 2 * a, sum: twice + b + twice}\nrequire: ";
    refused(&and(&format!("{lines}[§sum < 9]")), "`sum < 9` does not hold with b = 2, a = 3; set other values");
    refused(&and(&format!("{lines}[\"a > 0\", §2 < 1]")), "`2 < 1` never holds; write a condition over parameters");
}
