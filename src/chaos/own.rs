//! A daemon of a storm's own: its folder, its configuration, its lives and deaths.

use std::fs::{self, DirBuilder, File};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{ChaosError, Own, Request, io, made_up};
use crate::config::{Config, Overrides, embedded};
use crate::journal::JOURNAL_FILE;

/// This program.
const SELF: &str = "/proc/self/exe";
/// How long a daemon may take to end in order.
const END_PATIENCE: Duration = Duration::from_secs(30);
/// The files that the default configuration names.
const FILES: [&str; 3] =
    ["config/symbols/binance.toml", "policies/risk.yaml", "policies/strategies/ema_cross_guarded.yaml"];
/// Of a made-up pair, and of one whose price is not in the default configuration.
const PRICE: f64 = 10.0;

/// See the module.
#[derive(Debug)]
pub(super) struct OwnDaemon {
    config_file: PathBuf,
    /// Its configuration, as it reads it.
    pub(super) config: Config,
    dir: PathBuf,
    child: Option<Child>,
    starts: u32,
}

impl OwnDaemon {
    /// Writes the configuration of a daemon into its new folder. It does not run yet.
    pub(super) fn prepare(request: &Request, own: &Own) -> Result<Self, ChaosError> {
        let dir = &own.dir;
        if dir.join("data").join(JOURNAL_FILE).exists() || dir.join("levibot.toml").exists() {
            let text = format!("{} is of an earlier storm: name another folder with --data-dir", dir.display());
            return Err(ChaosError::Usage(text));
        }
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io(format!("make {}", dir.display())))?;
        let dir = fs::canonicalize(dir).map_err(io(format!("find {}", dir.display())))?;
        let table = table(request, own, &dir)?;
        let config_file = dir.join("levibot.toml");
        fs::write(&config_file, table.to_string()).map_err(io(format!("write {}", config_file.display())))?;
        let environment = crate::config::environment();
        let config = Config::load(&config_file, &Overrides::default(), &environment)?;
        Ok(Self { config_file, config, dir, child: None, starts: 0 })
    }

    /// Starts it; it is not ready yet.
    pub(super) fn start(&mut self) -> Result<(), ChaosError> {
        self.starts += 1;
        let (out, err) = (self.file("out")?, self.file("err")?);
        let mut command = Command::new(SELF);
        command.arg0("levibot").arg("run").arg("--config").arg(&self.config_file);
        // Ctrl-C on the terminal is for the storm, which ends its daemon in order.
        // What a panic of a thread reads to draw its backtrace stays in memory for ever, and is no leak.
        command.env_remove("RUST_BACKTRACE");
        command.process_group(0).stdin(Stdio::null()).stdout(out).stderr(err);
        self.child = Some(command.spawn().map_err(io("start a daemon"))?);
        Ok(())
    }

    fn file(&self, name: &str) -> Result<File, ChaosError> {
        let path = self.dir.join(format!("{name}.{}", self.starts));
        File::create(&path).map_err(io(format!("write {}", path.display())))
    }

    /// Its process.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Whether it has ended by itself: what it said last.
    pub(super) fn is_over(&mut self) -> Option<String> {
        let status = self.child.as_mut()?.try_wait().ok()??;
        let said = fs::read_to_string(self.dir.join(format!("err.{}", self.starts))).unwrap_or_default();
        let last: Vec<&str> = said.lines().rev().take(5).collect();
        Some(format!("it ended ({status}): {}", last.into_iter().rev().collect::<Vec<_>>().join(" | ")))
    }

    /// SIGKILL, and its number is free again.
    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Ends it as Ctrl-C would.
    pub(super) fn stop(&mut self) -> Result<(), String> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let pid = i32::try_from(child.id()).map_err(|error| error.to_string())?;
        kill(Pid::from_raw(pid), Signal::SIGINT).map_err(|error| error.to_string())?;
        let end = Instant::now() + END_PATIENCE;
        while Instant::now() < end {
            if let Ok(Some(status)) = child.try_wait() {
                return if status.success() { Ok(()) } else { Err(format!("it ended with {status}")) };
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = child.kill();
        let _ = child.wait();
        Err(format!("it did not end within {END_PATIENCE:?}"))
    }
}

impl Drop for OwnDaemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An address of this machine that nobody uses now.
fn free_address() -> Result<SocketAddr, ChaosError> {
    let found = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    found.map_err(io("find a free port"))
}

fn text(path: &Path) -> toml::Value {
    path.display().to_string().into()
}

/// The table `path` of a configuration, made where it is not.
fn part<'a>(of: &'a mut toml::Table, path: &[&str]) -> Result<&'a mut toml::Table, ChaosError> {
    let mut table = of;
    for key in path {
        let value = table.entry((*key).to_owned()).or_insert_with(|| toml::Table::new().into());
        table = value.as_table_mut().ok_or_else(|| ChaosError::Usage(format!("`{key}` is no table")))?;
    }
    Ok(table)
}

fn parsed(text: &str, what: &str) -> Result<toml::Table, ChaosError> {
    text.parse().map_err(|error| ChaosError::Usage(format!("{what}: {error}")))
}

fn default_file(path: &str) -> Result<&'static str, ChaosError> {
    embedded(path).ok_or_else(|| ChaosError::Usage(format!("{path} is not in this program")))
}

fn table(request: &Request, own: &Own, dir: &Path) -> Result<toml::Table, ChaosError> {
    let mut table = if request.named {
        let file = &request.config.file;
        let read = fs::read_to_string(file).map_err(io(format!("read {}", file.display())))?;
        parsed(&read, &file.display().to_string())?
    } else {
        made_for_storms(own, dir)?
    };
    part(&mut table, &["run"])?.insert("data_dir".into(), text(&dir.join("data")));
    part(&mut table, &["logs"])?.insert("dir".into(), text(&dir.join("logs")));
    part(&mut table, &["registry"])?.insert("path".into(), text(&dir.join("registry.json")));
    let http = part(&mut table, &["http"])?;
    http.insert("enabled".into(), true.into());
    http.insert("bind".into(), free_address()?.to_string().into());
    if let Some(isolation) = &own.isolation {
        part(&mut table, &["supervisor"])?.insert("isolation".into(), isolation.clone().into());
    }
    Ok(table)
}

/// A market with a bar a second, a rule that needs no model, and limits that a bad day does not reach.
fn made_for_storms(own: &Own, dir: &Path) -> Result<toml::Table, ChaosError> {
    let mut table = parsed(default_file("config/levibot.toml")?, "the default configuration")?;
    // The rule asks no model.
    table.remove("model");
    let [instruments, risk, strategy] = FILES;
    let mut rules = parsed(default_file(instruments)?, instruments)?;
    let mut symbols: Vec<String> = rules.keys().take(own.engines).cloned().collect();
    for symbol in made_up(own.engines.saturating_sub(symbols.len())) {
        let base = symbol.as_str().trim_end_matches("USDT");
        let rule = format!(
            "base = \"{base}\"\nquote = \"USDT\"\ntick = \"0.001\"\nstep = \"0.01\"\nmin_qty = \"0.01\"\nmin_notional = \"5\""
        );
        rules.insert(symbol.to_string(), parsed(&rule, instruments)?.into());
        symbols.push(symbol.to_string());
    }
    let risk_text = default_file(risk)?.replacen("max_daily_loss_pct: 3.0", "max_daily_loss_pct: 50.0", 1);
    let written = [
        ("instruments.toml", rules.to_string()),
        ("risk.yaml", risk_text),
        ("strategy.yaml", default_file(strategy)?.to_owned()),
    ];
    for (name, text) in written {
        fs::write(dir.join(name), text).map_err(io(format!("write {name}")))?;
    }
    let prices = part(&mut table, &["market", "simulator", "prices"])?;
    let known = std::mem::take(prices);
    for symbol in &symbols {
        let price = known.get(symbol).cloned().unwrap_or_else(|| PRICE.into());
        prices.insert(symbol.clone(), price);
    }
    let market = part(&mut table, &["market"])?;
    market.insert("timeframe".into(), "1m".into());
    market.insert("symbols".into(), symbols.into());
    market.insert("instruments".into(), text(&dir.join("instruments.toml")));
    let simulator = part(&mut table, &["market", "simulator"])?;
    for (key, value) in [("quote_every", "5s"), ("history", "0s")] {
        simulator.insert(key.into(), value.into());
    }
    simulator.insert("speed".into(), 60.0.into());
    part(&mut table, &["account"])?.insert("risk".into(), text(&dir.join("risk.yaml")));
    part(&mut table, &["strategy"])?.insert("default".into(), text(&dir.join("strategy.yaml")));
    Ok(table)
}
