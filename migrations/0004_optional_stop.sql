-- A position may be held without a stop.
CREATE TABLE brackets_next (
    seq      INTEGER PRIMARY KEY,
    ts       INTEGER NOT NULL,
    symbol   TEXT NOT NULL,
    entry    TEXT NOT NULL,
    stop     REAL,                -- price
    target   REAL,
    trailing REAL,
    trailed  INTEGER NOT NULL,
    best     REAL NOT NULL,
    expires  INTEGER
) STRICT;
INSERT INTO brackets_next SELECT * FROM brackets;
DROP TABLE brackets;
ALTER TABLE brackets_next RENAME TO brackets;
