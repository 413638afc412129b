-- A projection of the journal: everything here can be rebuilt from it. Prices, quantities and money are decimal TEXT and
-- are not to be summed in SQL; instants are INTEGER nanoseconds since 1970 UTC (the v_ views show them as dates).
-- `seq` is the number of the journal record that a row comes from.

CREATE TABLE projection (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    byte_offset INTEGER NOT NULL, -- end of the last line taken
    line_start  INTEGER NOT NULL, -- its start
    seq         INTEGER NOT NULL,
    hash        TEXT NOT NULL,
    run         TEXT
) STRICT;

-- Started, setup, day and ended records, whole.
CREATE TABLE events (
    seq  INTEGER PRIMARY KEY,
    ts   INTEGER NOT NULL,
    type TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;

CREATE TABLE orders (
    id       TEXT PRIMARY KEY,
    seq      INTEGER NOT NULL,
    ts       INTEGER NOT NULL,
    symbol   TEXT NOT NULL,
    side     TEXT NOT NULL,
    leg      TEXT NOT NULL,
    qty      TEXT NOT NULL,
    cause    TEXT NOT NULL,
    attempt  INTEGER NOT NULL,
    trigger_price TEXT,
    reserved TEXT NOT NULL,
    bracket  TEXT,
    status   TEXT NOT NULL,       -- intent, accepted, or how it ended: filled, cancelled, rejected, expired, not_sent
    status_ts INTEGER NOT NULL,
    text     TEXT                 -- the venue's words
) STRICT;
CREATE INDEX orders_seq ON orders (seq);

CREATE TABLE fills (
    seq      INTEGER PRIMARY KEY,
    ts       INTEGER NOT NULL,
    order_id TEXT NOT NULL,
    symbol   TEXT NOT NULL,
    trade_id TEXT NOT NULL,       -- an unsigned 64-bit number
    side     TEXT NOT NULL,
    price    TEXT NOT NULL,
    qty      TEXT NOT NULL,
    fee      TEXT NOT NULL,
    UNIQUE (symbol, trade_id)
) STRICT;
CREATE INDEX fills_order ON fills (order_id);

CREATE TABLE positions (
    symbol     TEXT PRIMARY KEY,
    seq        INTEGER NOT NULL,  -- last record that changed it
    ts         INTEGER NOT NULL,
    net        TEXT NOT NULL,     -- base units, negative when short
    cost       TEXT NOT NULL,     -- of what is held, quote currency, negative when short
    realised   TEXT NOT NULL,     -- before fees
    fees       TEXT NOT NULL,
    net_pnl    TEXT NOT NULL,     -- realised less fees
    mark       TEXT,              -- last price at which it was valued
    unrealised TEXT               -- net * mark - cost
) STRICT;

CREATE TABLE brackets (
    seq      INTEGER PRIMARY KEY,
    ts       INTEGER NOT NULL,
    symbol   TEXT NOT NULL,
    entry    TEXT NOT NULL,
    stop     REAL NOT NULL,
    target   REAL,
    trailing REAL,
    trailed  INTEGER NOT NULL,
    best     REAL NOT NULL,
    expires  INTEGER
) STRICT;

CREATE TABLE equity (
    seq       INTEGER PRIMARY KEY,
    ts        INTEGER NOT NULL,
    cash      TEXT NOT NULL,
    equity    TEXT NOT NULL,
    positions INTEGER NOT NULL    -- how many were open
) STRICT;
CREATE INDEX equity_ts ON equity (ts);

CREATE TABLE decisions (
    seq         INTEGER PRIMARY KEY,
    ts          INTEGER NOT NULL,
    symbol      TEXT NOT NULL,
    bar         INTEGER NOT NULL,
    policy      TEXT NOT NULL,    -- 16 hex digits
    features    TEXT NOT NULL,    -- 16 hex digits
    intent      TEXT,             -- enter, exit, tighten
    direction   TEXT,
    probability REAL,
    volatility  REAL,
    reference   REAL,
    stop        REAL,             -- enter: distance; tighten: price
    verdict     TEXT NOT NULL,    -- approved, refused, unchanged
    check_name  TEXT,
    reason      TEXT,
    sizing      TEXT              -- JSON
) STRICT;
CREATE INDEX decisions_symbol ON decisions (symbol, seq);

CREATE TABLE halts (
    seq    INTEGER PRIMARY KEY,
    ts     INTEGER NOT NULL,
    kind   TEXT NOT NULL,         -- halt, resume, freeze, unfreeze
    level  TEXT,
    symbol TEXT,
    by     TEXT,
    text   TEXT,
    start_equity TEXT
) STRICT;

CREATE TABLE commands (
    seq     INTEGER PRIMARY KEY,
    ts      INTEGER NOT NULL,
    by      TEXT NOT NULL,
    command TEXT NOT NULL,
    outcome TEXT NOT NULL
) STRICT;

CREATE VIEW v_orders AS
    SELECT seq, datetime(ts / 1000000000, 'unixepoch') AS time, id, symbol, side, leg, qty, status,
           datetime(status_ts / 1000000000, 'unixepoch') AS status_time, cause, attempt, text
    FROM orders ORDER BY seq;
CREATE VIEW v_fills AS
    SELECT seq, datetime(ts / 1000000000, 'unixepoch') AS time, symbol, side, qty, price, fee, order_id, trade_id
    FROM fills ORDER BY seq;
CREATE VIEW v_equity AS
    SELECT seq, datetime(ts / 1000000000, 'unixepoch') AS time, equity, cash, positions FROM equity ORDER BY seq;
CREATE VIEW v_decisions AS
    SELECT seq, datetime(ts / 1000000000, 'unixepoch') AS time, symbol, intent, direction, probability, verdict,
           check_name, reason
    FROM decisions ORDER BY seq;
CREATE VIEW v_halts AS
    SELECT seq, datetime(ts / 1000000000, 'unixepoch') AS time, kind, level, symbol, by, text FROM halts ORDER BY seq;
