//! Options of `levibot backtest`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use levibot_core::domain::{AccountKind, ModelVersion, Money, Span, Symbol, Timeframe, Ts};

use crate::backtest::{
    AccountRequest, Axis, CostRequest, FundingRequest, ModelRequest, Objective, Request, Walk, parse_set,
};

/// Runs a policy over prices of the past.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct BacktestArgs {
    /// A price file (CSV, plain or gzip) or a folder of them, named like BTCUSDT.csv.gz
    #[arg(long, value_name = "FILE|DIR")]
    data: PathBuf,
    /// Trade these symbols only; without it all that are found
    #[arg(long, value_name = "A,B,C", value_delimiter = ',')]
    symbols: Option<Vec<Symbol>>,
    /// Trade bars that open at or after this time (UTC); earlier ones warm up
    #[arg(long, value_name = "TIME")]
    from: Option<Ts>,
    /// Trade bars that close at or before this time (UTC); a date alone means the end of that day
    #[arg(long, value_name = "TIME", value_parser = Ts::parse_end)]
    to: Option<Ts>,
    /// Length of the bars, a multiple of that of the files, such as 15m; only whole bars are made
    #[arg(long, value_name = "LENGTH")]
    timeframe: Option<Timeframe>,
    /// The policy of every symbol
    #[arg(long, value_name = "FILE", required_unless_present = "config")]
    policy: Option<PathBuf>,
    /// Set a parameter of the policy; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_set)]
    set: Vec<(String, f64)>,
    /// Take account, limits, costs, trading rules and policies from this configuration; options override it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of versions of the fusion model, for a policy that asks it; without it that of the configuration
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Ask this version; without it that of the configuration, or the one in use
    #[arg(long, value_name = "VERSION")]
    version: Option<ModelVersion>,
    /// Ask the model also about bars that it has learnt from; the result says so
    #[arg(long)]
    in_sample: bool,
    /// Limits of the account; without it and without a configuration, none bind a policy that states its own sizes
    #[arg(long, value_name = "FILE")]
    risk: Option<PathBuf>,
    /// What kind of account trades [default: linear]
    #[arg(long, value_enum)]
    kind: Option<KindArg>,
    /// Cash in the beginning [default: 10000]
    #[arg(long, value_name = "AMOUNT")]
    cash: Option<Money>,
    /// Fee of a side, a fraction of what is traded [default: 0.0005]
    #[arg(long, value_name = "FRACTION", allow_negative_numbers = true)]
    fee: Option<f64>,
    /// Ask less bid, a fraction of the price [default: 0]
    #[arg(long, value_name = "FRACTION", allow_negative_numbers = true)]
    spread: Option<f64>,
    /// Mean slippage, a fraction of the price [default: 0]
    #[arg(long, value_name = "FRACTION", allow_negative_numbers = true)]
    slippage: Option<f64>,
    /// Mean time from sending an order to its being live, such as 50ms [default: 0ms]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    latency: Option<Duration>,
    /// Share of a bar's volume that one order may take, over 0 and up to 1 [default: 1]
    #[arg(long, value_name = "SHARE")]
    participation: Option<f64>,
    /// What a long linear position pays every 8 hours, a fraction of its value; or a file or folder of the venue's rates
    /// [default: 0]
    #[arg(long, value_name = "RATE|FILE|DIR", allow_negative_numbers = true)]
    funding: Option<FundingRequest>,
    /// Try values of a parameter; several make a grid
    #[arg(long, value_name = "NAME=FIRST:LAST:STEP|NAME=A,B,C")]
    sweep: Vec<Axis>,
    /// Try so many points of the grid, drawn by the seed
    #[arg(long, value_name = "N", requires = "sweep")]
    sweep_random: Option<u32>,
    /// Choose parameters on each span of TRAIN and run them on the TEST that follows, such as 180d/30d; what is held at the end of a
    /// test is left there, with its costs
    #[arg(long, value_name = "TRAIN/TEST", requires = "sweep")]
    walk_forward: Option<Walk>,
    /// What is left out between the two [default: 1d]
    #[arg(long, value_name = "DURATION", requires = "walk_forward", value_parser = humantime::parse_duration)]
    embargo: Option<Duration>,
    /// What makes parameters better than others: sharpe, net_pnl or calmar
    #[arg(long, value_name = "NAME", default_value_t)]
    objective: Objective,
    /// Seed of every draw [default: 42]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Threads that work at once, 1 to 1024; the result is the same with any number [default: as many as the machine has]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Folder of the result; without it nothing is written
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write the numbers to --out, and no report
    #[arg(long, requires = "out")]
    no_report: bool,
    /// Say nothing but the result
    #[arg(long)]
    pub(super) quiet: bool,
}

/// What kind of account trades.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum KindArg {
    /// Derivatives quoted in the account's currency: long and short
    Linear,
    /// Assets are bought and sold: long only
    Spot,
}

fn span(length: Duration) -> Span {
    Span::from_nanos(i64::try_from(length.as_nanos()).unwrap_or(i64::MAX))
}

impl BacktestArgs {
    /// What is asked for.
    pub fn request(&self) -> Request {
        let args = self.clone();
        let embargo = args.embargo.map(span);
        let kind = |kind| match kind {
            KindArg::Linear => AccountKind::Linear,
            KindArg::Spot => AccountKind::Spot,
        };
        Request {
            data: args.data,
            symbols: args.symbols,
            from: args.from,
            to: args.to,
            timeframe: args.timeframe,
            policy: args.policy,
            set: args.set,
            config: args.config,
            model: ModelRequest { dir: args.model, version: args.version, in_sample: args.in_sample },
            account: AccountRequest { risk: args.risk, kind: args.kind.map(kind), cash: args.cash },
            costs: CostRequest {
                fee: args.fee,
                spread: args.spread,
                slippage: args.slippage,
                latency: args.latency.map(span),
                participation: args.participation,
            },
            funding: args.funding,
            sweep: args.sweep,
            sweep_random: args.sweep_random,
            walk: args.walk_forward.map(|walk| Walk { embargo: embargo.unwrap_or(walk.embargo), ..walk }),
            objective: args.objective,
            seed: args.seed,
            threads: args.threads,
            out: args.out,
            report: !args.no_report,
            quiet: args.quiet,
        }
    }
}
