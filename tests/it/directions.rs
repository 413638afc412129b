//! What may know what, kept by reading the source. Each rule says what may not be named where.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::workspace;

/// The rooms of the core that each of its rooms may name besides itself. A room that is not listed is refused, so that a
/// new one is placed on purpose.
const CORE_ROOMS: [(&str, &[&str]); 20] = [
    ("chain", &[]),
    ("alerts", &["domain"]),
    ("domain", &[]),
    ("features", &["domain"]),
    ("forecast", &["domain", "features"]),
    ("fusion", &["domain", "features", "forecast"]),
    ("labels", &["domain"]),
    ("statistics", &["domain"]),
    ("regime", &["domain", "features"]),
    ("policy", &["domain", "features", "regime"]),
    ("engine", &["domain", "features", "forecast", "policy", "regime"]),
    ("record", &["domain", "account"]),
    ("account", &["domain", "record", "alerts"]),
    ("fills", &["domain", "record", "account"]),
    ("supervision", &["domain"]),
    ("simulator", &["domain"]),
    ("files", &["domain"]),
    ("frames", &[]),
    (
        "backtest",
        &[
            "domain",
            "record",
            "account",
            "driver",
            "engine",
            "features",
            "files",
            "fills",
            "forecast",
            "policy",
            "regime",
            "statistics",
        ],
    ),
    ("driver", &["domain", "record", "alerts", "account", "engine", "features", "fills", "simulator"]),
];

/// The rooms of the daemon that a face may name besides itself: people reach everything through `control`. `reports` is
/// shown figures of the core, and knows nothing of the daemon.
const FACES: [(&str, &[&str]); 4] =
    [("http", &["control"]), ("cli", &["control", "backtest"]), ("control", &[]), ("reports", &[])];

/// A word that may stand in some files only.
struct Word {
    /// Where it is looked for.
    below: &'static str,
    word: &'static str,
    /// Files and folders that may use it.
    except: &'static [&'static str],
    why: &'static str,
}

const WORDS: [Word; 27] = [
    core("std::time", &[], "time is an input of the core"),
    core("std::env", &[], "the core reads no environment"),
    core("std::fs", &["core/src/files/"], "only `files` opens files"),
    core("std::net", &[], "the core does no IO"),
    core("std::thread", &[], "the core has no threads"),
    core("std::process", &[], "the core does no IO"),
    core("SystemTime", &[], "time is an input of the core"),
    core("Instant::now", &[], "time is an input of the core"),
    core("tokio", &[], "the core is synchronous"),
    core("rand::", &[], "the core draws no random numbers"),
    core("HashMap", &[], "its order differs from run to run"),
    core("HashSet", &[], "its order differs from run to run"),
    daemon("std::env::", &["src/config/"], "only `config` reads the environment"),
    daemon("sqlx", &["src/store/"], "only `store` speaks SQL"),
    daemon("SystemTime", &["src/telemetry/clock.rs"], "wall time enters through `telemetry::clock`"),
    daemon("actix_web", &["src/http/"], "only `http` speaks HTTP"),
    daemon("reqwest", &["src/telemetry/alerts/"], "only channels of alerts speak HTTP to others"),
    daemon("clap::", &["src/cli/", "src/main.rs", "src/main_args.rs"], "only the command line parses arguments"),
    daemon("prometheus::", &["src/telemetry/"], "only `telemetry` knows how metrics are kept"),
    daemon("plotters", &["src/reports/"], "only `reports` draws"),
    daemon("do_send", &[], "it ignores the bound of the mailbox"),
    daemon("println!", &[], "output goes through a writer or the log"),
    model("tch::", &["model/src/tft/"], "only `tft` speaks to libtorch"),
    model("lightgbm3", &["model/src/lightgbm/", "model/src/lib.rs"], "only `lightgbm` speaks to LightGBM"),
    model("SystemTime", &["model/src/clock.rs"], "wall time enters through `clock`"),
    model("std::env::var", &[], "the model reads no environment"),
    model("println!", &[], "output goes through a writer"),
];

const fn core(word: &'static str, except: &'static [&'static str], why: &'static str) -> Word {
    Word { below: "core/src", word, except, why }
}

const fn daemon(word: &'static str, except: &'static [&'static str], why: &'static str) -> Word {
    Word { below: "src", word, except, why }
}

const fn model(word: &'static str, except: &'static [&'static str], why: &'static str) -> Word {
    Word { below: "model/src", word, except, why }
}

/// Crates that a package never depends on: the core is pure, and the daemon and the model speak by frames.
const WALLS: [(&str, &[&str]); 3] = [
    ("core/Cargo.toml", &NOT_IN_CORE),
    ("Cargo.toml", &["levibot-model", "tch", "lightgbm3"]),
    ("model/Cargo.toml", &["levibot", "actix", "tokio", "sqlx", "redis"]),
];
/// Crates that the core never depends on.
const NOT_IN_CORE: [&str; 12] =
    ["actix", "actix-rt", "actix-web", "clap", "nix", "rand", "redis", "reqwest", "sqlx", "tch", "tokio", "tracing"];

const LINES_MAX: usize = 500;

/// A source file: its path from the root, and its text without comments and tests.
struct Source {
    path: String,
    code: String,
    lines: usize,
}

fn sources(below: &str) -> Vec<Source> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&workspace().join(below), &mut found);
    found.sort();
    assert!(found.len() > 5, "{below} was not found");
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let path = path.strip_prefix(workspace()).unwrap().to_str().unwrap().to_owned();
        Source { path, lines: text.lines().count(), code: code_of(&text) }
    };
    found.into_iter().map(read).collect()
}

/// The text with the same lines, comments emptied, up to the first item that only tests have.
fn code_of(text: &str) -> String {
    let before_tests = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = before_tests.lines().map(|line| match line.split_once("//") {
        Some((code, _)) if !code.contains('"') => code.trim_end(),
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn is_test(path: &str) -> bool {
    ["/tests.rs", "_tests.rs", "/samples.rs", "/golden.rs"].iter().any(|end| path.ends_with(end))
}

fn line_at(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// The names that `code` takes from the crate's root, each with its line: `crate::a`, `crate::{a, b::c}`, and `super::`
/// as often as it leads there.
fn rooms_named(path: &str, code: &str) -> Vec<(usize, String)> {
    let inside = path.split_once("src/").unwrap().1.trim_end_matches(".rs");
    let inside = inside.trim_end_matches("/mod");
    let to_root = "super::".repeat(inside.split('/').count());
    let mut named = Vec::new();
    for root in ["crate::", to_root.as_str()] {
        for (at, _) in code.match_indices(root) {
            let is_part = code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
            if !is_part && !code[at..].starts_with(&format!("{root}super::")) {
                let line = line_at(code, at);
                named.extend(names(&code[at + root.len()..]).into_iter().map(|name| (line, name)));
            }
        }
    }
    named
}

/// The first names of a path or of a group of paths.
fn names(code: &str) -> Vec<String> {
    let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = code.strip_prefix('{') else { return vec![name(code)] };
    let (mut depth, mut found, mut start) = (0, Vec::new(), 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            '}' | ',' if depth == 0 => {
                found.push(name(group[start..at].trim_start()));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

fn room_of<'a>(path: &'a str, below: &str) -> &'a str {
    let inside = path.strip_prefix(below).unwrap().trim_start_matches('/');
    inside.split('/').next().unwrap().trim_end_matches(".rs")
}

#[test]
fn the_reader_of_names_understands_what_is_written() {
    let code = "use crate::{a, b::{c, d}, e};\nuse super::super::f::g;\nlet h = crate::i::j();\nuse my_crate::k;";
    let named = rooms_named("core/src/x/y.rs", code);
    let wanted = [(1, "a"), (1, "b"), (1, "e"), (3, "i"), (2, "f")].map(|(line, name)| (line, name.to_owned()));
    assert_eq!(named, wanted);
    assert!(rooms_named("core/src/x/z/y.rs", code).iter().all(|(_, name)| name != "f"));
    assert_eq!(rooms_named("src/x/mod.rs", "use super::f;"), [(1, "f".to_owned())]);
    assert_eq!(code_of("a // b\nc\n#[cfg(test)]\nmod tests {\n d"), "a\nc");
}

#[test]
fn the_directions_of_the_architecture_are_kept() {
    let mut violations = String::new();
    let mut violation = |path: &str, line: usize, rule: &str| {
        writeln!(violations, "{path}:{line}: {rule}").unwrap();
    };

    for (below, rooms, all) in [("core/src", &CORE_ROOMS[..], true), ("src", &FACES[..], false)] {
        for source in sources(below).iter().filter(|source| !is_test(&source.path)) {
            let room = room_of(&source.path, below);
            let Some((_, allowed)) = rooms.iter().find(|(name, _)| *name == room) else {
                if all && room != "lib" {
                    violation(&source.path, 1, &format!("`{room}` has no place among the directions"));
                }
                continue;
            };
            for (line, name) in rooms_named(&source.path, &source.code) {
                if name != room && !allowed.contains(&name.as_str()) {
                    let may = allowed.join(", ");
                    violation(&source.path, line, &format!("`{room}` names `{name}`; it may name only: {may}"));
                }
            }
        }
    }

    for Word { below, word, except, why } in WORDS {
        for source in sources(below) {
            if is_test(&source.path) || except.iter().any(|exception| source.path.starts_with(exception)) {
                continue;
            }
            for (at, _) in source.code.match_indices(word) {
                violation(&source.path, line_at(&source.code, at), &format!("names `{word}`: {why}"));
            }
        }
    }

    for source in ["core/src", "src", "tests", "model/src", "model/tests"].into_iter().flat_map(sources) {
        if source.lines > LINES_MAX {
            violation(&source.path, source.lines, &format!("a file has up to {LINES_MAX} lines"));
        }
    }

    for (file, walled) in WALLS {
        let manifest: toml::Table = fs::read_to_string(workspace().join(file)).unwrap().parse().unwrap();
        for table in ["dependencies", "build-dependencies", "dev-dependencies"] {
            for (name, _) in manifest.get(table).and_then(toml::Value::as_table).into_iter().flatten() {
                if walled.contains(&name.as_str()) {
                    violation(file, 1, &format!("[{table}] has `{name}`, which is walled off from this package"));
                }
            }
        }
    }
    assert!(violations.is_empty(), "directions that are not kept:\n{violations}");
}
