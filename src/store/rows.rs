//! Rows as faces read them. Decimals are canonical text, instants nanoseconds since the epoch.

use levibot_core::domain::Ts;
use serde::Serialize;

use super::{Store, StoreError, database};

/// An order and how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct OrderRow {
    /// Record of its intent.
    pub seq: i64,
    /// When it was intended.
    pub ts: i64,
    /// Client order id.
    pub id: String,
    /// Symbol.
    pub symbol: String,
    /// `buy` or `sell`.
    pub side: String,
    /// `entry` or `exit`.
    pub leg: String,
    /// Base units.
    pub qty: String,
    /// Why it exists.
    pub cause: String,
    /// `intent`, `accepted`, or how it ended.
    pub status: String,
    /// Since when.
    pub status_ts: i64,
    /// The venue's words.
    pub text: Option<String>,
}

/// A fill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct FillRow {
    /// Its record.
    pub seq: i64,
    /// When it happened.
    pub ts: i64,
    /// The order's id.
    pub order_id: String,
    /// Symbol.
    pub symbol: String,
    /// The venue's number.
    pub trade_id: String,
    /// `buy` or `sell`.
    pub side: String,
    /// Quote currency.
    pub price: String,
    /// Base units.
    pub qty: String,
    /// Commission taken in quote currency.
    pub fee: String,
    /// Commission taken in another asset, JSON.
    pub commission: Option<String>,
    /// The order's own name at the venue, where it is not ours.
    pub name: Option<String>,
}

/// A decision and its verdict.
#[derive(Debug, Clone, PartialEq, Serialize, sqlx::FromRow)]
pub struct DecisionRow {
    /// Its record.
    pub seq: i64,
    /// When it was judged.
    pub ts: i64,
    /// Symbol.
    pub symbol: String,
    /// Close of the deciding bar.
    pub bar: i64,
    /// Hash of the policy, hexadecimal.
    pub policy: String,
    /// Hash of the features, hexadecimal.
    pub features: String,
    /// `enter`, `exit`, `tighten` or nothing.
    pub intent: Option<String>,
    /// `long` or `short`.
    pub direction: Option<String>,
    /// 0 to 1.
    pub probability: Option<f64>,
    /// Fraction of price.
    pub volatility: Option<f64>,
    /// Price at the decision.
    pub reference: Option<f64>,
    /// `approved`, `refused` or `unchanged`.
    pub verdict: String,
    /// Which check refused.
    pub check_name: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// How the size came about, JSON.
    pub sizing: Option<String>,
}

/// A deposit or withdrawal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct TransferRow {
    /// The venue's name of it.
    pub id: String,
    /// Its record.
    pub seq: i64,
    /// When it happened.
    pub ts: i64,
    /// What was paid.
    pub asset: String,
    /// Over zero into the account.
    pub amount: String,
    /// Quote currency.
    pub value: String,
}

/// The account at an instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct EquityRow {
    /// Its record.
    pub seq: i64,
    /// The instant.
    pub ts: i64,
    /// Quote currency.
    pub cash: String,
    /// Quote currency.
    pub equity: String,
    /// How many positions were open.
    pub positions: i64,
}

/// A position and what its symbol has earned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct PositionRow {
    /// Symbol.
    pub symbol: String,
    /// Last record that changed it.
    pub seq: i64,
    /// When.
    pub ts: i64,
    /// Base units, negative when short.
    pub net: String,
    /// Cost of what is held, negative when short.
    pub cost: String,
    /// Before fees.
    pub realised: String,
    /// Fees.
    pub fees: String,
    /// Funding paid; under zero more was received.
    pub funding: String,
    /// Realised less fees and funding.
    pub net_pnl: String,
    /// Last valuing price.
    pub mark: Option<String>,
    /// `net * mark - cost`.
    pub unrealised: Option<String>,
}

/// A halt, a resume or a freeze.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct HaltRow {
    /// Its record.
    pub seq: i64,
    /// When.
    pub ts: i64,
    /// `halt`, `resume`, `freeze` or `unfreeze`.
    pub kind: String,
    /// Halt level.
    pub level: Option<String>,
    /// Symbol of a freeze.
    pub symbol: Option<String>,
    /// By whom.
    pub by: Option<String>,
    /// Why.
    pub text: Option<String>,
}

impl Store {
    /// The latest orders, newest first.
    ///
    /// # Errors
    /// [`StoreError::Database`], here and in the queries below.
    pub async fn recent_orders(&self, rows_max: u32) -> Result<Vec<OrderRow>, StoreError> {
        let select = "SELECT * FROM orders ORDER BY seq DESC LIMIT ?";
        sqlx::query_as(select).bind(rows_max).fetch_all(&self.pool).await.map_err(database("read orders from"))
    }

    /// The latest fills, newest first.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn recent_fills(&self, rows_max: u32) -> Result<Vec<FillRow>, StoreError> {
        let select = "SELECT * FROM fills ORDER BY seq DESC LIMIT ?";
        sqlx::query_as(select).bind(rows_max).fetch_all(&self.pool).await.map_err(database("read fills from"))
    }

    /// The latest deposits and withdrawals, newest first.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn recent_transfers(&self, rows_max: u32) -> Result<Vec<TransferRow>, StoreError> {
        let select = "SELECT * FROM transfers ORDER BY seq DESC LIMIT ?";
        sqlx::query_as(select).bind(rows_max).fetch_all(&self.pool).await.map_err(database("read transfers from"))
    }

    /// The latest decisions, of one symbol or of all, newest first.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn recent_decisions(&self, symbol: Option<&str>, rows_max: u32) -> Result<Vec<DecisionRow>, StoreError> {
        let all = "SELECT * FROM decisions ORDER BY seq DESC LIMIT ?1";
        let one = "SELECT * FROM decisions WHERE symbol = ?2 ORDER BY seq DESC LIMIT ?1";
        let query = sqlx::query_as(if symbol.is_some() { one } else { all }).bind(rows_max);
        let query = if let Some(symbol) = symbol { query.bind(symbol.to_owned()) } else { query };
        query.fetch_all(&self.pool).await.map_err(database("read decisions from"))
    }

    /// The latest halts, resumes and freezes, newest first.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn recent_halts(&self, rows_max: u32) -> Result<Vec<HaltRow>, StoreError> {
        let select = "SELECT * FROM halts ORDER BY seq DESC LIMIT ?";
        sqlx::query_as(select).bind(rows_max).fetch_all(&self.pool).await.map_err(database("read halts from"))
    }

    /// The account from an instant up to, not including, another; oldest first, at most `rows_max` from the start.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn equity(&self, from: Ts, to: Ts, rows_max: u32) -> Result<Vec<EquityRow>, StoreError> {
        let select = "SELECT * FROM equity WHERE ts >= ? AND ts < ? ORDER BY ts, seq LIMIT ?";
        let query = sqlx::query_as(select).bind(from.nanos()).bind(to.nanos()).bind(rows_max);
        query.fetch_all(&self.pool).await.map_err(database("read equity from"))
    }

    /// Every symbol that was ever traded, by name.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn positions(&self) -> Result<Vec<PositionRow>, StoreError> {
        let select = "SELECT * FROM positions ORDER BY symbol";
        sqlx::query_as(select).fetch_all(&self.pool).await.map_err(database("read positions from"))
    }
}
