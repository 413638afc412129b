//! The command line: one program for the daemon, for asking it, and for looking at its record.

#[path = "main_args.rs"]
mod args;
#[path = "main_client.rs"]
mod client;

use std::ffi::OsString;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use args::{AuditArgs, ParityArgs, TradesArgs, WhyArgs};
use clap::{Args, Parser, Subcommand};
use levibot::app::offline::{
    ParityRequest, TradesFilter, TradesForm, audit, collect, parity, replay_record, simulate, trades, why,
};
use levibot::app::{AppError, Purpose, RunRequest, run};
use levibot::cli::{self, CliError, ClientArgs, ClientCommand, RiskCommand, SimulateArgs};
use levibot::config::{Config, Overrides, PaceKey, StoreConfig, arguments, environment, model_binary, parse_to};
use levibot::engine_host;
use levibot::risk_manager::TRADING_TARGET;
use levibot::telemetry::{clock, logs};
use levibot_core::domain::{Span, Symbol, Ts};

/// A multi-engine trading daemon: one failure domain a symbol, one account, one record.
#[derive(Debug, Parser)]
#[command(name = "levibot", version, after_help = cli::AFTER_HELP)]
struct Cli {
    #[command(flatten)]
    client: ClientArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon until the market ends, the time is over, or Ctrl-C
    Run(RunArgs),
    /// Recompute an account from its journal and compare every figure; 0 when all is as it must be, 1 when not
    Audit(AuditArgs),
    /// Tell the whole story of one order, trade, decision or record: why it was, what it saw, what became of it
    Why(WhyArgs),
    /// List every round trip with its result; open positions come last
    Trades(TradesArgs),
    /// Run a record again from its tape and compare every decision and record; 0 when nothing differs, 1 when something does
    ReplayRecord(ReplayArgs),
    /// Run a recorded day through the backtester and show what differs, and why; 0 when nothing does, 1 when something does, 6
    /// when nothing that was compared does, but not all of the day was
    Parity(ParityArgs),
    /// Run a policy over prices of the past, once or with many parameters
    #[command(after_help = cli::AFTER_HELP)]
    Backtest(Box<cli::BacktestArgs>),
    /// Train a version of the fusion model
    #[command(disable_help_flag = true)]
    Train(ModelArgs),
    /// Train a new version and put it in use if it is better
    #[command(disable_help_flag = true)]
    Retrain(ModelArgs),
    /// Ask the model about one bar: members, weights, probability, quantiles
    #[command(disable_help_flag = true)]
    Predict(ModelArgs),
    /// Ask the model about the last bars of a symbol and compare with what came
    #[command(disable_help_flag = true)]
    FusionTest(ModelArgs),
    /// Write what the model says of every bar of a range to a file, as `backtest` does by itself
    #[command(disable_help_flag = true)]
    Forecasts(ModelArgs),
    /// Look at versions of the model and choose one
    #[command(disable_help_flag = true)]
    Model(ModelArgs),
    /// Write the simulated market's bars up to now as price files, for `retrain` to learn from; the daemon may run
    Collect(ReplayArgs),
    /// Try out the limits of the account
    #[command(subcommand)]
    Risk(RiskCommand),
    /// Drill a daemon: hit its engines on purpose and see that everything holds; 0 when it does, 1 when not
    #[cfg(feature = "fault-injection")]
    Chaos(cli::ChaosArgs),
    /// An engine process; the daemon alone starts one
    #[command(hide = true)]
    Engine(EngineArgs),
    #[command(flatten)]
    Client(ClientCommand),
}

/// What an engine process is told on the command line; all else comes over its socket.
#[derive(Debug, Args)]
struct EngineArgs {
    /// What it trades
    #[arg(long)]
    symbol: Symbol,
    /// Which of its engines it is
    #[arg(long)]
    generation: u64,
    /// The process of the daemon
    #[arg(long)]
    daemon: u32,
}

/// What is handed over to levibot-model as it is.
#[derive(Debug, Args)]
struct ModelArgs {
    /// Options of levibot-model; --help shows them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

#[derive(Debug, Args)]
struct RunArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// End so long after the daemon is ready, such as 90s, 2m or 1h
    #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration)]
    limit: Option<Duration>,
    /// Where the status API listens; turns it on
    #[arg(long, value_name = "ADDRESS:PORT")]
    http_bind: Option<SocketAddr>,
    /// Let the status API listen beyond this machine, although it has no log-in
    #[arg(long)]
    allow_non_loopback: bool,
    /// Ask the model about bars that it has learnt from too; what it earns there means nothing
    #[arg(long)]
    in_sample: bool,
}

#[derive(Debug, Args)]
struct ReplayArgs {
    #[command(flatten)]
    source: SourceArgs,
}

/// What decides the outcome of a run.
#[derive(Debug, Args)]
struct SourceArgs {
    /// The configuration; without it the embedded default, a simulated market with paper money
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Trade these symbols only
    #[arg(long, value_name = "A,B,C", value_delimiter = ',')]
    symbols: Option<Vec<Symbol>>,
    /// A price file (CSV, plain or gzip) or a folder of them
    #[arg(long, value_name = "FILE|DIR")]
    data: Option<PathBuf>,
    /// Trade bars that open at or after this time (UTC); earlier ones warm the engines up
    #[arg(long, value_name = "TIME")]
    from: Option<Ts>,
    /// Trade bars that close at or before this time (UTC); a date alone means the end of that day
    #[arg(long, value_name = "TIME", value_parser = parse_to)]
    to: Option<Ts>,
    /// Trade every symbol by this strategy file
    #[arg(long, value_name = "FILE")]
    strategy: Option<PathBuf>,
}

impl SourceArgs {
    fn overrides(&self, data_dir: Option<PathBuf>) -> Overrides {
        Overrides {
            symbols: self.symbols.clone(),
            data_dir,
            data: self.data.clone(),
            from: self.from,
            to: self.to,
            strategy: self.strategy.clone(),
            ..Overrides::default()
        }
    }

    fn load(&self, overrides: &Overrides) -> Result<Config, AppError> {
        load(self.config.as_deref(), overrides)
    }
}

fn main() -> ExitCode {
    // The first look at the clock is the origin of monotonic time.
    clock::monotonic_now();
    let args = arguments();
    if cli::is_for_model(&args) {
        return ExitCode::from(ask_model(&args));
    }
    let cli = Cli::parse();
    let code = match &cli.command {
        Command::Run(args) => run_daemon(args, &cli.client),
        Command::Audit(args) => run_audit(args, &cli.client),
        Command::Why(args) => run_why(args, &cli.client),
        Command::Trades(args) => run_trades(args, &cli.client),
        Command::ReplayRecord(args) => run_again(args, &cli.client),
        Command::Parity(args) => run_parity(args, &cli.client),
        Command::Collect(args) => run_collect(args, &cli.client),
        Command::Backtest(args) => run_backtest(args, &cli.client),
        Command::Train(ModelArgs { args })
        | Command::Retrain(ModelArgs { args })
        | Command::Predict(ModelArgs { args })
        | Command::FusionTest(ModelArgs { args })
        | Command::Forecasts(ModelArgs { args })
        | Command::Model(ModelArgs { args }) => {
            let options = args.iter().map(|arg| arg.to_string_lossy()).collect::<Vec<_>>().join(" ");
            let _ = writeln!(
                std::io::stderr(),
                "levibot: a command of the model stands first, its options after it: {options}"
            );
            2
        }
        #[cfg(feature = "fault-injection")]
        Command::Chaos(args) => drill(args, &cli.client),
        Command::Risk(RiskCommand::Simulate(args)) => run_simulation(args, &cli.client),
        Command::Risk(RiskCommand::TestStop(args)) => {
            ended(cli::run_stop_test(args, &cli.client, &mut std::io::stdout()))
        }
        Command::Engine(args) => run_engine(args),
        Command::Client(command) => client::ask(command, &cli.client),
    };
    ExitCode::from(code)
}

fn run_daemon(args: &RunArgs, client: &ClientArgs) -> u8 {
    let overrides = Overrides {
        http_bind: args.http_bind,
        allow_non_loopback: args.allow_non_loopback,
        in_sample: args.in_sample,
        ..args.source.overrides(client.data_dir.clone())
    };
    let config = match args.source.load(&overrides) {
        Ok(config) => config,
        Err(error) => return fail(&error),
    };
    let named = args.source.config.is_some();
    let guard = match log(&config) {
        Ok(guard) => guard,
        Err(error) => return fail(&error),
    };
    let result = run(RunRequest { config, overrides, named, limit: args.limit, purpose: Purpose::Trade });
    // The log's last lines come before the summary.
    drop(guard);
    match result {
        Ok(summary) => {
            say(&if client.json { format!("{:#}", summary.json()) } else { summary.to_string() });
            u8::from(summary.closed.failure.is_some())
        }
        Err(error) => fail(&error),
    }
}

/// Begins the log that the configuration wants.
fn log(config: &Config) -> Result<logs::LogGuard, AppError> {
    let settings = logs::LogSettings {
        level: config.logs.level.clone(),
        dir: Some(config.logs.dir.clone()),
        keep_days: config.logs.keep_days,
        lines_per_second: config.logs.lines_per_second,
        file_mb_max: config.logs.file_mb_max,
        hidden_on_stderr: (config.run.pace == PaceKey::Lockstep).then_some(TRADING_TARGET),
    };
    logs::init(&settings).map_err(AppError::Logs)
}

fn run_engine(args: &EngineArgs) -> u8 {
    match engine_host::child::run(args.symbol, args.generation, args.daemon) {
        Ok(()) => 0,
        Err(error) => {
            complain(&error);
            1
        }
    }
}

fn run_audit(args: &AuditArgs, client: &ClientArgs) -> u8 {
    let file = args.config.as_deref();
    let store = file.map_or(Ok(StoreConfig::InDataDir), |file| Ok(load(Some(file), &Overrides::default())?.store));
    match store.and_then(|store| audit(&client.folder(), &store)) {
        Ok(outcome) => {
            say(&if client.json { format!("{:#}", outcome.json()) } else { outcome.to_string() });
            outcome.exit_code()
        }
        Err(error) => fail(&error),
    }
}

fn run_why(args: &WhyArgs, client: &ClientArgs) -> u8 {
    match why(&client.folder(), &args.what) {
        Ok(story) => {
            say(&if client.json {
                serde_json::to_string_pretty(&story).unwrap_or_default()
            } else {
                story.to_string()
            });
            0
        }
        Err(error) => fail(&error),
    }
}

fn run_trades(args: &TradesArgs, client: &ClientArgs) -> u8 {
    let form = match (args.csv, client.json) {
        (true, _) => TradesForm::Csv,
        (false, true) => TradesForm::Json,
        (false, false) => TradesForm::Table,
    };
    let filter = TradesFilter { symbol: args.symbol, from: args.from, to: args.to };
    match trades(&client.folder(), &filter, form, &mut std::io::stdout()) {
        Ok(_) => 0,
        Err(error) => fail(&error),
    }
}

fn run_again(args: &ReplayArgs, client: &ClientArgs) -> u8 {
    let config = match args.source.load(&args.source.overrides(None)) {
        Ok(config) => config,
        Err(error) => return fail(&error),
    };
    match replay_record(&config, &client.folder()) {
        Ok(outcome) => {
            let json = serde_json::to_string_pretty(&outcome).unwrap_or_default();
            say(&if client.json { json } else { outcome.to_string() });
            u8::from(outcome.different > 0)
        }
        Err(error) => fail(&error),
    }
}

fn run_parity(args: &ParityArgs, client: &ClientArgs) -> u8 {
    let ParityArgs { day, fee, spread, slippage, latency, participation, .. } = *args;
    let latency = latency.map(|length| Span::from_nanos(i64::try_from(length.as_nanos()).unwrap_or(i64::MAX)));
    let request = ParityRequest { day, fee, spread, slippage, latency, participation };
    let config = load(args.config.as_deref(), &Overrides::default());
    match config.and_then(|config| parity(&config, &client.folder(), &request)) {
        Ok(outcome) => {
            let json = serde_json::to_string_pretty(&outcome).unwrap_or_default();
            say(&if client.json { json } else { outcome.to_string() });
            outcome.exit_code()
        }
        Err(error) => fail(&error),
    }
}

fn run_collect(args: &ReplayArgs, client: &ClientArgs) -> u8 {
    let collected =
        args.source.load(&args.source.overrides(client.data_dir.clone())).and_then(|config| collect(&config));
    match collected {
        Ok(outcome) => {
            let json = serde_json::to_string_pretty(&outcome).unwrap_or_default();
            say(&if client.json { json } else { outcome.to_string() });
            0
        }
        Err(error) => fail(&error),
    }
}

#[cfg(feature = "fault-injection")]
fn drill(args: &cli::ChaosArgs, client: &ClientArgs) -> u8 {
    use levibot::chaos::{self, ChaosError};
    let outcome = drill_request(args, client).and_then(|request| chaos::run(&request));
    match outcome {
        Ok(outcome) => {
            say(&if client.json { format!("{:#}", outcome.json().unwrap_or_default()) } else { outcome.to_string() });
            u8::from(!outcome.holds())
        }
        Err(error) => {
            complain(&error as &ChaosError);
            error.exit_code()
        }
    }
}

#[cfg(feature = "fault-injection")]
fn drill_request(
    args: &cli::ChaosArgs,
    client: &ClientArgs,
) -> Result<levibot::chaos::Request, levibot::chaos::ChaosError> {
    use levibot::chaos::{ChaosError, Own, Request, What, blow};
    let blows = args.faults.iter().map(|text| blow(text).map_err(ChaosError::Usage)).collect::<Result<_, _>>()?;
    // A daemon of one's own has its data below the folder.
    let data_dir = client.data_dir.clone().filter(|_| !args.own);
    let overrides = Overrides { data_dir, ..Overrides::default() };
    let config = match &args.config {
        Some(file) => Config::load(file, &overrides, &environment())?,
        None => Config::load_default(&overrides, &environment())?,
    };
    let own = |dir: Option<PathBuf>| -> Result<Own, ChaosError> {
        let dir = dir.ok_or_else(|| ChaosError::Usage("--own needs a new folder: name it with --data-dir".into()))?;
        Ok(Own { dir, engines: args.engines, isolation: args.isolation.clone(), daemon_kills: args.daemon_kills })
    };
    Ok(Request {
        config,
        named: args.config.is_some(),
        what: match args.kills {
            Some(count) => What::Kills(count),
            None if args.load => What::Load,
            None => What::Storm,
        },
        seed: args.seed,
        length: args.length,
        blows,
        per_minute: args.per_minute,
        bursts: args.bursts,
        own: if args.own { Some(own(client.data_dir.clone())?) } else { None },
    })
}

fn run_simulation(args: &SimulateArgs, client: &ClientArgs) -> u8 {
    let rows = load(args.config.as_deref(), &Overrides::default())
        .and_then(|config| simulate(&config, args.symbols, args.equity, args.seed));
    match rows {
        Ok(rows) => {
            say(cli::show_simulation(&rows, client.json).trim_end());
            0
        }
        Err(error) => fail(&error),
    }
}

fn run_backtest(args: &cli::BacktestArgs, client: &ClientArgs) -> u8 {
    let note = |text: &str| {
        let _ = writeln!(std::io::stderr(), "{text}");
    };
    cli::run_backtest(args, client, &mut std::io::stdout(), note).unwrap_or_else(|error| {
        complain(&error);
        error.exit_code()
    })
}

fn ended(outcome: Result<(), CliError>) -> u8 {
    match outcome {
        Ok(()) => 0,
        Err(error) => {
            complain(&error);
            error.exit_code()
        }
    }
}

/// The configuration of a file, or the embedded default.
fn load(file: Option<&Path>, overrides: &Overrides) -> Result<Config, AppError> {
    Ok(match file {
        Some(file) => Config::load(file, overrides, &environment())?,
        None => Config::load_default(overrides, &environment())?,
    })
}

/// Becomes the program of the model; comes back only when that fails.
fn ask_model(args: &[OsString]) -> u8 {
    let binary = match model_binary(&environment()) {
        Ok(binary) => binary,
        Err(error) => return fail(&AppError::Config(error)),
    };
    complain(&cli::hand_over(&binary, args));
    1
}

fn say(text: &str) {
    // Whoever reads may have gone away: that is no failure of ours.
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn complain(error: &dyn std::error::Error) {
    let mut text = format!("levibot: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}\n  because: {error}");
        cause = error.source();
    }
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn fail(error: &AppError) -> u8 {
    complain(error);
    error.exit_code()
}
