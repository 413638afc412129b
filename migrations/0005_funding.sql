-- Funding of linear positions: each payment, and what each symbol has paid of it in all.

CREATE TABLE funding (
    symbol TEXT NOT NULL,
    ts     INTEGER NOT NULL,      -- for which instant
    seq    INTEGER NOT NULL,
    rate   REAL NOT NULL,         -- a fraction of the position's value; over zero longs pay shorts
    mark   TEXT NOT NULL,         -- price that valued the position
    amount TEXT NOT NULL,         -- what came to the account; under zero it was paid
    PRIMARY KEY (symbol, ts)
) STRICT;
CREATE INDEX funding_seq ON funding (seq);

ALTER TABLE positions ADD COLUMN funding TEXT NOT NULL DEFAULT '0';   -- paid; under zero more was received

CREATE VIEW v_funding AS
    SELECT seq, datetime(ts / 1000000000, 'unixepoch') AS time, symbol, rate, mark, amount FROM funding ORDER BY seq;
