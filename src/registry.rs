//! `engine_registry/engine_registry.json`: what every engine is doing, for people and scripts.
//!
//! The file is a view, never an authority: the daemon reads nothing back from it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use levibot_core::domain::{Symbol, Ts};
use serde::{Deserialize, Serialize};

use crate::engine_host::usage::Usage;

/// One engine in the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RegistryEntry {
    /// One of [`ENGINE_STATUSES`](crate::telemetry::metrics::ENGINE_STATUSES).
    pub status: Cow<'static, str>,
    /// Process of the engine; none when it is a thread, so that nobody kills the daemon by it.
    pub pid: Option<u32>,
    /// Seconds since it started.
    pub uptime: u64,
    /// Its last execution.
    #[serde(with = "stamp")]
    pub last_trade: Option<Ts>,
    /// Realised and unrealised profit of the symbol, account currency. A number that is not finite is written as `null`.
    #[serde(deserialize_with = "number_or_null")]
    pub pnl: f64,
    /// Counts the starts, from 1.
    pub generation: u64,
    /// How it is kept apart from the others.
    pub isolation: Isolation,
    /// Restarts after failures.
    pub restarts: u64,
    /// How it last ended, if it did.
    pub last_exit: Option<LastExit>,
    /// Close of the last bar it processed.
    #[serde(with = "stamp")]
    pub last_bar: Option<Ts>,
    /// Where it is in its life, in a word: `stopped starting ready backoff stopping quarantined`.
    pub state: Cow<'static, str>,
    /// Restarts after failures within the window that counts towards a quarantine.
    pub restarts_in_window: u64,
    /// Seconds until it is started again; none unless a backoff is waited for.
    pub next_retry_seconds: Option<f64>,
    /// Processor time of its process or thread, seconds; none while it does not run.
    pub cpu_seconds: Option<f64>,
    /// Share of one processor over the last second or so, percent.
    pub cpu_percent: Option<f64>,
    /// Proportional set size of its process, bytes.
    pub memory_bytes: Option<u64>,
    /// When its process started, ticks since the machine did: `pid` may have been given to another one since.
    pub start_ticks: Option<u64>,
    /// Ready time over scheduled time since the daemon began, 0 to 1; none before it was scheduled.
    pub availability: Option<f64>,
}

impl RegistryEntry {
    /// Takes over what was measured of it.
    pub(crate) const fn measured(&mut self, usage: &Usage) {
        self.cpu_seconds = Some(usage.cpu_seconds);
        self.cpu_percent = Some(usage.cpu_percent);
        self.memory_bytes = usage.memory_bytes;
        self.start_ticks = usage.start_ticks;
    }
}

/// How an engine is kept apart from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// A thread of the daemon.
    Thread,
    /// A process of its own.
    Process,
}

/// How an engine ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastExit {
    /// In words.
    pub cause: String,
    /// When, by the wall clock.
    #[serde(with = "stamp::one")]
    pub at: Ts,
}

fn number_or_null<'de, D: serde::Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(from)?.unwrap_or(f64::NAN))
}

/// Instants as text: `2025-10-14T12:30:00Z`.
mod stamp {
    use levibot_core::domain::Ts;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(ts: &Option<Ts>, to: S) -> Result<S::Ok, S::Error> {
        match ts {
            Some(ts) => to.collect_str(ts),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Ts>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|t| t.parse().map_err(de::Error::custom)).transpose()
    }

    pub(super) mod one {
        use super::{Deserialize, Deserializer, Serializer, Ts, de};

        pub(in super::super) fn serialize<S: Serializer>(ts: &Ts, to: S) -> Result<S::Ok, S::Error> {
            to.collect_str(ts)
        }

        pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Ts, D::Error> {
            String::deserialize(from)?.parse().map_err(de::Error::custom)
        }
    }
}

/// Why the registry was not written. The old file stands.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Its folder cannot be made.
    #[error("registry folder `{}` cannot be made: make its parent writable for this user", path.display())]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The file cannot be written or put in place.
    #[error("registry `{}` cannot be written: free space or make its folder writable for this user", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The entries cannot be JSON.
    #[error("registry `{}` cannot be encoded", path.display())]
    Encode {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
}

/// Writes the file. A reader sees the old file or the new one, never a part.
#[derive(Debug)]
pub struct Registry {
    path: PathBuf,
    writing: Mutex<()>,
}

impl Registry {
    /// A registry at this path, commonly `engine_registry/engine_registry.json`. Nothing is touched yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), writing: Mutex::new(()) }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the file: written beside it, synced, renamed over it. How often is the caller's choice.
    ///
    /// # Errors
    /// [`RegistryError`]; the old file stands then.
    pub fn write(&self, engines: &BTreeMap<Symbol, RegistryEntry>) -> Result<(), RegistryError> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let path = || self.path.clone();
        let mut json =
            serde_json::to_vec_pretty(engines).map_err(|source| RegistryError::Encode { path: path(), source })?;
        json.push(b'\n');
        let folder = match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(folder)
            .map_err(|source| RegistryError::Folder { path: folder.to_path_buf(), source })?;
        self.replace(folder, &json).map_err(|source| RegistryError::Write { path: path(), source })
    }

    fn replace(&self, folder: &Path, json: &[u8]) -> io::Result<()> {
        let mut name = self.path.file_name().unwrap_or_default().to_os_string();
        name.push(".tmp");
        let beside = folder.join(name);
        // Left by a crash, or laid there as a link: it goes, and a new file is made.
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).and_then(|mut file| {
            file.write_all(json)?;
            file.sync_all()
        });
        let placed = written.and_then(|()| fs::rename(&beside, &self.path));
        if placed.is_err() {
            let _ = fs::remove_file(&beside);
        }
        placed.and_then(|()| File::open(folder)?.sync_all())
    }
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    pub(crate) fn entry() -> RegistryEntry {
        RegistryEntry {
            status: "running".into(),
            pid: None,
            uptime: 3600,
            last_trade: Some("2025-10-14T12:30:00Z".parse().unwrap()),
            pnl: 150.0,
            generation: 1,
            isolation: Isolation::Thread,
            restarts: 0,
            last_exit: None,
            last_bar: None,
            state: "ready".into(),
            restarts_in_window: 0,
            next_retry_seconds: None,
            cpu_seconds: None,
            cpu_percent: None,
            memory_bytes: None,
            start_ticks: None,
            availability: Some(0.9995),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::samples::entry;
    use super::*;

    #[test]
    fn the_spec_s_keys_come_first() {
        let text = serde_json::to_string(&entry()).unwrap();
        let start = r#"{"status":"running","pid":null,"uptime":3600,"last_trade":"2025-10-14T12:30:00Z","pnl":150.0,"#;
        assert!(text.starts_with(start), "{text}");
    }

    fn engines(entry: RegistryEntry) -> BTreeMap<Symbol, RegistryEntry> {
        BTreeMap::from([("BTCUSDT".parse().unwrap(), entry)])
    }

    #[test]
    fn the_file_has_the_users_keys_and_ours() {
        let dir = tempfile::tempdir().unwrap();
        let registry = Registry::new(dir.path().join("engine_registry/engine_registry.json"));
        registry.write(&engines(entry())).unwrap();
        let read = || serde_json::from_slice::<serde_json::Value>(&fs::read(registry.path()).unwrap()).unwrap();
        let wanted = serde_json::json!({"BTCUSDT": {
            "status": "running", "pid": null, "uptime": 3600, "last_trade": "2025-10-14T12:30:00Z", "pnl": 150.0,
            "generation": 1, "isolation": "thread", "restarts": 0, "last_exit": null, "last_bar": null,
            "state": "ready", "restarts_in_window": 0, "next_retry_seconds": null, "cpu_seconds": null,
            "cpu_percent": null, "memory_bytes": null, "start_ticks": null, "availability": 0.9995,
        }});
        assert_eq!(read(), wanted);

        let at = "2025-10-14T12:31:00Z".parse().unwrap();
        let crashed = RegistryEntry {
            status: "crashed".into(),
            last_exit: Some(LastExit { cause: "panic: index".into(), at }),
            last_bar: Some(at),
            restarts: 2,
            ..entry()
        };
        registry.write(&engines(crashed.clone())).unwrap();
        assert_eq!(read()["BTCUSDT"]["last_exit"]["at"], "2025-10-14T12:31:00Z");
        let back: BTreeMap<Symbol, RegistryEntry> =
            serde_json::from_slice(&fs::read(registry.path()).unwrap()).unwrap();
        assert_eq!(back, engines(crashed));
    }

    #[test]
    fn only_the_owner_can_read_it_and_the_file_is_replaced_not_rewritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("engine_registry.json");
        let registry = Registry::new(&path);
        registry.write(&BTreeMap::new()).unwrap();
        let first = fs::metadata(&path).unwrap();
        let held = File::open(&path).unwrap();
        registry.write(&engines(entry())).unwrap();
        let second = fs::metadata(&path).unwrap();
        assert_eq!((first.permissions().mode() & 0o777, second.permissions().mode() & 0o777), (0o600, 0o600));
        assert_ne!(first.ino(), second.ino());
        assert_eq!(io::read_to_string(held).unwrap(), "{}\n", "who reads the old file reads it to its end");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_reader_never_sees_a_part() {
        let dir = tempfile::tempdir().unwrap();
        let registry = Registry::new(dir.path().join("engine_registry.json"));
        let many: BTreeMap<Symbol, _> = (0..200).map(|n| (format!("S{n}").parse().unwrap(), entry())).collect();
        registry.write(&many).unwrap();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 0..20 {
                    let few = engines(RegistryEntry { restarts: n, ..entry() });
                    registry.write(if n % 2 == 0 { &few } else { &many }).unwrap();
                }
                over.store(true, Ordering::Release);
            });
            while !over.load(Ordering::Acquire) {
                let read: BTreeMap<Symbol, RegistryEntry> =
                    serde_json::from_slice(&fs::read(registry.path()).unwrap()).unwrap();
                assert!(read.len() == 1 || read.len() == 200);
            }
        });
    }

    #[test]
    fn a_link_laid_in_the_way_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let victim = dir.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        let path = dir.path().join("engine_registry.json");
        std::os::unix::fs::symlink(&victim, dir.path().join("engine_registry.json.tmp")).unwrap();
        Registry::new(&path).write(&engines(entry())).unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    }

    #[test]
    fn a_number_that_is_none_is_null_and_the_old_file_outlives_a_failure() {
        let dir = tempfile::tempdir().unwrap();
        let registry = Registry::new(dir.path().join("engine_registry.json"));
        registry.write(&engines(RegistryEntry { pnl: f64::NAN, ..entry() })).unwrap();
        let text = fs::read_to_string(registry.path()).unwrap();
        assert!(text.contains(r#""pnl": null"#), "{text}");
        let back: BTreeMap<Symbol, RegistryEntry> = serde_json::from_str(&text).unwrap();
        assert!(back.values().all(|e| e.pnl.is_nan()));

        fs::create_dir(dir.path().join("engine_registry.json.tmp")).unwrap();
        let error = registry.write(&BTreeMap::new()).unwrap_err().to_string();
        assert!(error.contains("engine_registry.json") && error.contains("writable"), "{error}");
        assert_eq!(fs::read_to_string(registry.path()).unwrap(), text);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let registry = Registry::new(file.path().join("sub/engine_registry.json"));
        let error = registry.write(&BTreeMap::new()).unwrap_err().to_string();
        assert!(error.contains(&file.path().join("sub").display().to_string()), "{error}");
    }

    /// The schema beside the file and the code say the same.
    #[test]
    fn the_schema_names_every_key_and_status() {
        let schema: serde_json::Value =
            serde_json::from_str(include_str!("../engine_registry/registry.schema.json")).unwrap();
        let engine = &schema["additionalProperties"];
        let written = serde_json::to_value(entry()).unwrap();
        let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&engine["properties"]), keys(&written));
        let mut required: Vec<_> =
            engine["required"].as_array().unwrap().iter().map(|k| k.as_str().unwrap().to_owned()).collect();
        required.sort();
        assert_eq!(required, keys(&written));
        let statuses = serde_json::json!(crate::telemetry::metrics::ENGINE_STATUSES);
        assert_eq!(engine["properties"]["status"]["enum"], statuses);
    }
}
