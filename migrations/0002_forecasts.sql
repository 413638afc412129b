-- What the model said, of every bar that it was asked about, and with each decision. Numbers of a forecast are REAL: they
-- are measurements, not money.

CREATE TABLE forecasts (
    seq     INTEGER NOT NULL,
    ts      INTEGER NOT NULL,
    bar     INTEGER NOT NULL,     -- close of the bar
    symbol  TEXT NOT NULL,
    model   TEXT,                 -- version; NULL when there was no forecast
    prob_up REAL,
    votes   TEXT,                 -- JSON: lightgbm, tft, sentiment, each with probability and weight, or null
    q10     REAL,                 -- quantiles of the log return over the horizon
    q50     REAL,
    q90     REAL,
    PRIMARY KEY (seq, symbol)
) STRICT, WITHOUT ROWID;
CREATE INDEX forecasts_symbol ON forecasts (symbol, bar);

ALTER TABLE decisions ADD COLUMN model TEXT;
ALTER TABLE decisions ADD COLUMN prob_up REAL;
ALTER TABLE decisions ADD COLUMN votes TEXT;

DROP VIEW v_decisions;
CREATE VIEW v_decisions AS
    SELECT seq, datetime(ts / 1000000000, 'unixepoch') AS time, symbol, intent, direction, probability, verdict,
           check_name, reason, model, prob_up
    FROM decisions ORDER BY seq;
CREATE VIEW v_forecasts AS
    SELECT seq, datetime(bar / 1000000000, 'unixepoch') AS bar, symbol, model, prob_up, votes, q10, q50, q90
    FROM forecasts ORDER BY seq, symbol;
