//! A folder of its own for each test, with a configuration in it, and the binary that runs there.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

/// Longer than anything here takes, on a machine that has other work too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// What is traded unless a test says otherwise.
pub(crate) const SYMBOLS: [&str; 4] = ["BTCUSDT", "ETHUSDT", "LINKUSDT", "SOLUSDT"];

/// The root of the workspace, in which tests of this package are run. Looked up then: a build may be shared by several
/// checkouts.
pub(crate) fn workspace() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| std::path::absolute(".").unwrap())
}

/// Looks until `look` finds something; ends the test, naming `what`, when it does not in time.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited {PATIENCE:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// An address of this machine that nobody used a moment ago.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: ExitStatus,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Outcome {
    /// Its exit code; ends the test when a signal killed it.
    pub(crate) fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("killed by signal {:?}: {}", self.status.signal(), self.err))
    }

    /// Ends the test unless the exit code is `code`; gives standard output.
    #[track_caller]
    pub(crate) fn ended_with(&self, code: i32) -> &str {
        assert_eq!(self.code(), code, "standard output:\n{}\nstandard error:\n{}", self.out, self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
        &self.out
    }

    /// Ends the test unless the exit code is `code` and standard error says all of `words`.
    #[track_caller]
    pub(crate) fn refused_with(&self, code: i32, words: &[&str]) {
        self.ended_with(code);
        for word in words {
            assert!(self.err.contains(word), "`{word}` is missing in:\n{}", self.err);
        }
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e} in:\n{}\n{}", self.out, self.err))
    }
}

/// A folder with everything that a daemon reads and writes. Removed when dropped.
#[derive(Debug)]
pub(crate) struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    /// The default configuration, with its own folders, a quick market and no port that others may use.
    pub(crate) fn simulated(speed: f64) -> Self {
        let home = Self::derived("config/levibot.toml");
        home.configure(|config| {
            config["market"]["symbols"] = SYMBOLS.map(toml::Value::from).to_vec().into();
            let prices = config["market"]["simulator"]["prices"].as_table_mut().unwrap();
            prices.retain(|symbol, _| SYMBOLS.contains(&symbol));
            config["http"]["bind"] = "127.0.0.1:0".into();
            // Short bars, so that a test sees many of them.
            config["market"]["timeframe"] = "1m".into();
            config["market"]["simulator"]["quote_every"] = "5s".into();
            // Two months of minutes would be walked before each start.
            config["market"]["simulator"]["history"] = "0s".into();
        });
        home.set_speed(speed);
        home
    }

    /// The replay of price files in the folder `prices`.
    pub(crate) fn replay() -> Self {
        let home = Self::derived("config/replay.toml");
        fs::create_dir(home.path("prices")).unwrap();
        home
    }

    fn derived(example: &str) -> Self {
        let home = Self { dir: tempfile::tempdir().unwrap() };
        for (name, policy) in [("risk.yaml", "risk.yaml"), ("ema_cross.yaml", "strategies/ema_cross_guarded.yaml")] {
            home.write(name, &fs::read_to_string(workspace().join("policies").join(policy)).unwrap());
        }
        // A bad day on purpose far away: no test is about it unless it says so.
        home.edit("risk.yaml", "max_daily_loss_pct: 3.0", "max_daily_loss_pct: 50.0");
        home.write("levibot.toml", &fs::read_to_string(workspace().join(example)).unwrap());
        home.configure(|config| {
            let text = |path: PathBuf| toml::Value::from(path.display().to_string());
            config["run"]["data_dir"] = text(home.data());
            config["account"]["risk"] = text(home.path("risk.yaml"));
            config["market"]["instruments"] = text(workspace().join("config/symbols/binance.toml"));
            config["strategy"]["default"] = text(home.path("ema_cross.yaml"));
            config["model"]["dir"] = text(home.path("models"));
            config["model"]["ensemble"] = text(workspace().join("config/ensemble.yaml"));
            config["model"]["training"] = text(workspace().join("config/training-quick.toml"));
            config["logs"]["dir"] = text(home.path("logs"));
            config["registry"]["path"] = text(home.path("registry.json"));
        });
        home
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path("levibot.toml")
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Writes a file as editors do, so that nobody reads half of it: beside its place, then it takes the name.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let (place, beside) = (self.path(name), self.path(".beside"));
        fs::write(&beside, text).unwrap();
        fs::rename(&beside, place).unwrap();
    }

    /// Replaces `from`, which must be there, by `to` in a file.
    pub(crate) fn edit(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert!(text.contains(from), "`{from}` is not in {name}");
        self.write(name, &text.replacen(from, to, 1));
    }

    /// Changes the configuration.
    pub(crate) fn configure(&self, change: impl FnOnce(&mut toml::Table)) {
        let mut table: toml::Table = self.read("levibot.toml").parse().unwrap();
        change(&mut table);
        self.write("levibot.toml", &table.to_string());
    }

    pub(crate) fn set_speed(&self, speed: f64) {
        self.configure(|config| config["market"]["simulator"]["speed"] = speed.into());
    }

    /// Trades these symbols from the next start or reload on.
    pub(crate) fn trade(&self, symbols: &[&str]) {
        let shipped: toml::Table =
            fs::read_to_string(workspace().join("config/levibot.toml")).unwrap().parse().unwrap();
        self.configure(|config| {
            config["market"]["symbols"] =
                symbols.iter().map(|symbol| toml::Value::from(*symbol)).collect::<Vec<_>>().into();
            let prices = config["market"]["simulator"]["prices"].as_table_mut().unwrap();
            prices.clear();
            for symbol in symbols {
                let price = &shipped["market"]["simulator"]["prices"][*symbol];
                prices.insert((*symbol).to_owned(), price.clone());
            }
        });
    }

    /// Whether changed files are taken over by themselves.
    pub(crate) fn set_watch(&self, watch: bool) {
        self.configure(|config| config["run"]["watch"] = watch.into());
    }

    fn command(&self, args: &[&str]) -> Command {
        self.prepared(Command::new(env!("CARGO_BIN_EXE_levibot")), args)
    }

    /// In the folder, with nothing of this process's own variables that would count.
    fn prepared(&self, mut command: Command, args: &[&str]) -> Command {
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("LEVIBOT_") {
                command.env_remove(name);
            }
        }
        command.current_dir(self.dir.path()).args(args).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end, within [`PATIENCE`].
    pub(crate) fn levibot(&self, args: &[&str]) -> Outcome {
        self.start(args).wait()
    }

    /// The same with variables of the environment.
    pub(crate) fn levibot_with(&self, args: &[&str], vars: &[(&str, &str)]) -> Outcome {
        self.start_with(args, vars).wait()
    }

    /// A command about the data folder.
    pub(crate) fn ask(&self, args: &[&str]) -> Outcome {
        let data = self.data();
        self.levibot(&[args, &["--data-dir", data.to_str().unwrap()]].concat())
    }

    /// The same, as JSON; it must succeed.
    #[track_caller]
    pub(crate) fn ask_json(&self, args: &[&str]) -> Value {
        let outcome = self.ask(&[args, &["--json"]].concat());
        outcome.ended_with(0);
        outcome.json()
    }

    /// `levibot run` with the configuration of this folder.
    pub(crate) fn run(&self, args: &[&str]) -> Daemon<'_> {
        let config = self.config();
        self.start(&[&["run", "--config", config.to_str().unwrap()], args].concat())
    }

    /// The same after a line of shell in the same process, such as `ulimit -n 100`.
    pub(crate) fn run_under(&self, line: &str, args: &[&str]) -> Daemon<'_> {
        let config = self.config();
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{line} && exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_levibot")]);
        self.spawn(self.prepared(shell, &[&["run", "--config", config.to_str().unwrap()], args].concat()))
    }

    /// A command that goes on beside the test.
    pub(crate) fn start(&self, args: &[&str]) -> Daemon<'_> {
        self.start_with(args, &[])
    }

    fn start_with(&self, args: &[&str], vars: &[(&str, &str)]) -> Daemon<'_> {
        let mut command = self.command(args);
        command.envs(vars.iter().copied());
        self.spawn(command)
    }

    fn spawn(&self, mut command: Command) -> Daemon<'_> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let [out, err] = ["out", "err"].map(|name| self.path(&format!("{name}.{number}")));
        command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
        let child = command.spawn().unwrap();
        Daemon { home: self, child, out, err }
    }
}

/// A program that runs. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Daemon<'a> {
    home: &'a Home,
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Daemon<'_> {
    /// What it has said on standard error.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.err).unwrap()
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until every engine has been ready.
    #[track_caller]
    pub(crate) fn ready(&mut self) -> Value {
        eventually("the daemon is ready", || {
            assert!(!self.is_over(), "it ended: {}", self.log());
            let status = self.home.ask(&["status", "--json"]);
            (status.code() == 0).then(|| status.json()).filter(|status| status["ready"] == true)
        })
    }

    /// Where its status API listens.
    pub(crate) fn http(&self) -> SocketAddr {
        eventually("the status API listens", || {
            let log = self.log();
            let (_, rest) = log.split_once("status at http://")?;
            rest.split_once('/')?.0.parse().ok()
        })
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGINT, as Ctrl-C sends it.
    pub(crate) fn interrupt(&self) {
        self.signal(Signal::SIGINT);
    }

    /// SIGHUP.
    pub(crate) fn hang_up(&self) {
        self.signal(Signal::SIGHUP);
    }

    /// Any signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).unwrap();
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(mut self) -> Outcome {
        let status = eventually("the program ends", || self.child.try_wait().unwrap());
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        Outcome { status, out: read(&self.out), err: read(&self.err) }
    }

    /// Ctrl-C, and its end.
    #[track_caller]
    pub(crate) fn stop(self) -> Outcome {
        self.interrupt();
        self.wait()
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        // It has usually ended; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
