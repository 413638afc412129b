//! Positions and stocks as the tables hold them: the same postings as the account's, made of the same records.

use std::collections::{BTreeMap, BTreeSet};

use levibot_core::account::AccountSetup;
use levibot_core::account::assets::Stock;
use levibot_core::account::funding;
use levibot_core::account::holding::Holding;
use levibot_core::account::ledger::{self, Posting, Shelf};
use levibot_core::domain::{AccountKind, Asset, Fill, Funding, Symbol, Transfer};
use levibot_core::record::MarkedPosition;
use rust_decimal::Decimal;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::apply::{json, start, text, word};
use super::{StoreError, database};

/// A row of positions.
#[derive(Debug, Clone, Copy, Default)]
struct Position {
    holding: Holding,
    mark: Option<Decimal>,
}

/// All positions and stocks, and which rows are behind.
#[derive(Debug)]
pub(super) struct Book {
    kind: AccountKind,
    currency: String,
    /// What each symbol trades.
    bases: BTreeMap<Symbol, String>,
    traded: BTreeSet<Symbol>,
    positions: BTreeMap<Symbol, Position>,
    stocks: BTreeMap<Asset, Stock>,
    changed: BTreeMap<Symbol, (i64, i64)>,
    changed_stocks: BTreeMap<Asset, (i64, i64)>,
}

impl Default for Book {
    fn default() -> Self {
        Self {
            kind: AccountKind::Linear,
            currency: String::new(),
            bases: BTreeMap::new(),
            traded: BTreeSet::new(),
            positions: BTreeMap::new(),
            stocks: BTreeMap::new(),
            changed: BTreeMap::new(),
            changed_stocks: BTreeMap::new(),
        }
    }
}

/// A column's text, read as what it is.
fn read<T: std::str::FromStr>(row: &SqliteRow, at: usize) -> Result<Option<T>, StoreError> {
    let text = row.try_get::<Option<String>, _>(at).map_err(database("read the positions of"))?;
    text.map(|text| text.parse().map_err(|_| unreadable())).transpose()
}

fn required<T: std::str::FromStr>(row: &SqliteRow, at: usize) -> Result<T, StoreError> {
    read(row, at)?.ok_or_else(unreadable)
}

fn unreadable() -> StoreError {
    StoreError::Corrupt { findings: "a position is not readable".to_owned() }
}

impl Book {
    /// The book that the tables hold.
    pub(super) async fn load(db: &mut SqliteConnection) -> Result<Self, StoreError> {
        let mut book = Self::default();
        let failed = "read the positions of";
        let select = "SELECT symbol, net, cost, realised, fees, mark, funding FROM positions";
        for row in sqlx::query(select).fetch_all(&mut *db).await.map_err(database(failed))? {
            let (net, cost, realised) = (required(&row, 1)?, required(&row, 2)?, required(&row, 3)?);
            let holding = Holding { net, cost, realised, fees: required(&row, 4)?, funding: required(&row, 6)? };
            book.positions.insert(required(&row, 0)?, Position { holding, mark: read(&row, 5)? });
        }
        let select = "SELECT asset, amount, value FROM stocks";
        for row in sqlx::query(select).fetch_all(&mut *db).await.map_err(database(failed))? {
            let stock = Stock { amount: required(&row, 1)?, value: required(&row, 2)? };
            book.stocks.insert(required(&row, 0)?, stock);
        }
        let face = sqlx::query("SELECT kind, currency FROM account WHERE id = 1").fetch_optional(&mut *db).await;
        if let Some(row) = face.map_err(database(failed))? {
            let kind: String = required(&row, 0)?;
            book.kind = if kind == "spot" { AccountKind::Spot } else { AccountKind::Linear };
            book.currency = required(&row, 1)?;
        }
        let select = "SELECT symbol, base FROM instruments WHERE traded = 1";
        for row in sqlx::query(select).fetch_all(db).await.map_err(database(failed))? {
            let symbol = required(&row, 0)?;
            book.bases.insert(symbol, required(&row, 1)?);
            book.traded.insert(symbol);
        }
        Ok(book)
    }

    /// Follows a setup. What has left it and is held or has an order still belongs to the account.
    pub(super) async fn adopt(&mut self, db: &mut SqliteConnection, setup: &AccountSetup) -> Result<(), StoreError> {
        let failed = "write the account to";
        (self.kind, self.currency) = (setup.kind, setup.currency.clone());
        let is_held = |p: &Position| !p.holding.net.is_zero();
        let select = "SELECT DISTINCT symbol FROM orders WHERE status IN ('intent', 'accepted', 'unknown')";
        let mut ordered = BTreeSet::new();
        for row in sqlx::query(select).fetch_all(&mut *db).await.map_err(database("read the orders of"))? {
            ordered.insert(required::<Symbol>(&row, 0)?);
        }
        let stays = |symbol: &Symbol| self.positions.get(symbol).is_some_and(is_held) || ordered.contains(symbol);
        self.traded.retain(stays);
        for instrument in &setup.instruments {
            let symbol = instrument.id().symbol;
            self.traded.insert(symbol);
            self.bases.insert(symbol, instrument.base().to_owned());
        }
        self.bases.retain(|symbol, _| self.traded.contains(symbol));
        let face = "INSERT INTO account (id, kind, currency) VALUES (1, ?1, ?2)
                    ON CONFLICT (id) DO UPDATE SET kind = ?1, currency = ?2";
        let query = sqlx::query(face).bind(word(&setup.kind)).bind(setup.currency.clone());
        query.execute(&mut *db).await.map_err(database(failed))?;
        sqlx::query("UPDATE instruments SET traded = 0").execute(&mut *db).await.map_err(database(failed))?;
        for (symbol, base) in &self.bases {
            let insert = "INSERT INTO instruments (symbol, base, traded) VALUES (?1, ?2, 1)
                          ON CONFLICT (symbol) DO UPDATE SET base = ?2, traded = 1";
            let query = sqlx::query(insert).bind(symbol.as_str().to_owned()).bind(base.clone());
            query.execute(&mut *db).await.map_err(database(failed))?;
        }
        Ok(())
    }

    /// Writes the rows that are behind.
    pub(super) async fn save(&mut self, db: &mut SqliteConnection) -> Result<(), StoreError> {
        for (symbol, at) in std::mem::take(&mut self.changed) {
            let Position { holding, mark } = self.positions.get(&symbol).copied().unwrap_or_default();
            let insert = "INSERT INTO positions (seq, ts, symbol, net, cost, realised, fees, net_pnl, mark, unrealised,
                                        funding)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
                 ON CONFLICT (symbol) DO UPDATE SET seq = ?1, ts = ?2, net = ?4, cost = ?5, realised = ?6, fees = ?7,
                     net_pnl = ?8, mark = ?9, unrealised = ?10, funding = ?11";
            let query = start(insert, at)
                .bind(symbol.as_str().to_owned())
                .bind(text(holding.net))
                .bind(text(holding.cost))
                .bind(text(holding.realised))
                .bind(text(holding.fees))
                .bind(text(holding.realised - holding.fees - holding.funding))
                .bind(mark.map(text))
                .bind(mark.and_then(|mark| holding.unrealised(mark)).map(text))
                .bind(text(holding.funding));
            query.execute(&mut *db).await.map_err(database("write a position to"))?;
        }
        for (asset, at) in std::mem::take(&mut self.changed_stocks) {
            let stock = self.stocks.get(&asset).copied().unwrap_or_default();
            let insert = "INSERT INTO stocks (seq, ts, asset, amount, value) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (asset) DO UPDATE SET seq = ?1, ts = ?2, amount = ?4, value = ?5";
            let query = start(insert, at).bind(asset.as_str().to_owned());
            let query = query.bind(text(stock.amount)).bind(text(stock.value));
            query.execute(&mut *db).await.map_err(database("write a stock to"))?;
        }
        Ok(())
    }

    /// A trade of ours, or of somebody else's order of this name. One that is there already changes nothing.
    pub(super) async fn trade(
        &mut self,
        db: &mut SqliteConnection,
        fill: &Fill,
        name: Option<&str>,
        at: (i64, i64),
    ) -> Result<(), StoreError> {
        let insert = "INSERT INTO fills (seq, ts, order_id, symbol, trade_id, side, price, qty, fee, commission, name)
                      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (symbol, trade_id) DO NOTHING";
        let query = start(insert, (at.0, fill.ts.nanos()))
            .bind(fill.order.as_str().to_owned())
            .bind(fill.symbol.as_str().to_owned())
            .bind(fill.trade_id.to_string())
            .bind(word(&fill.side))
            .bind(text(fill.price.get()))
            .bind(text(fill.qty.get()))
            .bind(text(fill.fee.get()))
            .bind(fill.commission.as_ref().and_then(json))
            .bind(name.map(ToOwned::to_owned));
        let done = query.execute(db).await.map_err(database("write a fill to"))?;
        if done.rows_affected() == 1 {
            let posting = if name.is_some() {
                ledger::foreign(self, fill).map(Option::unwrap_or_default)
            } else {
                // Our orders are booked whatever the last setup says.
                self.traded.insert(fill.symbol);
                ledger::fill(self, fill)
            };
            self.post(posting, at)?;
        }
        Ok(())
    }

    /// A deposit or withdrawal. One that is there already changes nothing.
    pub(super) async fn transfer(
        &mut self,
        db: &mut SqliteConnection,
        transfer: &Transfer,
        at: (i64, i64),
    ) -> Result<(), StoreError> {
        let insert = "INSERT INTO transfers (seq, ts, id, asset, amount, value) VALUES (?, ?, ?, ?, ?, ?)
                      ON CONFLICT (id) DO NOTHING";
        let query = start(insert, (at.0, transfer.ts.nanos()))
            .bind(transfer.id.clone())
            .bind(transfer.asset.as_str().to_owned())
            .bind(text(transfer.amount))
            .bind(text(transfer.value.get()));
        let done = query.execute(db).await.map_err(database("write a transfer to"))?;
        if done.rows_affected() == 1 {
            let posting = ledger::transfer(self, transfer);
            self.post(posting, at)?;
        }
        Ok(())
    }

    /// A payment of funding. One that is there already changes nothing.
    pub(super) async fn funding(
        &mut self,
        db: &mut SqliteConnection,
        paid: &Funding,
        at: (i64, i64),
    ) -> Result<(), StoreError> {
        let insert = "INSERT INTO funding (seq, ts, symbol, rate, mark, amount) VALUES (?, ?, ?, ?, ?, ?)
                      ON CONFLICT (symbol, ts) DO NOTHING";
        let query = start(insert, (at.0, paid.ts.nanos()))
            .bind(paid.symbol.as_str().to_owned())
            .bind(paid.rate)
            .bind(text(paid.mark.get()))
            .bind(text(paid.amount.get()));
        let done = query.execute(db).await.map_err(database("write funding to"))?;
        if done.rows_affected() == 1 {
            let posting = funding::posting(self, paid);
            self.post(posting, at)?;
        }
        Ok(())
    }

    fn post(&mut self, posting: Option<Posting>, at: (i64, i64)) -> Result<(), StoreError> {
        let posting = posting.ok_or(StoreError::Overflow { seq: at.0.unsigned_abs() })?;
        for (symbol, change) in &posting.holdings {
            self.positions.entry(*symbol).or_default().holding = change.after;
            self.changed.insert(*symbol, at);
        }
        for (asset, stock) in &posting.stocks {
            self.stocks.insert(*asset, *stock);
            self.changed_stocks.insert(*asset, at);
        }
        Ok(())
    }

    pub(super) fn mark(&mut self, marked: &[MarkedPosition], at: (i64, i64)) {
        for MarkedPosition { symbol, mark, .. } in marked {
            self.positions.entry(*symbol).or_default().mark = Some(mark.get());
            self.changed.insert(*symbol, at);
        }
    }
}

impl Shelf for Book {
    fn kind(&self) -> AccountKind {
        self.kind
    }

    fn currency(&self) -> &str {
        &self.currency
    }

    fn holding(&self, symbol: Symbol) -> Option<Holding> {
        // The row of a symbol that has left stays.
        let position = || self.positions.get(&symbol).map(|p| p.holding).unwrap_or_default();
        self.traded.contains(&symbol).then(position)
    }

    fn base(&self, symbol: Symbol) -> Option<Asset> {
        self.bases.get(&symbol)?.parse().ok()
    }

    fn symbol_of(&self, asset: Asset) -> Option<Symbol> {
        self.bases.iter().find(|(_, base)| base.as_str() == asset.as_str()).map(|(symbol, _)| *symbol)
    }

    fn stock(&self, asset: Asset) -> Stock {
        self.stocks.get(&asset).copied().unwrap_or_default()
    }
}
