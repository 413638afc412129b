-- The money path: each check of a decision, commissions that were not taken in the account's currency, trades of others,
-- what was paid in and out, and what is held besides currency and positions.

ALTER TABLE decisions ADD COLUMN checks TEXT;   -- JSON: each with name, passed, value, limit
ALTER TABLE fills ADD COLUMN commission TEXT;   -- JSON: {"base": {"amount": ..}} or {"other": {"asset": .., "amount": ..}}
ALTER TABLE fills ADD COLUMN name TEXT;         -- the order's own name at the venue, where it is not ours
ALTER TABLE equity ADD COLUMN stocks TEXT;      -- JSON: each with asset, amount, value; NULL when there were none

CREATE TABLE transfers (
    id     TEXT PRIMARY KEY,      -- the venue's name of it
    seq    INTEGER NOT NULL,
    ts     INTEGER NOT NULL,      -- when it happened
    asset  TEXT NOT NULL,
    amount TEXT NOT NULL,         -- over zero into the account
    value  TEXT NOT NULL          -- quote currency, as the venue gave it
) STRICT;
CREATE INDEX transfers_seq ON transfers (seq);

CREATE TABLE stocks (
    asset  TEXT PRIMARY KEY,
    seq    INTEGER NOT NULL,      -- last record that changed it
    ts     INTEGER NOT NULL,
    amount TEXT NOT NULL,         -- under zero: more was spent than was known of
    value  TEXT NOT NULL          -- what it was booked at, quote currency
) STRICT;

-- What trades are booked by: the account's face and its symbols, as the last setup has them.
CREATE TABLE account (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    kind     TEXT NOT NULL,       -- spot, linear
    currency TEXT NOT NULL
) STRICT;
CREATE TABLE instruments (
    symbol TEXT PRIMARY KEY,
    base   TEXT NOT NULL,
    traded INTEGER NOT NULL       -- 1 when the account trades it
) STRICT;

INSERT INTO account
    SELECT 1, body ->> '$.setup.kind', body ->> '$.setup.currency'
    FROM events WHERE type IN ('started', 'setup') ORDER BY seq DESC LIMIT 1;
INSERT INTO instruments
    SELECT value ->> '$.id.symbol', value ->> '$.base', 1
    FROM json_each((SELECT body -> '$.setup.instruments'
                    FROM events WHERE type IN ('started', 'setup') ORDER BY seq DESC LIMIT 1));

DROP VIEW v_fills;
CREATE VIEW v_fills AS
    SELECT seq, datetime(ts / 1000000000, 'unixepoch') AS time, symbol, side, qty, price, fee, commission, order_id,
           trade_id, name
    FROM fills ORDER BY seq;
CREATE VIEW v_transfers AS
    SELECT seq, datetime(ts / 1000000000, 'unixepoch') AS time, asset, amount, value, id FROM transfers ORDER BY seq;
